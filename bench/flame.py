"""`make flame`: where the gateway's time goes: a flame graph by py-spy, a table by function."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from cases import CASES, JSON_BUSY
from contestants import STARTERS
from kernel_counts import Cores, on_core
from measure import LOAD_GENERATOR, WrongAnswer
from stacks import top
from tool_environments import python_tool
from yard import Contestant, Yard

PY_SPY = "py-spy==0.4.1"
RATE = 500
SLACK_SECONDS = 10.0  # of load beyond what is recorded: py-spy takes a moment to look around


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    named = {one.name: one for one in CASES}
    parser.add_argument("--contestant", default="gateway-redaction", choices=STARTERS)
    parser.add_argument("--case", default=JSON_BUSY.name, choices=named, metavar="CASE")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--top", type=int, default=25, help="functions in the table")
    parser.add_argument("--out", type=Path, default=Path("build/flame.svg"))
    chosen = parser.parse_args()
    py_spy = python_tool("flame", PY_SPY) / "py-spy"
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    stacks = chosen.out.with_suffix(".txt")
    cores = Cores.of(sorted(os.sched_getaffinity(0)))
    with ExitStack() as stack:
        stack.enter_context(on_core(cores.load))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-flame-")))
        yard = Yard(folder, stack, cores, {})
        yard.upstream()
        contestant = STARTERS[chosen.contestant](yard)
        assert contestant.pid, "the upstream itself has no flame graph"
        seconds = 2 * chosen.seconds + SLACK_SECONDS
        load = named[chosen.case].load(contestant.port, contestant.headers, seconds, 0)
        with _loaded(asdict(load)) as child:
            _record(py_spy, contestant, chosen.seconds, "flamegraph", chosen.out, "--gil")
            _record(py_spy, contestant, chosen.seconds, "raw", stacks)
            _check(child)
    print(f"{chosen.contestant}, {chosen.case}")
    print(top(stacks.read_text(), chosen.top))
    print(f"flame graph: {chosen.out}; stacks: {stacks}")


def _loaded(load: dict[str, object]) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, str(LOAD_GENERATOR)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(load | {"warm_seconds": 1.0}) + "\n")
    child.stdin.flush()
    child.stdout.readline()
    child.stdin.write("\n")
    child.stdin.flush()
    return child


def _check(child: subprocess.Popen[str]) -> None:
    """It should still be at it, or have ended without a wrong answer: py-spy can take long."""
    if child.poll() is not None:
        assert child.stdout is not None
        if errors := json.loads(child.stdout.readline())["errors"]:
            raise WrongAnswer("\n".join(errors))
    child.kill()


def _record(
    py_spy: Path, contestant: Contestant, seconds: int, form: str, out: Path, *more: str
) -> None:
    subprocess.run(
        [
            *(py_spy, "record", "--pid", str(contestant.pid), "--duration", str(seconds)),
            *("--rate", str(RATE), "--format", form, "--function", "--output", out, *more),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main()
