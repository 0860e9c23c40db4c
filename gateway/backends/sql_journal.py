"""The Journal in SQL, and the Book of the embedded ledger: what it holds, and what its counters are
rebuilt from.

Group commit: all holds that wait share a transaction, and while that is committed the next group
gathers. A reservation is held when its row is committed, so the first hold of a group is on its way
at once. Entries wait in memory, in order, for a moment, and are then written in transactions of
their own, which no hold waits for that came before: most of what posting costs is the same however
few they are. All transactions go one after the other, in the order in which they were asked for.

An entry leaves the memory only when it is committed; a group that failed is tried again, however
often, and rows that were written already are passed over by their id. So an entry is in the book
once, and at every moment it is either pending here or committed there, or (for the length of a
commit, or after a connection broke in one) both: `spent` counts it once all the same. Holds do not
wait for a database that is away: they fail at once, and leave no row behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from sqlalchemy import Connection

from gateway.backends.database import Database
from gateway.backends.database_problem import DatabaseProblem, DataRefused, unavailable
from gateway.backends.holds import ENDED, Holds, cannot_hold
from gateway.backends.moment import Moment
from gateway.backends.ownership import Ownership
from gateway.backends.sql_book import (
    Change,
    Count,
    apply,
    hold_of,
    known_of,
    read_generations,
)
from gateway.backends.sql_entries import storable
from gateway.backends.sql_spent import sum_spent
from gateway.backends.unwritten import Unwritten, total
from gateway.backends.writability import TAKEN_OVER, Writability, log
from gateway.quota.ledger import Generations, Record, Reservation, Subject
from gateway.quota.limit import Amounts
from gateway.usage.entry import Entry
from gateway.usage.record import JournalState

RETRY_SECONDS_MIN = 0.05
RETRY_SECONDS_MAX = 5.0

T = TypeVar("T")


class SqlJournal:
    """`start` it, use it on the event loop, `aclose` it. Times in seconds.

    Readers raise `errors.Unavailable` (code database_unavailable)."""

    def __init__(
        self, database: Database, flush_seconds: float, batch_max: int, pending_max: int,
        clock: Callable[[], float], random_bytes: Callable[[int], bytes],
        count: Count = lambda _: None,
    ) -> None:  # fmt: skip
        self._database, self._count = database, count
        self._batch_max, self._pending_max = batch_max, pending_max
        self._clock = clock
        self._owner = random_bytes(16).hex()
        self._ownership = Ownership(database, self._owner)
        self._wake = asyncio.Event()  # entries are due
        self._moment = Moment(flush_seconds, self._wake.set)  # for which entries wait
        self._unwritten = Unwritten(self._moment.begin)
        self._writability = Writability(self._moment.end)
        self._holds = Holds(database, self._owner, self._unwritten, self._writability, self._end)
        self._steady = asyncio.Lock()  # no group is between memory and table
        self._writer: asyncio.Task[None] | None = None

    @property
    def set_aside(self) -> Sequence[Entry]:
        """Entries that the database refused. They count in `spent` while this process lives."""
        return tuple(self._unwritten.set_aside.values())

    @property
    def trouble(self) -> str | None:
        """Why nothing can be held at the moment; after a take-over, for good."""
        return self._writability.trouble

    async def start(self) -> int:
        """Take the database for this process, and begin to write. How many reservations were left
        open by another one, and are booked now.

        Raises DatabaseProblem, also where another gateway has the database."""
        left_open = await self._ownership.take()
        if left_open:
            told = f"{len(left_open)} reservations were left open; they are booked at their bounds."
            log().warning(told)
        for entry in left_open:
            self._count(entry)
        self._writer = asyncio.create_task(self._write_forever(), name="journal writer")
        return len(left_open)

    async def aclose(self, grace_seconds: float = 10.0) -> tuple[Entry, ...]:
        """Write what is pending, for at most so long, and as long again for a group in work.

        Returns every entry that is not known to be in the table, set aside ones first. Nobody else
        has them any more; whoever writes them later may do so by their id. A writer that died is
        logged and keeps none of them back."""
        writer, self._writer = self._writer, None
        if writer is not None:
            if not writer.done():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.flush(), grace_seconds)
                with suppress(TimeoutError):  # a group in work: is it committed?
                    await asyncio.wait_for(self._at_rest(), grace_seconds)
            writer.cancel()
            await asyncio.wait([writer])
            if not writer.cancelled() and (fault := writer.exception()) is not None:
                log().error("The writer of usage failed.", exc_info=fault)
            await self._ownership.release()
        self._moment.forget()
        return self._unwritten.all()

    async def _at_rest(self) -> None:
        await self._holds.at_rest()
        async with self._steady:
            pass

    async def hold(self, reservation: Reservation) -> Generations:
        """As the port says. Unavailable has the code ledger_unavailable, and comes at once."""
        hold = hold_of(reservation)
        if self._writability.is_taken_over:
            raise cannot_hold(TAKEN_OVER)
        if self._writer is None or self._writer.done():
            raise cannot_hold(ENDED)
        waiting = self._holds.add(hold)
        try:
            told = await waiting
        except asyncio.CancelledError:
            if self._holds.withdraw(hold):
                self._unwritten.forget(hold.id)
            raise
        if isinstance(told, str):
            raise cannot_hold(told)
        return told

    def forget(self, id: str) -> None:
        """What is held under the id goes as an entry would; never waits."""
        self._unwritten.forget(id)

    def append(self, record: Record) -> None:
        """Take the entry; never waits. The first one of an id counts."""
        if not isinstance(record, Entry):
            raise TypeError("a journal takes entries")
        self._unwritten.add(storable(record), self._clock())
        if len(self._unwritten.pending) < self._batch_max:
            self._moment.begin()
        else:
            self._moment.end()

    async def flush(self) -> None:
        """Return when all that was appended or forgotten before is committed, however late."""
        self._moment.end()
        await self._unwritten.until_written()

    def state(self, now: float) -> JournalState:
        oldest = self._unwritten.oldest()
        pending = len(self._unwritten.pending)
        return JournalState(
            pending=pending,
            lag_seconds=0.0 if oldest is None else max(0.0, now - oldest),
            errors=self._writability.errors,
            full=self.is_full(),
            set_aside=len(self._unwritten.set_aside),
        )

    def is_full(self) -> bool:
        has_ended = self._writer is not None and self._writer.done()
        return has_ended or len(self._unwritten.pending) >= self._pending_max

    async def generations(self) -> Generations:
        return await self._read(read_generations)

    async def spent(self, subject: Subject, since: float, until: float | None = None) -> Amounts:
        """Σ of every entry of the subject with since ≤ time < until that was appended before this
        returns.

        While it looks, no group is written, so that nothing moves from one count to the other."""
        async with self._steady:
            maybe = [entry.id for entry in self._unwritten.of(subject, since, until)]

            def query(connection: Connection) -> tuple[Amounts, set[str]]:
                written = known_of(connection, maybe)
                return sum_spent(connection, subject, since, until), written

            amounts, written = await self._read(query)
            more = self._unwritten.of(subject, since, until)
            return total(amounts, [entry for entry in more if entry.id not in written])

    async def _read(self, query: Callable[[Connection], T]) -> T:
        try:
            return await self._database.read(query)
        except DatabaseProblem as problem:
            raise unavailable() from problem

    async def _write_forever(self) -> None:
        try:
            while True:
                await self._wake.wait()
                await self._write_surely()
        finally:
            self._holds.fail(ENDED)

    async def _write_surely(self) -> None:
        """Write what is due, however long the database is away. When a hold could be written, it is
        tried at once."""
        delay = RETRY_SECONDS_MIN
        while True:
            if self._writability.is_failing:
                await self._writability.until_written(delay)
                delay = min(2 * delay, RETRY_SECONDS_MAX)
            if (problem := await self._write()) is None:
                break
            self._writability.failed(problem)
        if self._writability.is_failing:
            self._writability.recovered()
            await self._ownership.keep()

    async def _write(self) -> DatabaseProblem | None:
        """A batch of what is due. What went wrong, or None."""
        self._wake.clear()
        entries, gone = self._taken() if self._moment.is_over else ([], {})
        try:
            async with self._steady:
                await self._commit(Change(entries, gone=tuple(gone)))
        except DatabaseProblem as problem:
            return problem
        if entries or gone:
            self._unwritten.went(gone)
            await self._unwritten.tell()
        return None

    def _taken(self) -> tuple[list[Entry], dict[str, object]]:
        """A batch of what is due, which stays in memory until it is committed."""
        self._moment.start_anew()
        entries = self._unwritten.first(self._batch_max)
        if len(entries) < len(self._unwritten.pending):
            self._moment.end()
        return entries, dict(self._unwritten.gone)

    async def _commit(self, change: Change) -> None:
        """Commit the change; what the database refuses of it is found by halving. What was to go
        and is held anew since then stays."""
        gone = tuple(id for id in change.gone if id in self._unwritten.gone)
        change = Change(change.entries, gone=gone)
        if not change:
            return
        try:
            told = await self._database.post(lambda c: apply(c, change, self._owner))
        except DataRefused as refusal:
            halves = change.halves()
            if not halves:
                self._refused(change, refusal)
            for half in halves:
                await self._commit(half)
            return
        _, abandoned = told
        self._unwritten.written(change.entries)
        for entry in abandoned:
            self._count(entry)

    def _refused(self, change: Change, refusal: DataRefused) -> None:
        for entry in change.entries:
            self._writability.refused(entry.id, refusal)
        self._unwritten.refused(change.entries)

    def _end(self) -> None:
        """After a fault of our own nothing is written any more, and the gateway says so."""
        if self._writer is not None:
            self._writer.cancel()
