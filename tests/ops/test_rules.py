"""The rules, by Prometheus' own tool: they are right, and each alert does what its cases say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from boards.overview import BOARD as OVERVIEW
from boards.panels import panels
from boards.prometheus import Shown
from dashboards import RULES
from ops_tools import path_of

pytestmark = [
    pytest.mark.ops,
    pytest.mark.skipif(path_of("promtool") is None, reason="MISSING: promtool (Debian prometheus)"),
]

CASES = Path(__file__).resolve().parent / "rules"
FILES = sorted(CASES.glob("*.yaml"))
TOOL_SECONDS = 300
DAY_SECONDS = 86_400


def promtool(*words: str) -> str:
    """What it says; fails with that where it is not content."""
    command = [path_of("promtool") or "", *words]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=TOOL_SECONDS
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


@pytest.mark.parametrize("path", sorted(RULES.glob("*.yaml")), ids=lambda path: path.name)
def test_promtool_takes_the_rules(path: Path) -> None:
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", str(path))
    assert "SUCCESS" in said


def test_every_alert_has_cases_that_fire_that_do_not_and_without_data() -> None:
    alerts = {
        rule["alert"]
        for path in RULES.glob("*.yaml")
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert {path.stem for path in FILES} == alerts
    for path in FILES:
        tests = yaml.safe_load(path.read_text())["tests"]
        fires = {
            test["name"]: any(case["exp_alerts"] for case in test["alert_rule_test"])
            for test in tests
        }
        assert {"fires", "does not fire", "no data"} <= fires.keys(), path.name
        assert fires["fires"]
        assert not fires["does not fire"]
        assert all(
            case["alertname"] == path.stem for test in tests for case in test["alert_rule_test"]
        )
        (without,) = (test for test in tests if test["name"] == "no data")
        assert without["input_series"] == []
        assert fires["no data"] == (path.stem == "GatewayDown")  # whose cause is that


def test_the_panel_of_the_certificate_counts_days_to_the_first_that_ends(tmp_path: Path) -> None:
    """Here, as gateways of the dashboards' run have no TLS."""
    (panel,) = (one for one in panels(OVERVIEW) if one.no_value == "no TLS")
    expr = Shown(0, 0, 60, 60).filled(panel.queries[0].expr)
    meter = "gateway_tls_expires_timestamp_seconds"
    ends = {"a": 10 * DAY_SECONDS, "b": 90 * DAY_SECONDS, "plain": 0}
    tests = [
        {
            "input_series": [
                {"series": f'{meter}{{job="g",instance="{name}"}}', "values": str(ends[name])}
                for name in names
            ],
            "promql_expr_test": [{"expr": expr, "eval_time": "0s", "exp_samples": wanted}],
        }
        for names, wanted in (
            (("a", "b", "plain"), [{"labels": "{}", "value": 10}]),
            (("plain",), []),
        )
    ]
    path = tmp_path / "panel.yaml"
    path.write_text(yaml.safe_dump({"tests": tests}))
    assert "SUCCESS" in promtool("test", "rules", str(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_alert_does_what_its_cases_say(path: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", str(path))
