"""What the embedded book costs: CPU and wait of a request's hold and append, without the request.

Uses nothing but what every version of SqlJournal has, so that one and the same file measures any of
them. `--busy` is Python work of so many microseconds before each hold and each append, as a request
does it on the event loop: a book that needs the interpreter often waits for it then.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop

from gateway.backends.database import Database
from gateway.backends.sql_journal import SqlJournal
from gateway.quota.ledger import Reservation
from gateway.quota.limit import Amounts
from gateway.usage.entry import Entry, Outcome, Source, Tokens

AT_ONCE = (1, 16, 64)
RATE = 500
SWITCH_SECONDS = 0.001  # as the gateway has it
WHOM = (
    ("organization", "acme"),
    ("project", "search"),
    ("key_id", "key_0123456789"),
    ("end_user", ""),
    ("model", "bench"),
)


def entry(id: str, now: float, outcome: Outcome, tokens: Tokens, duration_ms: int) -> Entry:
    return Entry(
        id=id, time=now, organization="acme", project="search", key_id="key_0123456789",
        model="bench", served_model="bench-1", upstream="fake", endpoint="chat", status=200,
        outcome=outcome, requests=1, tokens=tokens, source=Source.PROVIDER, cost_nano=12_500,
        currency="EUR", duration_ms=duration_ms, redactions={"EMAIL_ADDRESS:placeholder": 1},
        policy_digest="0123456789abcdef",
    )  # fmt: skip


class Requests:
    """Each holds, waits as if for an upstream, and appends. `waits` are of the holds, seconds."""

    def __init__(self, journal: SqlJournal, busy_us: float, away_seconds: float) -> None:
        self.waits: list[float] = []
        self._journal, self._busy_us, self._away_seconds = journal, busy_us, away_seconds

    async def one(self, due: float) -> None:
        _work(self._busy_us)
        now = time.time()
        id = f"req_t{int(now * 1000):012x}{os.urandom(10).hex()}"
        bound = entry(id, now, Outcome.ABANDONED, Tokens(60, 0, 500), 0)
        claims = Reservation(id, (), WHOM, Amounts(1, 60, 500, 12_500), bound, now + 600)
        await self._journal.hold(claims)
        self.waits.append(time.perf_counter() - due)
        await asyncio.sleep(self._away_seconds)
        _work(self._busy_us)
        self._journal.append(entry(id, now, Outcome.OK, Tokens(60, 0, 40), 12))

    async def closed(self, at_once: int, number: int) -> None:
        async def client() -> None:
            for _ in range(number // at_once):
                await self.one(time.perf_counter())

        await asyncio.gather(*(client() for _ in range(at_once)))

    async def opened(self, rate: float, number: int) -> None:
        begin, tasks = time.perf_counter(), []
        for n in range(number):
            due = begin + n / rate
            if (rest := due - time.perf_counter()) > 0:
                await asyncio.sleep(rest)
            tasks.append(asyncio.create_task(self.one(due)))
        await asyncio.gather(*tasks)


def _work(microseconds: float) -> None:
    end = time.thread_time() + microseconds / 1e6
    while time.thread_time() < end:
        pass


@asynccontextmanager
async def _journal(url: str) -> AsyncIterator[SqlJournal]:
    database = Database(url, 4)
    database.migrate()
    journal = SqlJournal(database, 0.1, 1000, 100_000, clock=time.time, random_bytes=os.urandom)
    await journal.start()
    try:
        yield journal
    finally:
        await journal.aclose()
        await database.aclose()


async def measure(
    name: str, journal: SqlJournal, asked: argparse.Namespace,
    drive: Callable[[Requests, int], Awaitable[None]], away_seconds: float,
) -> None:  # fmt: skip
    """Prints a row. CPU is the least of the rounds, as other work only adds; waits are of all."""
    main, rest, waits = [], [], []
    for _ in range(asked.rounds):
        requests = Requests(journal, asked.busy, away_seconds)
        gc.collect()
        thread, process = time.thread_time(), time.process_time()
        await drive(requests, asked.number)
        await journal.flush()
        spent = time.thread_time() - thread
        main.append(spent)
        rest.append(time.process_time() - process - spent)
        waits += requests.waits
    us = [1e6 * min(part) / asked.number for part in (main, rest)]
    cuts = statistics.quantiles(waits, n=1000)
    shown = (us[0] - 2 * asked.busy, us[1], us[0] - 2 * asked.busy + us[1])
    print(
        f"{name:>12}" + "".join(f"{one:>10.0f}" for one in shown)
        + "".join(f"{1000 * cuts[place - 1]:>10.2f}" for place in (500, 990, 999)),
        flush=True,
    )  # fmt: skip


async def run(asked: argparse.Namespace, url: str) -> None:
    print("            CPU us a request            ms of a hold")
    print(f"{'':>12}{'main':>10}{'threads':>10}{'all':>10}{'p50':>10}{'p99':>10}{'p99.9':>10}")
    async with _journal(url) as journal:
        await Requests(journal, 0, 0).closed(16, 320)
        for at_once in AT_ONCE:
            await measure(f"{at_once} at once", journal, asked,
                          lambda r, n, k=at_once: r.closed(k, n), 0)  # fmt: skip
        await measure(f"{asked.rate:g}/s", journal, asked,
                      lambda r, n: r.opened(asked.rate, n), 0.002)  # fmt: skip


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=1600, help="requests of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate", type=float, default=RATE, help="of the open loop, a second")
    parser.add_argument("--busy", type=float, default=0.0, help="us before each hold and append")
    parser.add_argument("--database", help="URL; without it SQLite in a temporary folder")
    asked = parser.parse_args(words)
    sys.setswitchinterval(SWITCH_SECONDS)
    with tempfile.TemporaryDirectory(dir=Path.cwd() / "build") as folder:
        uvloop.run(run(asked, asked.database or f"sqlite:///{folder}/gateway.db"))


if __name__ == "__main__":
    main(sys.argv[1:])
