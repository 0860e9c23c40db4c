"""One load on one contestant, and what came of it: latencies, CPU, and who else was busy."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cases import Case
from kernel_counts import Cores, busy_seconds, on_core
from yard import Contestant

LOAD_GENERATOR = Path(__file__).resolve().parent / "load_generator.py"
WRITTEN_SECONDS = 0.15  # after the last answer, entries that wait are written: that is CPU, too
MEGABYTE = 1e6


class WrongAnswer(Exception):
    """A contestant gave an answer that is not the one to the question."""


def measured(
    contestant: Contestant, case: Case, seconds: float, warm_seconds: float, cores: Cores
) -> dict[str, Any]:
    """Raises WrongAnswer."""
    load = asdict(case.load(contestant.port, contestant.headers, seconds, contestant.sent))
    with on_core(cores.load):
        child = subprocess.Popen(
            [sys.executable, str(LOAD_GENERATOR)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(load | {"warm_seconds": warm_seconds}) + "\n")
        child.stdin.flush()
        told = child.stdout.readline()
        if told != "begin\n":
            _check(contestant, case, json.loads(told or '{"errors": ["the load ended"]}'))
        before = _counts(contestant, cores)
        child.stdin.write("\n")
        child.stdin.flush()
        report = json.loads(child.stdout.readline() or '{"errors": ["the load ended"]}')
        _check(contestant, case, report)
        time.sleep(WRITTEN_SECONDS)
        after = _counts(contestant, cores)
    spent = {name: after[name] - before[name] for name in before}
    contestant.sent += report["sent"] + report["sent_warm"]
    sent, took = report["sent"], spent["clock"]
    return report | {
        "case": case.name,
        "contestant": contestant.name,
        "cpu_us": spent["cpu"] / sent * 1e6,
        "stores_us": spent["stores"] / sent * 1e6,
        "others_share": max(0.0, spent["core"] - spent["cpu"]) / took,
        "beside_share": spent["beside"] / took,
        "memory_mb": contestant.memory_bytes() / MEGABYTE,
    }


def _counts(contestant: Contestant, cores: Cores) -> dict[str, float]:
    return {
        "clock": time.perf_counter(),
        "cpu": contestant.cpu_seconds(),
        "stores": contestant.stores_seconds(),
        "core": busy_seconds(cores.contestant),
        "beside": max(busy_seconds(core) for core in (cores.load, cores.upstream)),
    }


def _check(contestant: Contestant, case: Case, report: dict[str, Any]) -> None:
    if report["errors"]:
        told = "\n  ".join(report["errors"])
        raise WrongAnswer(f"{contestant.name}, {case.name}:\n  {told}")
