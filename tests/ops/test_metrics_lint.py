"""`promtool check metrics` has nothing to say of what a gateway exposes."""

from __future__ import annotations

import subprocess

import pytest
from metrics_lint import full

from ops_tools import path_of  # scripts/ops_tools.py

pytestmark = pytest.mark.ops


def checked(exposition: bytes) -> subprocess.CompletedProcess[bytes]:
    promtool = path_of("promtool")
    if promtool is None:
        pytest.skip("promtool is missing (Debian's prometheus): make ops-test tells how")
    command = [promtool, "check", "metrics", "--extended"]
    return subprocess.run(command, input=exposition, capture_output=True, check=False)


def test_promtool_finds_no_fault_in_any_meter() -> None:
    done = checked(full().exposition())
    assert done.stderr == b""
    assert done.returncode == 0
    assert b"gateway_requests_total" in done.stdout


def test_promtool_would_find_one() -> None:
    done = checked(b"# TYPE a_total gauge\na_total 1\n")
    assert done.returncode != 0
