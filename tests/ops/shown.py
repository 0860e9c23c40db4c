"""`make pictures`: the dashboards of docs/operate/pictures, of a run made for them.

Gateways, a Redis, a Postgres and a Prometheus under load with faults, as traffic.py has it; then
every panel is asked and drawn."""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

from observed import observed
from traffic import keys_of, load

from boards.prometheus import Shown
from pictures import draw

FOLDER = Path(__file__).resolve().parent.parent.parent / "docs" / "operate" / "pictures"
RATE_SECONDS = 15
POINTS = 150


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--per-second", type=float, default=10)
    parser.add_argument("--to", type=Path, default=FOLDER)
    asked = parser.parse_args()
    with observed() as found:
        keys = keys_of(found.plant)
        start = time.time()
        asyncio.run(load(found.plant, keys, asked.seconds, asked.per_second))
        end = time.time()
        shown = Shown(start, end, max(1, (end - start) // POINTS), RATE_SECONDS)
        about = (
            f"Two gateways, {asked.per_second:g} requests a second for {end - start:.0f} s, with "
            "faults: an upstream fails, Redis is away, Postgres is away, an upstream is slow, a "
            "gateway is killed and a policy has an error"
        )
        for path in draw(found.prometheus, shown, asked.to, about):
            print(f"{path} {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
