"""`make bench-workers`: what 1, 2, 4 … workers cost on one Redis and one Postgres, how evenly the
kernel deals their load out, and what one Redis can carry. bench/README.md says how to read it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from cases import JSON_BUSY, Case
from crew import Crew, Watch, crew_of, per_request
from kernel_counts import Cores, on_core
from measure import MEGABYTE, measured
from plant import until
from spread import spread_table
from yard import Yard

OUT = Path("build/bench-workers.json")
CLOSED = (Case(connections=16), JSON_BUSY, Case(connections=256))
EACH_PER_SECOND = 100.0  # for each worker: what as many cores would be asked for, told from one
EACH = f"json 200B {EACH_PER_SECOND:g}/s for each"
WARM_SECONDS = 0.5
IDLE_SECONDS = 2.0
BOOKED_SECONDS = 60
NOISE_SHARE = 0.05
SPREAD_TIMES = 100
STORE_CORES = 3  # with the upstream and the load: what of many cores is no worker's
Sample = dict[str, Any]


def main() -> None:
    usable = sorted(os.sched_getaffinity(0))
    cores = Cores.of(usable)
    own = [usable[0], *usable[1 + STORE_CORES :]]
    chosen = _chosen(len(own))
    counts = [int(word) for word in chosen.workers.split(",")]
    closed = (JSON_BUSY,) if chosen.quick else CLOSED
    with ExitStack() as stack:
        stack.enter_context(on_core(cores.load))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-workers-")))
        yard = Yard(folder, stack, cores, {})
        print(_head(cores, own, chosen), flush=True)
        yard.upstream()
        crew = crew_of(yard, own)
        samples: list[Sample] = []
        for repeat in range(chosen.repeats):
            for count in counts:
                print(f"  repeat {repeat + 1}: {count} workers", file=sys.stderr, flush=True)
                with crew.running(count):
                    samples += _samples(crew, count, closed, chosen.seconds, cores)
        lost = _lost(crew)
    _tell(samples, counts, [*(case.name for case in closed), EACH], own)
    print("\nthe share of the busiest of some workers, by the kernel alone, without a load:")
    print(spread_table([n for n in counts if n > 1] or [2], (16, 64, 256), SPREAD_TIMES))
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps({"samples": samples, "lost": lost}, indent=1) + "\n")
    print(f"\n{lost or 'no'} entries are missing; raw figures: {chosen.out}")
    if lost:
        sys.exit(1)


def _chosen(cores: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    several = [2**power for power in range(11) if 2**power <= max(4, cores)]
    parser.add_argument("--workers", default=",".join(map(str, several)))
    parser.add_argument("--quick", action="store_true", help="64 connections, and the fixed rate")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--out", type=Path, default=OUT, help="raw figures, as JSON")
    return parser.parse_args()


def _head(cores: Cores, own: Sequence[int], chosen: argparse.Namespace) -> str:
    where = f"core {own[0]}" if len(own) == 1 else f"cores {', '.join(map(str, own))}"
    lines = [
        f"workers on {where}, upstream on {cores.upstream}, load on {cores.load}, Redis and "
        f"Postgres on {cores.stores}; {chosen.repeats} repeats of {chosen.seconds:g} s, each with "
        "a gateway of its own",
    ]
    if any(int(word) > len(own) for word in chosen.workers.split(",")):
        lines.append(
            "FEWER CORES THAN WORKERS: req/s cannot grow with them here. What can be seen is "
            "whether a request costs more when there are more of them."
        )
    return "\n".join(lines)


def _samples(
    crew: Crew, count: int, closed: Sequence[Case], seconds: float, cores: Cores
) -> list[Sample]:
    """Idle first, then each case, at last the rate of so many workers. Raises WrongAnswer."""
    time.sleep(1)  # what a start leaves to do
    before = crew.cpu()
    time.sleep(IDLE_SECONDS)
    idle = {name: (spent - before[name]) / IDLE_SECONDS for name, spent in crew.cpu().items()}
    found = [_sample(crew, count, case, seconds, cores) for case in closed]
    rate = Case(per_second=EACH_PER_SECOND * count)
    found.append(_sample(crew, count, rate, seconds, cores) | {"case": EACH})
    return [one | {"idle": idle} for one in found]


def _sample(crew: Crew, count: int, case: Case, seconds: float, cores: Cores) -> Sample:
    one = crew.contestant
    sent, served, before = one.sent, crew.served(), crew.cpu()
    with Watch(crew) as watch:
        told = measured(one, case, seconds, WARM_SECONDS, cores)
    ended = time.perf_counter()
    cost = per_request(before, crew.cpu(), one.sent - sent)
    entries = one.entries
    assert entries is not None
    until(lambda: entries() >= one.sent, "all entries are in Postgres", BOOKED_SECONDS)
    lag, lag_max = watch.lags()
    mine = [after - first for first, after in zip(served, crew.served(), strict=True)]
    return {
        "workers": count,
        "case": case.name,
        "per_second": told["per_second"],
        "p50": told["latency_ms"]["p50"],
        "p99": told["latency_ms"]["p99"],
        "others_share": told["others_share"],
        "beside_share": told["beside_share"],
        "cost_us": cost,
        "shares": sorted((part / sum(mine) for part in mine), reverse=True),
        "connections": sorted(watch.connections, reverse=True),
        "memory_mb": [size / MEGABYTE for size in crew.memory()],
        "lag_ms": lag,
        "lag_max_ms": lag_max,
        "caught_up_seconds": time.perf_counter() - ended,
    }


def _lost(crew: Crew) -> int:
    entries = crew.contestant.entries
    assert entries is not None
    return crew.contestant.sent - entries()


COLUMNS = ("req/s", "spread", "CPU us", "Redis us", "Postgres", "p50 ms", "p99 ms", "busiest",
           "lag ms", "at most", "MB each", "others", "beside")  # fmt: skip


def _tell(
    samples: Sequence[Sample], counts: Sequence[int], cases: Sequence[str], own: Sequence[int]
) -> None:
    for case in cases:
        print(f"\n{case:24}" + "".join(f"{name:>9}" for name in COLUMNS))
        for count in counts:
            print(_row(count, _of(samples, count, case)))
        for count in counts:
            if dealt := _of(samples, count, case)[-1]["connections"]:
                print(f"  connections of {count}: {', '.join(map(str, dealt))}")
    print()
    for count in counts:
        rest = _of(samples, count, cases[0])[-1]["idle"]
        told = ", ".join(f"{name} {rest[name]:.1%}" for name in ("workers", "redis", "postgres"))
        print(f"{count} workers that have nothing to do: {told} of a core")
    print(_claims(samples, counts))
    busy = max(sample["others_share"] for sample in samples)
    if busy > NOISE_SHARE and len(own) == 1:
        print(f"NOT A QUIET MACHINE: others took up to {busy:.0%} of the workers' core.")


def _of(samples: Sequence[Sample], count: int, case: str) -> list[Sample]:
    return [one for one in samples if (one["workers"], one["case"]) == (count, case)]


def _row(count: int, rows: Sequence[Sample]) -> str:
    def middle(name: str) -> float:
        return median(row[name] for row in rows)

    def cost(name: str) -> float:
        return median(row["cost_us"][name] for row in rows)

    rates = [row["per_second"] for row in rows]
    cells = [
        f"{middle('per_second'):,.0f}",
        f"{(max(rates) - min(rates)) / median(rates):.0%}",
        f"{cost('workers'):,.0f}",
        f"{cost('redis'):,.0f}",
        f"{cost('postgres'):,.0f}",
        f"{middle('p50'):.1f}",
        f"{middle('p99'):.1f}",
        f"{median(row['shares'][0] for row in rows):.0%}",
        f"{middle('lag_ms'):.0f}",
        f"{max(row['lag_max_ms'] for row in rows):.0f}",
        f"{median(max(row['memory_mb']) for row in rows):.0f}",
        f"{middle('others_share'):.0%}",
        f"{middle('beside_share'):.0%}",
    ]
    return f"{f'{count} workers':24}" + "".join(f"{cell:>9}" for cell in cells)


def _claims(samples: Sequence[Sample], counts: Sequence[int]) -> str:
    """What follows for more cores than there are here."""

    def cost(count: int, case: str) -> Mapping[str, float]:
        rows = [row["cost_us"] for row in _of(samples, count, case)]
        return {name: median(row[name] for row in rows) for name in rows[0]}

    least, most = min(counts), max(counts)
    alone, together = cost(least, EACH), cost(most, EACH)
    lines = []
    for name in ("workers", "redis", "postgres"):
        grown = together[name] / alone[name] - 1 if alone[name] else 0.0
        lines.append(
            f"{EACH}: CPU a request of {name}: {alone[name]:,.0f} us with {least}, "
            f"{together[name]:,.0f} us with {most}: {grown:+.0%}"
        )
    busy = cost(least, JSON_BUSY.name)
    carried = 1e6 / busy["redis"]
    lines.append(
        f"one Redis, which has one core, carries at most {carried:,.0f} req/s by its CPU at "
        f"{JSON_BUSY.name} (waits for its disk come on top): {carried * busy['workers'] / 1e6:.1f} "
        "cores of workers"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
