"""checkov on the chart with the values of somebody careful: what it finds, and why that stays."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import charts  # noqa: F401  (the path of tests/chart)
import pytest
import yaml
from chart_values import MATRIX
from charted import objects

import chart_tools  # scripts/chart_tools.py

pytestmark = [
    pytest.mark.ops,
    pytest.mark.skipif(
        not chart_tools.is_ready(chart_tools.CHECKOV, chart_tools.checkov_digest()),
        reason="MISSING: checkov: run scripts/chart_tools.py",
    ),
]

# Findings that stay, by check and kind, each with its reason. All others fail.
ACCEPTED = {
    # A limit of CPU halts the event loop, and with it every stream of the pod, for the rest of each
    # 100 ms in which it is used up. The request of CPU keeps the neighbours' share.
    "CKV_K8S_11": {"Deployment", "StatefulSet", "Job", "Pod"},
    # A policy names the variable of an upstream's key (`api_key_env`), and URLs with passwords are
    # settings. Variables of other processes cannot be read by who is not the same user.
    "CKV_K8S_35": {"Deployment", "StatefulSet", "Job"},
    # The only bare pod is that of `helm test`, which runs a second and ends: nothing probes it.
    "CKV_K8S_8": {"Pod"},
    "CKV_K8S_9": {"Pod"},
}

CAREFUL = {
    "image": {"digest": "sha256:" + "a" * 64, "pullPolicy": "Always"},
    "networkPolicy": {"enabled": True},
}
LEFT_OUT = ("everything", "users of the platform")
"""The one has containers of others, the other leaves users to the platform."""


def found_in(folder: Path) -> list[dict[str, Any]]:
    """The failed checks. Nothing is fetched, so that findings have no links to guidelines."""
    done = subprocess.run(
        [
            *(chart_tools.CHECKOV / "bin" / "python", "-m", "checkov.main"),
            *("--framework", "kubernetes", "--skip-download", "--quiet", "--compact"),
            *("--output", "json", "--directory", folder),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 100
    failed: list[dict[str, Any]] = report["results"]["failed_checks"]
    return failed


def test_a_security_linter_finds_what_is_accepted_only(tmp_path: Path) -> None:
    for number, (name, values) in enumerate(MATRIX.items()):
        if name not in LEFT_OUT:
            rendered = yaml.safe_dump_all(objects(values | CAREFUL))
            (tmp_path / f"{number}.yaml").write_text(rendered)
    findings: dict[str, set[str]] = {}
    for one in found_in(tmp_path):
        findings.setdefault(one["check_id"], set()).add(one["resource"].split(".")[0])
    assert findings == ACCEPTED


def test_it_would_find_a_careless_pod(tmp_path: Path) -> None:
    careless = objects(MATRIX["embedded"] | {"securityContext": {"privileged": True}})
    (tmp_path / "a.yaml").write_text(yaml.safe_dump_all(careless))
    assert "CKV_K8S_16" in {one["check_id"] for one in found_in(tmp_path)}
