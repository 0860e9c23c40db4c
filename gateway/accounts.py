"""The two ways to keep accounts, wired: in this process over SQL, or shared through Redis.

Embedded, SQL is write-ahead and book in one. Shared, Redis is the write-ahead and SQL the book.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from gateway.backends.database import Database
from gateway.backends.memory_ledger import MemoryLedger
from gateway.backends.sql_book import Count
from gateway.backends.sql_journal import SqlJournal
from gateway.errors import Unwritten
from gateway.logs.log import request_fields
from gateway.parts import Log
from gateway.quota.ledger import Ledger
from gateway.settings import Settings
from gateway.usage.entry import Entry
from gateway.usage.record import Journal


@dataclass(frozen=True, slots=True)
class Accounts:
    """`abandoned` is how many reservations of a process that died were booked at the start. `work`
    must run beside the requests, by the part that it keeps whole. `trouble` is a sentence about
    what keeps this process from keeping accounts at the moment, or None. `rules_changed` is to be
    called when a policy was taken over: a limit that comes back must find what was used since."""

    ledger: Ledger
    journal: Journal
    abandoned: int
    trouble: Callable[[], str | None] = lambda: None
    rules_changed: Callable[[], None] = lambda: None
    work: dict[str, Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sources:
    """Of time (unix seconds) and of chance."""

    clock: Callable[[], float]
    random_bytes: Callable[[int], bytes]


@asynccontextmanager
async def embedded(
    settings: Settings, database: Database, sources: Sources, log: Log, count: Count
) -> AsyncIterator[Accounts]:
    """Accounts of this process alone. What was not written at the end is logged in full. `count` is
    told of the abandoned entries that this process puts into the book, as nobody else counts them.

    Raises DatabaseProblem at the start, and Unwritten at the end."""
    journal = SqlJournal(
        database,
        flush_seconds=settings.journal_flush_seconds,
        batch_max=settings.journal_batch_max,
        pending_max=settings.journal_pending_max,
        clock=sources.clock,
        random_bytes=sources.random_bytes,
        count=count,
    )
    abandoned = await journal.start()
    try:
        yield Accounts(MemoryLedger(journal), journal, abandoned, lambda: journal.trouble)
    finally:
        tell_unwritten(await journal.aclose(), log)


def tell_unwritten(unwritten: Iterable[Entry], log: Log) -> None:
    """What the database did not take is logged in full, so that nothing is lost. Raises Unwritten
    where there is any."""
    entries = tuple(unwritten)
    for entry in entries:
        log.error("entry_not_written", time=entry.time, **request_fields(entry, 0.0))
    if entries:
        raise Unwritten(
            f"{len(entries)} entries of usage could not be written to the database; the log has "
            "each of them, as entry_not_written."
        )
