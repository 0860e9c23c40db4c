"""The rules of the chart: about series that exist, and each alert with its page."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from promql import SCRAPED, grouped, known_labels, labels_by_series, parsed, rules, selectors

import dashboards  # scripts/dashboards.py
from gateway.meters.entries import FIRST_TOKEN_BUCKETS
from gateway.meters.metrics import OVERHEAD_BUCKETS

ROOT = Path(__file__).resolve().parent.parent.parent
OPERATE = ROOT / "docs" / "operate"
JOB = ".*completion-gateway.*"
RUNBOOKS = "/docs/operate/runbooks/"
LABELS = labels_by_series()
RULES = rules()
ALERTS = [rule for rule in RULES if "alert" in rule]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
WINDOWS = {
    "1h": ("5m", "14.4", "critical"),
    "6h": ("30m", "6", "critical"),
    "1d": ("2h", "3", "warning"),
    "3d": ("6h", "1", "warning"),
}
"""Long window → short window, burn rate and severity, as in Google's SRE workbook, chapter 5."""


def name_of(rule: dict[str, Any]) -> str:
    return str(rule.get("alert") or rule["record"])


each_rule = pytest.mark.parametrize("rule", RULES, ids=name_of)
each_alert = pytest.mark.parametrize("alert", ALERTS, ids=name_of)


@each_rule
def test_a_rule_is_about_series_and_labels_that_exist(rule: dict[str, Any]) -> None:
    tree = parsed(rule["expr"])
    for one in selectors(tree):
        assert one.name in LABELS, one.name
        assert one.matchers.keys() <= LABELS[one.name] | SCRAPED
        if not one.name.startswith("gateway:"):
            assert one.matchers["job"] == JOB, one.name
    assert set(grouped(tree)) <= known_labels(tree, LABELS)


@each_rule
def test_what_is_recorded_is_used_and_named_by_the_convention(rule: dict[str, Any]) -> None:
    if "record" in rule:
        assert re.fullmatch(r"gateway:[a-z_]+:[a-z0-9_]+", rule["record"])
        users = [name_of(one) for one in RULES if rule["record"] in one["expr"]]
        assert users


@each_alert
def test_an_alert_says_what_happens_and_where_to_read_on(alert: dict[str, Any]) -> None:
    told = alert["annotations"]
    assert told["summary"].startswith("Completion Gateway: ")
    assert len(told["description"]) > 60
    assert alert["labels"]["severity"] in ("critical", "warning")
    tree = parsed(alert["expr"])
    used = set(re.findall(r"\$labels\.(\w+)", " ".join(told.values())))
    assert used <= known_labels(tree, LABELS)


@each_alert
def test_an_alerts_page_is_there(alert: dict[str, Any]) -> None:
    url = alert["annotations"]["runbook_url"]
    page, _, anchor = url.partition(RUNBOOKS)[2].partition("#")
    assert anchor == alert["alert"].lower()
    text = (OPERATE / "runbooks" / page).read_text(encoding="utf-8")
    (section,) = re.findall(rf"^## {alert['alert']}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    parts = re.findall(r"^\*\*(.+?)\*\*", section, re.M)
    assert parts == ["What it means.", "What users notice.", "Look.", "Do.", "It is over when"]


def test_no_page_is_about_an_alert_that_is_gone() -> None:
    pages = (OPERATE / "runbooks").glob("*.md")
    headings = {
        name
        for page in pages
        for name in re.findall(r"^## (\w+)$", page.read_text(encoding="utf-8"), re.M)
    }
    assert headings == {alert["alert"] for alert in ALERTS}


def queries_of_pages() -> list[str]:
    pages = sorted((OPERATE / "runbooks").glob("*.md"))
    blocks = re.findall(
        r"^```promql\n(.*?)^```", "".join(page.read_text("utf-8") for page in pages), re.M | re.S
    )
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("expr", queries_of_pages())
def test_what_a_page_says_to_ask_can_be_asked(expr: str) -> None:
    tree = parsed(expr)
    for one in selectors(tree):
        if one.name:
            assert one.name in LABELS, one.name
            assert one.matchers.keys() <= LABELS[one.name] | SCRAPED
    assert set(grouped(tree)) <= known_labels(tree, LABELS) | {"le", "__name__"}


def test_the_list_of_alerts_is_whole() -> None:
    text = (OPERATE / "alerts.md").read_text(encoding="utf-8")
    rows = {
        (name, page, severity)
        for name, page, severity in re.findall(
            r"^\| \[(\w+)\]\(runbooks/([a-z]+\.md)#\w+\) \| (.+?) \|", text, re.M
        )
    }
    severities = defaultdict(set)
    for alert in ALERTS:
        severities[alert["alert"]].add(alert["labels"]["severity"])
    pages = {
        alert["alert"]: alert["annotations"]["runbook_url"].partition(RUNBOOKS)[2].partition("#")[0]
        for alert in ALERTS
    }
    assert rows == {
        (name, pages[name], ", ".join(sorted(found))) for name, found in severities.items()
    }


def test_the_command_that_moves_runbooks_in_plain_files_does(tmp_path: Path) -> None:
    text = (OPERATE / "alerts.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^sed .+$", text, re.M)
    for path in dashboards.RULES.glob("*.yaml"):
        shutil.copy(path, tmp_path)
    folder = dashboards.RULES.relative_to(ROOT).as_posix()
    subprocess.run(command.replace(f"{folder}/", ""), shell=True, check=True, cwd=tmp_path)
    moved = "".join(path.read_text(encoding="utf-8") for path in tmp_path.glob("*.yaml"))
    found = re.findall(r"runbook_url: (.*)", moved)
    old = [alert["annotations"]["runbook_url"] for alert in ALERTS]
    assert sorted(found) == sorted(
        "https://wiki.example.com/gateway/" + url.partition(RUNBOOKS)[2] for url in old
    )


def test_every_objective_is_recorded_once_and_watched_over_all_windows() -> None:
    objectives = [one for one in RULES if one.get("record") == "gateway:slo_objective:ratio"]
    slos = [one["labels"]["slo"] for one in objectives]
    assert sorted(slos) == ["availability", "first-token", "overhead"]
    for one in objectives:
        found = re.fullmatch(r"vector\((0\.\d+)\)", one["expr"])
        assert found is not None
    for slo in slos:
        ours = [one for one in ALERTS if f'slo="{slo}"' in one["expr"]]
        assert len({one["alert"] for one in ours}) == 1
        assert {one["labels"]["window"] for one in ours} == WINDOWS.keys()
        for one in ours:
            long = one["labels"]["window"]
            short, factor, severity = WINDOWS[long]
            named = re.findall(r"ratio_rate(\w+)\{", one["expr"])
            factors = re.findall(r"\((\S+) \* \(1 - gateway:slo_objective:ratio\)\)", one["expr"])
            assert (named, factors) == ([long, short], [factor, factor])
            assert one["labels"]["severity"] == severity


def test_what_is_late_is_a_bucket_of_the_meter() -> None:
    """Prometheus would answer with nothing where there is no such bucket."""
    buckets = {
        "gateway_overhead_seconds_bucket": OVERHEAD_BUCKETS,
        "gateway_time_to_first_token_seconds_bucket": FIRST_TOKEN_BUCKETS,
    }
    found = {
        one.name: one.matchers["le"]
        for rule in RULES
        for one in selectors(parsed(rule["expr"]))
        if "le" in one.matchers
    }
    assert found.keys() == buckets.keys()
    for name, bound in found.items():
        assert bound in {str(float(one)) for one in buckets[name]}
