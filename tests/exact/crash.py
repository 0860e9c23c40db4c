"""`make crash-test`: kill -9 of the gateway, of Redis and of Postgres under load, then an audit.

The upstream is a process of its own that is never killed, and notes what it served. When all
leases are over, each request that it served must be in the book once, at no fewer tokens than it
served; counters must be the sums of their entries, within their amounts; nothing may stay reserved.
Exits with 1 where one of these does not hold. The same seed gives the same kills and requests, not
the same moments."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable

from audit import Audit, audit, booked_by, entries_of, served_by, settled, table
from load import Clients, Mix, closed_loop
from plant import Plant, running
from policy import MODELS, PRICE, amounts, policy_text

SETTLE_SECONDS = 90
BUDGET_REQUESTS = {"requests": 500, "tokens": 10**6, "money": 10**6}
"""What the budgets are worth: one is used up on the way, the others never, so that load goes on."""
WAIT_SECONDS = (0.5, 3.0)  # between a start and the next kill
AWAY_SECONDS = (0.0, 1.0)  # before what was killed is started again


def main(words: list[str]) -> int:
    asked = _arguments(words)
    mode = "redis and postgres" if asked.redis else "embedded"
    print(f"seed {asked.seed}, {mode}, {asked.replicas} gateways", file=sys.stderr)
    budgets = {measure: amounts(requests)[measure] for measure, requests in BUDGET_REQUESTS.items()}
    with running(
        policy_text(budgets),
        asked.replicas,
        shared=asked.redis,
        reservation_margin_seconds="1",
        write_timeout_seconds="3",
        sweep_seconds="0.5",
    ) as plant:
        clients, kills = asyncio.run(_drive(plant, asked))
        first = plant.gateways[0]
        settled(plant, first, SETTLE_SECONDS)
        found = audit(plant, first)
        rows = entries_of(first)
        overspent = {
            measure: max(booked_by(rows, model)[measure], served_by(plant, model, PRICE)[measure])
            - budgets[measure]
            for measure, model in MODELS.items()
        }
    overspent = {measure: over for measure, over in overspent.items() if over > 0}
    _print(asked, clients, kills, found, overspent)
    broken = found.lost or found.short or found.doubled or found.open or overspent
    return 1 if broken or not found.served else 0


async def _drive(plant: Plant, asked: argparse.Namespace) -> tuple[Clients, Counter[str]]:
    """Load until the last kill has been mended."""
    uses = [
        (await asyncio.to_thread(plant.key, f"by-{measure}"), model)
        for measure, model in MODELS.items()
    ]
    mix = Mix(streams=0.5, leaving=0.1, chunk_delay_seconds=0.02)
    clients = Clients(plant.urls, uses, mix, random.Random(asked.seed))
    ended = asyncio.Event()
    load = asyncio.create_task(closed_loop(clients, asked.clients, ended, sys.maxsize))
    try:
        kills = await asyncio.to_thread(_kill, plant, asked, random.Random(asked.seed + 1))
    finally:
        ended.set()
        await load
    return clients, kills


def _kill(plant: Plant, asked: argparse.Namespace, chance: random.Random) -> Counter[str]:
    """Kill one thing after another at random moments, and start it again."""
    kills: Counter[str] = Counter()
    acts = _acts(plant, chance)
    end = time.monotonic() + asked.seconds
    while kills.total() < asked.kills if asked.kills else time.monotonic() < end:
        time.sleep(chance.uniform(*WAIT_SECONDS))
        what = chance.choice(sorted(acts))
        acts[what]()
        kills[what] += 1
    return kills


def _acts(plant: Plant, chance: random.Random) -> dict[str, Callable[[], None]]:
    def gateway() -> None:
        one = chance.choice(plant.gateways)
        one.end(signal.SIGKILL)
        time.sleep(chance.uniform(*AWAY_SECONDS))
        one.start()
        one.ready()

    def redis() -> None:
        assert plant.redis is not None
        plant.redis.end(signal.SIGKILL)
        time.sleep(chance.uniform(*AWAY_SECONDS))
        plant.redis.start()
        plant.redis.ready()

    def postgres() -> None:
        assert plant.postgres is not None
        plant.postgres.kill()
        time.sleep(chance.uniform(*AWAY_SECONDS))
        plant.postgres.start()

    acts: dict[str, Callable[[], None]] = {"gateway": gateway}
    if plant.redis is not None:
        acts |= {"redis": redis, "postgres": postgres}
    return acts


def _print(
    asked: argparse.Namespace,
    clients: Clients,
    kills: Counter[str],
    found: Audit,
    overspent: dict[str, int],
) -> None:
    seen = clients.seen
    row = {
        "kills": kills.total(),
        "requests": seen.sent,
        "broken": seen.broken,
        "served": found.served,
        "entries": found.entries,
        "lost": len(found.lost),
        "short": len(found.short),
        "doubled": len(found.doubled),
        "overspent": sum(overspent.values()),
        "open": found.open,
        "unsent": found.unsent,
    }
    if asked.json:
        print(json.dumps({**row, "killed": kills, "codes": seen.codes}))
        return
    print(table([row]), dict(kills), dict(seen.codes), sep="\n")
    for name, wrong in {"lost": found.lost, "short": found.short, "doubled": found.doubled}.items():
        for one in wrong[:10]:
            print(f"{name}: {one}")
    for measure, over in overspent.items():
        print(f"overspent: {measure} by {over}")


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redis", action="store_true", help="on Redis and Postgres")
    parser.add_argument("--replicas", type=int, default=None, help="gateways (1, with --redis 2)")
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--kills", type=int, default=0, help="so many, instead of the seconds")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(words)
    asked.replicas = asked.replicas or (2 if asked.redis else 1)
    return asked


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
