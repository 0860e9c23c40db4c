"""`make outage-test`: Postgres is away while requests go on at a steady rate, on the Redis ledger.

Exits with 1 where a request was refused, or an entry is lost, or the lag meter did not rise while
it was away and fall when it was back."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from dataclasses import dataclass, field

from audit import audit, settled, table
from load import Clients, Mix, open_loop
from plant import Plant, running
from policy import MODELS, amounts, policy_text

SETTLE_SECONDS = 120
LAG = "gateway_journal_lag_seconds"


@dataclass(slots=True)
class Lag:
    """The meter as it was asked each second, of the replica that was furthest behind."""

    before: list[float] = field(default_factory=list)
    away: list[float] = field(default_factory=list)
    after: float = 0.0


def main(words: list[str]) -> int:
    asked = _arguments(words)
    print(f"seed {asked.seed}, {asked.replicas} gateways, {asked.rate:g} requests a second",
          file=sys.stderr)  # fmt: skip
    with running(
        policy_text(amounts(10**7)),
        asked.replicas,
        shared=True,
        reservation_margin_seconds="2",
        sweep_seconds="0.5",
    ) as plant:
        clients, lag = asyncio.run(_drive(plant, asked))
        settled(plant, plant.gateways[0], SETTLE_SECONDS)
        found = audit(plant, plant.gateways[0])
        lag.after = _lag(plant)
    seen = clients.seen
    row = {
        "seconds away": asked.away,
        "sent": seen.sent,
        "refused": seen.refused,
        "broken": seen.broken,
        "served": found.served,
        "lost": len(found.lost),
        "doubled": len(found.doubled),
        "open": found.open,
        "lag before": round(max(lag.before, default=0.0), 2),
        "lag away": round(max(lag.away, default=0.0), 2),
        "lag after": round(lag.after, 2),
    }
    print(json.dumps({**row, "codes": seen.codes}) if asked.json else table([row]))
    rose = row["lag away"] > asked.away / 2 > row["lag after"]
    wrong = seen.refused or seen.broken or found.lost or found.doubled or found.open
    return 0 if rose and not wrong and found.served else 1


async def _drive(plant: Plant, asked: argparse.Namespace) -> tuple[Clients, Lag]:
    assert plant.postgres is not None
    uses = [
        (await asyncio.to_thread(plant.key, f"by-{measure}"), model)
        for measure, model in MODELS.items()
    ]
    clients = Clients(plant.urls, uses, Mix(leaving=0.0), random.Random(asked.seed))
    lag = Lag()
    load = asyncio.create_task(open_loop(clients, asked.rate, asked.away + 2 * asked.margin))
    try:
        await _watch(plant, asked.margin, lag.before)
        await asyncio.to_thread(plant.postgres.kill)
        try:
            await _watch(plant, asked.away, lag.away)
        finally:
            await asyncio.to_thread(plant.postgres.start)
    finally:
        await load
    return clients, lag


async def _watch(plant: Plant, seconds: float, seen: list[float]) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        await asyncio.sleep(min(1.0, max(0.0, end - loop.time())))
        seen.append(await asyncio.to_thread(_lag, plant))


def _lag(plant: Plant) -> float:
    return max(gateway.metric(LAG) for gateway in plant.gateways)


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--away", type=float, default=60.0, help="seconds without Postgres")
    parser.add_argument("--margin", type=float, default=5.0, help="seconds before and after it")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
