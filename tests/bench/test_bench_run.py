"""`make bench` as a whole, as short as it can be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CASE = "sse 200B 100/s"


@pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2,
    reason="it needs Linux, and two cores",
)
def test_a_run_measures_checks_every_answer_and_finds_every_entry(tmp_path):
    out = tmp_path / "bench.json"
    done = subprocess.run(
        [
            *(sys.executable, str(ROOT / "bench/bench.py"), "--only", "direct,gateway-redaction"),
            *("--case", CASE, "--repeats", "1", "--seconds", "0.3", "--out", str(out)),
        ],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests/exact'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(out.read_text())
    (samples,) = told["repeats"]
    assert [one["contestant"] for one in samples] == ["direct", "gateway-redaction"]
    assert [one["answered"] for one in samples] == [30, 30]
    assert told["lost"] == {"gateway-redaction": 0}
    assert told["sent"]["gateway-redaction"] == 1 + 40 + 30  # the first, a warm-up, the case
    assert "gateway-redaction: no entry lost" in done.stdout
