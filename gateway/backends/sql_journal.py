"""The Journal in SQL, and the Book that a ledger's counters are rebuilt from.

Entries wait in memory, in order, and a single writer takes them to the table in batches. A batch
leaves the memory only when it is committed; one that failed is tried again, however often, and
rows that were written already are passed over by their id. So an entry is in the book once, and at
every moment it is either pending here or committed there, or (for the length of a commit, or after
a connection broke in one) both: `spent` counts it once all the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway.backends.database import Database
from gateway.backends.database_problem import DatabaseProblem, DataRefused
from gateway.backends.sql_entries import row_of, storable, storable_text
from gateway.backends.tables import entries, micros
from gateway.errors import Unavailable
from gateway.quota.ledger import Record, Subject
from gateway.quota.limit import Amounts
from gateway.usage.entry import Entry
from gateway.usage.record import JournalState

RETRY_SECONDS_MIN = 0.05
RETRY_SECONDS_MAX = 5.0
IDS_MAX = 500  # of one statement: every database takes so many parameters
LOGGER = "gateway.journal"

T = TypeVar("T")


class SqlJournal:
    """`start` it, `append` on the event loop, `aclose` it. Times in seconds.

    Readers raise `errors.Unavailable` (code database_unavailable)."""

    def __init__(
        self,
        database: Database,
        flush_seconds: float,
        batch_max: int,
        pending_max: int,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._flush_seconds = flush_seconds
        self._batch_max = batch_max
        self._pending_max = pending_max
        self._clock = clock
        self._pending: dict[str, Entry] = {}
        self._since: dict[str, float] = {}  # when each of them was appended
        self._set_aside: dict[str, Entry] = {}
        self._errors = 0
        self._some = asyncio.Event()  # something is pending
        self._now = asyncio.Event()  # do not wait for more
        self._steady = asyncio.Lock()  # no batch is between memory and table
        self._written = asyncio.Condition()
        self._writer: asyncio.Task[None] | None = None

    @property
    def set_aside(self) -> Sequence[Entry]:
        """Entries that the database refused. They count in `spent` while this process lives."""
        return tuple(self._set_aside.values())

    async def start(self) -> None:
        """Begin to write."""
        self._writer = asyncio.create_task(self._write_forever(), name="journal writer")

    async def aclose(self, grace_seconds: float = 10.0) -> tuple[Entry, ...]:
        """Write what is pending, for at most so long, and as long again for a batch in work.

        Returns every entry that is not known to be in the table, set aside ones first. Nobody else
        has them any more; whoever writes them later may do so by their id. A writer that died is
        logged and keeps none of them back."""
        writer, self._writer = self._writer, None
        if writer is not None:
            if not writer.done():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.flush(), grace_seconds)
                with suppress(TimeoutError):  # a batch in work: is it committed?
                    await asyncio.wait_for(self._at_rest(), grace_seconds)
            writer.cancel()
            await asyncio.wait([writer])
            if not writer.cancelled() and (fault := writer.exception()) is not None:
                logging.getLogger(LOGGER).error("The writer of usage failed.", exc_info=fault)
        return (*self._set_aside.values(), *self._pending.values())

    async def _at_rest(self) -> None:
        async with self._steady:
            pass

    def append(self, record: Record) -> None:
        """Take the entry; never waits. The first one of an id counts."""
        if not isinstance(record, Entry):
            raise TypeError("a journal takes entries")
        entry = storable(record)
        if entry.id in self._set_aside:
            return
        self._pending.setdefault(entry.id, entry)
        self._since.setdefault(entry.id, self._clock())
        self._some.set()
        if len(self._pending) >= self._batch_max:
            self._now.set()

    async def flush(self) -> None:
        """Return when everything appended before is committed, however long that takes."""
        waiting = set(self._pending)
        self._now.set()
        async with self._written:
            await self._written.wait_for(lambda: waiting.isdisjoint(self._pending))

    def state(self, now: float) -> JournalState:
        oldest = next(iter(self._since.values()), now)
        return JournalState(
            pending=len(self._pending),
            lag_seconds=max(0.0, now - oldest),
            errors=self._errors,
            full=len(self._pending) >= self._pending_max or self._writer_died(),
        )

    async def spent(self, subject: Subject, since: float) -> Amounts:
        """Σ of every entry of the subject with time ≥ since that was appended before this returns.

        While it looks, no batch is written, so that nothing moves from one count to the other."""
        wanted = {name: storable_text(value) for name, value in subject}
        start = micros(since)
        async with self._steady:
            known = [e.id for e in self._of(wanted, start)]

            def query(connection: Connection) -> tuple[Amounts, set[str]]:
                return _spent(connection, wanted, start), _written_of(connection, known)

            amounts, written = await self._read(query)
            return _total(amounts, (e for e in self._of(wanted, start) if e.id not in written))

    def _of(self, wanted: dict[str, str], start: int) -> Iterator[Entry]:
        for store in (self._pending, self._set_aside):
            for entry in store.values():
                if micros(entry.time) >= start and all(
                    getattr(entry, name) == value for name, value in wanted.items()
                ):
                    yield entry

    async def _read(self, query: Callable[[Connection], T]) -> T:
        try:
            return await self._database.read(query)
        except DatabaseProblem as problem:
            raise Unavailable(str(problem), code="database_unavailable") from problem

    def _writer_died(self) -> bool:
        return self._writer is not None and self._writer.done()

    async def _write_forever(self) -> None:
        while True:
            await self._some.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._now.wait(), self._flush_seconds)
            self._now.clear()
            waiting = list(self._pending.values())
            for start in range(0, len(waiting), self._batch_max):
                await self._write_surely(waiting[start : start + self._batch_max])
            if not self._pending:
                self._some.clear()

    async def _write_surely(self, batch: list[Entry]) -> None:
        """Write the batch, however long the database is away."""
        delay = RETRY_SECONDS_MIN
        failed = False
        while True:
            try:
                await self._write(batch)
            except DatabaseProblem as problem:
                self._errors += 1
                if not failed:
                    logging.getLogger(LOGGER).warning(
                        f"Usage cannot be written now; it is kept and tried again. {problem}"
                    )
                failed = True
                await asyncio.sleep(delay)
                delay = min(2 * delay, RETRY_SECONDS_MAX)
            else:
                break
        if failed:
            logging.getLogger(LOGGER).warning("Usage is written again.")

    async def _write(self, batch: list[Entry]) -> None:
        async with self._steady:
            refused = await self._insert(batch)
            for entry in refused:
                self._set_aside[entry.id] = entry
            for entry in batch:
                del self._pending[entry.id], self._since[entry.id]
        async with self._written:
            self._written.notify_all()

    async def _insert(self, batch: list[Entry]) -> list[Entry]:
        """Commit the batch; those that the database refuses come back, found by halving."""
        try:
            await self._database.write(lambda connection: _insert(connection, batch))
            return []
        except DataRefused as refusal:
            if len(batch) > 1:
                middle = len(batch) // 2
                return await self._insert(batch[:middle]) + await self._insert(batch[middle:])
            self._errors += 1
            logging.getLogger(LOGGER).error(
                f"The database refused the entry {batch[0].id} ({refusal}); it is set aside."
            )
            return batch


def _insert(connection: Connection, batch: Sequence[Entry]) -> None:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(entries).on_conflict_do_nothing()
    connection.execute(statement, [row_of(entry) for entry in batch])


def _spent(connection: Connection, wanted: dict[str, str], start: int) -> Amounts:
    columns = (entries.c.requests, entries.c.input_tokens, entries.c.output_tokens,
               entries.c.cost_nano)  # fmt: skip
    statement = select(*(func.coalesce(func.sum(column), 0) for column in columns)).where(
        entries.c.time >= start, *(entries.c[name] == value for name, value in wanted.items())
    )
    return Amounts(*(int(value) for value in connection.execute(statement).one()))


def _written_of(connection: Connection, ids: Sequence[str]) -> set[str]:
    written: set[str] = set()
    for start in range(0, len(ids), IDS_MAX):
        some = ids[start : start + IDS_MAX]
        written.update(connection.scalars(select(entries.c.id).where(entries.c.id.in_(some))))
    return written


def _total(amounts: Amounts, more: Iterable[Entry]) -> Amounts:
    pending = list(more)
    return Amounts(
        requests=amounts.requests + sum(e.requests for e in pending),
        input_tokens=amounts.input_tokens + sum(e.tokens.input for e in pending),
        output_tokens=amounts.output_tokens + sum(e.tokens.output for e in pending),
        cost_nano=amounts.cost_nano + sum(e.cost_nano for e in pending),
    )
