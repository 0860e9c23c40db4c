"""Short words for what a Book holds, and for what goes wrong meanwhile."""

import asyncio
import os

from sqlalchemy import select

from gateway.backends.database import Database, DatabaseProblem
from gateway.backends.sql_journal import SqlJournal
from gateway.backends.tables import entries, reservations
from gateway.quota.ledger import Reservation
from gateway.quota.limit import Amounts
from gateway.usage.entry import Entry, Outcome, Tokens

NOW = 1_800_000_000.0
ACME = (("organization", "acme"),)


def entry(n, **more) -> Entry:
    given = {
        "id": f"req_{n}", "time": NOW + n, "organization": "acme", "requests": 1, "cost_nano": 7,
        "tokens": Tokens(input=10, output=3),
    }  # fmt: skip
    return Entry(**(given | more))


def bound_of(n) -> Entry:
    """What a reservation is booked at should nobody come back."""
    return entry(n, cost_nano=100, outcome=Outcome.ABANDONED, tokens=Tokens(input=10, output=90))


def reservation(n) -> Reservation:
    return Reservation(f"req_{n}", (), ACME, Amounts(), bound_of(n), NOW + 600)


def journal_of(database, *, flush_seconds=60.0, batch_max=100) -> SqlJournal:
    return SqlJournal(
        database, flush_seconds, batch_max, 1000, clock=lambda: NOW, random_bytes=os.urandom
    )


def using(url, work, **options):
    """What `work(journal, database)` returns; the journal waits a minute unless it is woken."""

    async def main():
        database = Database(url, 2)
        journal = journal_of(database, **options)
        try:
            await journal.start()
            return await asyncio.wait_for(work(journal, database), 30)
        finally:
            await journal.aclose(grace_seconds=1)
            await database.aclose()

    return asyncio.run(main())


async def held(database) -> set[str]:
    return set(await database.read(lambda c: list(c.scalars(select(reservations.c.id)))))


async def booked(database) -> dict[str, str]:
    query = select(entries.c.id, entries.c.outcome)
    return await database.read(lambda c: dict(tuple(row) for row in c.execute(query)))


async def crash(journal) -> None:
    """As kill -9: what waits in memory is lost, and the lock is gone with the process."""
    journal._writer.cancel()
    await asyncio.wait([journal._writer])
    await journal._ownership.release()


class Script:
    """Stands between a journal and its database: commits fail or wait as it says."""

    def __init__(self, database, monkeypatch, *steps):
        self.steps = list(steps)
        self.calls = 0
        self.gate = asyncio.Event()
        self.inside = asyncio.Event()
        self._write = database.post
        monkeypatch.setattr(database, "post", self.write)

    async def write(self, change):
        self.calls += 1
        step = self.steps.pop(0) if self.steps else "ok"
        if step == "wait":
            self.inside.set()
            await self.gate.wait()
        if step == "before":
            raise DatabaseProblem("The connection broke before the commit.")
        done = await self._write(change)
        if step == "after":
            raise DatabaseProblem("The connection broke after the commit.")
        return done
