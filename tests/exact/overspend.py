"""`make overspend-test`: many clients and processes against budgets that are worth few requests.

Prints what was sent, admitted, refused, and what the upstream itself says that it served of each
budget. Exits with 1 where that is more than the budget, or something stays reserved."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from typing import Any

from audit import booked_by, entries_of, served_by, settled, table
from load import Clients, Mix, Seen, closed_loop
from plant import Plant, running
from policy import MODELS, PRICE, amounts, policy_text

SETTLE_SECONDS = 60
REQUESTS_PER_BUDGET = 2  # so many times what it is worth are sent, so that it is used up


def main(words: list[str]) -> int:
    asked = _arguments(words)
    budgets = amounts(asked.budget)
    print(f"seed {asked.seed}, {'redis' if asked.redis else 'embedded'}, "
          f"{asked.replicas} processes, {asked.clients} clients", file=sys.stderr)  # fmt: skip
    with running(
        policy_text(budgets),
        asked.replicas,
        shared=asked.redis,
        reservation_margin_seconds="2",
        sweep_seconds="0.5",
        requests_max=str(asked.clients * 2),
        requests_per_key_max=str(asked.clients * 2),
    ) as plant:
        seen = _drive(plant, asked)
        settled(plant, plant.gateways[0], SETTLE_SECONDS)
        rows = [_row(plant, measure, budgets[measure]) for measure in MODELS]
        head, counters = plant.gateways[0].counters()
        left = sum(one["reserved"] for one in counters) + head["pending"]
    totals = {"sent": seen.sent, "admitted": seen.admitted, "refused": seen.refused,
              "left": seen.left, "broken": seen.broken, "open": left}  # fmt: skip
    if asked.json:
        print(json.dumps({**totals, "codes": seen.codes, "budgets": rows}))
    else:
        print(table([totals]), dict(seen.codes), table(rows), sep="\n")
    is_whole = all(row["overspent"] == 0 and row["served"] for row in rows)
    return 0 if is_whole and left == 0 and seen.broken == 0 else 1


def _drive(plant: Plant, asked: argparse.Namespace) -> Seen:
    uses = [(plant.key(f"by-{measure}"), model) for measure, model in MODELS.items()]
    mix = Mix(streams=0.5, leaving=0.1)
    clients = Clients(plant.urls, uses, mix, random.Random(asked.seed))
    requests = round(asked.budget * len(uses) * REQUESTS_PER_BUDGET)
    asyncio.run(closed_loop(clients, asked.clients, asyncio.Event(), requests))
    return clients.seen


def _row(plant: Plant, measure: str, budget: int) -> dict[str, Any]:
    served = served_by(plant, MODELS[measure], PRICE)
    booked = booked_by(entries_of(plant.gateways[0]), MODELS[measure])
    return {
        "measure": measure,
        "budget": budget,
        "served": served[measure],
        "overspent": max(0, served[measure] - budget, booked[measure] - budget),
        "booked": booked[measure],
        "requests": served["requests"],
        "entries": booked["requests"],
    }


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redis", action="store_true", help="on Redis and Postgres")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--budget", type=int, default=1000, help="requests that one is worth")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
