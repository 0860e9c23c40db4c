"""`make bench`: what the gateway costs, beside what it is compared with, all in one run on this
machine. bench/README.md says how to read it, and what it does not show."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bars import BARS
from cases import CASES, JSON_BUSY, Case
from contestants import STARTERS
from figures import by_place, medians, table
from kernel_counts import Cores, on_core
from measure import MEGABYTE, WrongAnswer, measured
from peers import PEERS
from plant import until
from second_opinion import second_opinion
from yard import Contestant, Yard

OUT = Path("build/bench.json")
WARM_SECONDS = 0.4
MAY_BE_MISSING = ("nginx", *PEERS)
LEFT_OUT = (OSError, RuntimeError, TimeoutError, subprocess.CalledProcessError)
NOISE_SHARE = 0.05
BOOKED_SECONDS = 60  # within which the last entry has to be in the database


def main() -> None:
    chosen = _chosen()
    cores = Cores.of(sorted(os.sched_getaffinity(0)))
    cases = [one for one in CASES if (one.quick or not chosen.quick) and chosen.case in one.name]
    with ExitStack() as stack:
        stack.enter_context(on_core(cores.load))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-bench-")))
        settings = dict(pair.split("=", 1) for pair in chosen.set)
        yard = Yard(folder, stack, cores, settings)
        print(_head(cores, chosen), flush=True)
        yard.upstream()
        contestants = _started(yard, chosen)
        repeats = [
            _repeat(contestants, cases, chosen.seconds, cores, f"{number + 1}/{chosen.repeats}")
            for number in range(chosen.repeats)
        ]
        lost = {one.name: _lost(one) for one in contestants if one.entries and not one.failures}
        beside = second_opinion(yard, contestants, chosen.seconds) if JSON_BUSY in cases else {}
    _tell(contestants, cases, repeats)
    _tell_beside(beside)
    _write(chosen, contestants, repeats, {"lost": lost, "wrk_per_second": beside})
    _judge(contestants, lost)


def _judge(contestants: Sequence[Contestant], lost: Mapping[str, int]) -> None:
    """What makes the figures worth nothing: wrong answers of ours, and entries that are missing."""
    for name, count in lost.items():
        print(f"{name}: {count} of its entries are missing" if count else f"{name}: no entry lost")
    failed = [one.name for one in contestants if one.failures and not one.is_peer]
    for name in failed:
        print(f"{name}: FAILED by wrong answers (above), so that its entries were not counted")
    if failed or any(lost.values()):
        sys.exit(1)


def _chosen() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="cases of the bars: three minutes")
    parser.add_argument("--peers", action="store_true", help="with LiteLLM and Portkey")
    parser.add_argument("--only", default="", help="contestants, by comma")
    parser.add_argument("--case", default="", help="only cases with this in their name")
    parser.add_argument("--repeats", type=int, help="3, quick: 2")
    parser.add_argument("--seconds", type=float, help="of each measurement: 4, quick: 1")
    parser.add_argument("--set", action="append", default=[], help="a setting: LOG_LEVEL=warning")
    parser.add_argument("--out", type=Path, default=OUT, help="raw figures, as JSON")
    chosen = parser.parse_args()
    if unknown := set(filter(None, chosen.only.split(","))) - set({**STARTERS, **PEERS}):
        parser.error(f"no contestant is called {', '.join(unknown)}")
    if not any(chosen.case in one.name for one in CASES):
        parser.error("no such case; there are: " + "; ".join(one.name for one in CASES))
    chosen.repeats = chosen.repeats or (2 if chosen.quick else 3)
    chosen.seconds = chosen.seconds or (1.0 if chosen.quick else 4.0)
    return chosen


def _head(cores: Cores, chosen: argparse.Namespace) -> str:
    machine = next(
        line.partition(": ")[2]
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    lines = [
        f"{machine}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"Python {platform.python_version()}; load average {os.getloadavg()[0]:.1f}",
        f"contestants on core {cores.contestant}; upstream on {cores.upstream}, load on "
        f"{cores.load}, Redis and Postgres on {cores.stores}",
        f"{chosen.repeats} interleaved repeats of {chosen.seconds:g} s; upstream and load: ours "
        "(asyncio), each answer is checked",
    ]
    return "\n".join([*lines, *(f"set: {pair}" for pair in chosen.set)])


def _started(yard: Yard, chosen: argparse.Namespace) -> list[Contestant]:
    """Those that can be started, in the order of the table."""
    starters = {**STARTERS, **PEERS}
    names = chosen.only.split(",") if chosen.only else [*STARTERS]
    started = []
    for name in [*names, *(PEERS if chosen.peers else ())]:
        try:
            one = starters[name](yard)
        except LEFT_OUT as trouble:
            if name not in MAY_BE_MISSING:
                raise
            print(f"without {name}: {trouble}", flush=True)
            continue
        one.is_peer = name in PEERS
        if one.pid:
            first = f"{one.start_seconds:.2f} s to the first answer"
            print(f"{name:20}{first}, {one.idle_bytes / MEGABYTE:.0f} MB idle", flush=True)
        started.append(one)
    return started


def _repeat(
    contestants: Sequence[Contestant],
    cases: Sequence[Case],
    seconds: float,
    cores: Cores,
    number: str,
) -> list[dict[str, Any]]:
    samples = []
    for case in cases:
        print(f"  repeat {number}: {case.name}", file=sys.stderr, flush=True)
        for one in contestants:
            if one.is_peer and not case.peers:
                continue
            try:
                samples.append(measured(one, case, seconds, WARM_SECONDS, cores))
            except WrongAnswer as wrong:
                one.failures.append(str(wrong))
                print(f"FAILED: {wrong}", flush=True)
    return samples


def _lost(contestant: Contestant) -> int:
    """Requests without an entry in the database. Less than none: entries without a request."""
    entries = contestant.entries
    assert entries is not None
    try:
        until(lambda: entries() == contestant.sent, "every entry is written", BOOKED_SECONDS)
    except TimeoutError:
        return contestant.sent - entries()
    return 0


def _tell(
    contestants: Sequence[Contestant], cases: Sequence[Case], repeats: Sequence[Sequence[Any]]
) -> None:
    places = by_place(repeats)
    for case in cases:
        rows = {
            one.name: places[case.name, one.name]
            for one in contestants
            if (case.name, one.name) in places
        }
        print(table(case.name, rows))
    print("\nbars (medians of this run; of gateway-redaction, where nothing else is said)")
    middle = {place: medians(rows) for place, rows in places.items()}
    starts = {
        one.name: {"idle_mb": one.idle_bytes / MEGABYTE, "start_seconds": one.start_seconds}
        for one in contestants
    }
    busy = max(row["others_share"] for row in middle.values())
    for bar in BARS:
        print(bar.verdict(middle, starts, is_quiet=busy <= NOISE_SHARE))
    if busy > NOISE_SHARE:
        print(
            f"\nNOT A QUIET MACHINE: others took up to {busy:.0%} of the contestants' core. "
            "Rates and latencies are theirs, too, CPU times grow with cold caches, and no bar "
            "can be judged by this run."
        )


def _tell_beside(beside: Mapping[str, float] | None) -> None:
    if beside:
        rates = ", ".join(f"{name} {rate:,.0f}" for name, rate in beside.items())
        print(f"\nwrk instead of our load, {JSON_BUSY.name}, req/s: {rates}")
    elif beside is None:
        print("\nwrk is not installed: there is no second opinion on our load generator")


def _write(
    chosen: argparse.Namespace,
    contestants: Sequence[Contestant],
    repeats: Sequence[Sequence[Any]],
    more: Mapping[str, Any],
) -> None:
    told = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "options": {name: str(value) for name, value in vars(chosen).items()},
        "starts": {
            one.name: {"seconds": one.start_seconds, "idle_bytes": one.idle_bytes}
            for one in contestants
        },
        "sent": {one.name: one.sent for one in contestants},
        "failures": {one.name: one.failures for one in contestants if one.failures},
        **more,
        "repeats": repeats,
    }
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(told, indent=1) + "\n")
    print(f"\nraw figures: {chosen.out}")


if __name__ == "__main__":
    main()
