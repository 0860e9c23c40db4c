"""The Journal in SQL, and the Book of the embedded ledger: what it holds, and what its counters are
rebuilt from.

Group commit: a single writer takes all that waits into one transaction, and while that is
committed the next group gathers. A reservation is held when its row is committed, so a hold wakes
the writer at once. Entries wait in memory, in order, for a moment, or if they are many for the next
hold: most of what posting costs is the same however few they are.

An entry leaves the memory only when it is committed; a group that failed is tried again, however
often, and rows that were written already are passed over by their id. So an entry is in the book
once, and at every moment it is either pending here or committed there, or (for the length of a
commit, or after a connection broke in one) both: `spent` counts it once all the same. Holds do not
wait for a database that is away: they fail at once, and leave no row behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from sqlalchemy import Connection

from gateway.backends.database import Database
from gateway.backends.database_problem import DatabaseProblem, DataRefused, unavailable
from gateway.backends.holds import Holds, cannot_hold
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
from gateway.quota.ledger import Generations, Record, Reservation, Subject
from gateway.quota.limit import Amounts
from gateway.usage.entry import Entry
from gateway.usage.record import JournalState

ENTRIES_MIN = 64  # so many share what posting costs, and go with the next hold
RETRY_SECONDS_MIN = 0.05
RETRY_SECONDS_MAX = 5.0
LOGGER = "gateway.journal"
UNWRITABLE = "Usage cannot be written now; it is tried again."
TAKEN_OVER = "Another gateway has taken over the database of this one."
ENDED = "The writer of usage has ended."

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
        self._taken_over = self._failing = False
        self._holds = Holds()
        self._unwritten = Unwritten()
        self._errors = 0
        self._wake = asyncio.Event()  # a hold waits, or entries are due
        self._hold_waits = asyncio.Event()
        self._moment = Moment(flush_seconds, self._wake.set)  # for which entries wait
        self._steady = asyncio.Lock()  # no group is between memory and table
        self._writer: asyncio.Task[None] | None = None

    @property
    def set_aside(self) -> Sequence[Entry]:
        """Entries that the database refused. They count in `spent` while this process lives."""
        return tuple(self._unwritten.set_aside.values())

    @property
    def trouble(self) -> str | None:
        """Why nothing can be held at the moment; after a take-over, for good."""
        return TAKEN_OVER if self._taken_over else UNWRITABLE if self._failing else None

    async def start(self) -> int:
        """Take the database for this process, and begin to write. How many reservations were left
        open by another one, and are booked now.

        Raises DatabaseProblem, also where another gateway has the database."""
        left_open = await self._ownership.take()
        if left_open:
            told = f"{len(left_open)} reservations were left open; they are booked at their bounds."
            _log().warning(told)
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
                _log().error("The writer of usage failed.", exc_info=fault)
            await self._ownership.release()
        self._moment.forget()
        return self._unwritten.all()

    async def _at_rest(self) -> None:
        async with self._steady:
            pass

    async def hold(self, reservation: Reservation) -> Generations:
        """As the port says. Unavailable has the code ledger_unavailable, and comes at once."""
        hold = hold_of(reservation)
        if self._taken_over or self._writer is None or self._writer.done():
            raise cannot_hold(TAKEN_OVER if self._taken_over else ENDED)
        waiting = self._holds.add(hold)
        self._hold_waits.set()
        self._wake.set()
        try:
            told = await waiting
        except asyncio.CancelledError:
            if self._holds.withdraw(hold):
                self.forget(reservation.id)
            raise
        if isinstance(told, str):
            raise cannot_hold(told)
        return told

    def forget(self, id: str) -> None:
        """What is held under the id goes as an entry would; never waits."""
        self._unwritten.forget(id)
        self._moment.begin()

    def append(self, record: Record) -> None:
        """Take the entry; never waits. The first one of an id counts."""
        if not isinstance(record, Entry):
            raise TypeError("a journal takes entries")
        self._unwritten.add(storable(record), self._clock())
        waiting = self._unwritten.waiting
        many = self._moment.enough if waiting >= ENTRIES_MIN else self._moment.begin
        (self._moment.end if waiting >= self._batch_max else many)()

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
            errors=self._errors,
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
                await self._holds.gather()
                await self._write_surely()
        finally:
            self._fail_holds(ENDED)

    async def _write_surely(self) -> None:
        """Write the next group, however long the database is away. A hold that comes meanwhile
        has it tried at once."""
        delay = RETRY_SECONDS_MIN
        while (problem := await self._write()) is not None:
            self._errors += 1
            if not self._failing:
                _log().warning(f"{UNWRITABLE} {problem}")
            self._failing = True
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hold_waits.wait(), delay)
            delay = min(2 * delay, RETRY_SECONDS_MAX)
        if self._failing:
            self._failing = False
            _log().warning("Usage is written again.")
            await self._ownership.keep()

    async def _write(self) -> DatabaseProblem | None:
        """One group: all holds that wait, and a batch of what is due. What went wrong, or None."""
        self._wake.clear()
        self._hold_waits.clear()
        holds = self._holds.begin()
        entries, gone = self._taken() if self._moment.is_over else ([], {})
        try:
            async with self._steady:
                await self._commit(Change(entries, holds, tuple(gone)))
        except DatabaseProblem as problem:
            self._fail_holds(str(problem))
            self._moment.end()
            return problem
        finally:
            self._unwritten.in_work = 0
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
        """Commit the change; what the database refuses of it is found by halving."""
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
        generations, abandoned = told
        self._unwritten.written(change.entries)
        for entry in abandoned:
            self._count(entry)
        if change.holds and generations is None and not self._taken_over:
            self._taken_over = True
            _log().error(TAKEN_OVER)
        self._holds.tell(change.holds, TAKEN_OVER if generations is None else generations)

    def _refused(self, change: Change, refusal: DataRefused) -> None:
        for id in [entry.id for entry in change.entries] + [hold.id for hold in change.holds]:
            self._errors += 1
            _log().error(f"The database refused the entry {id} ({refusal}); it is set aside.")
        self._unwritten.refused(change.entries)
        self._holds.tell(change.holds, "The database refused the reservation.")

    def _fail_holds(self, why: str) -> None:
        for id in self._holds.fail(why):
            self.forget(id)


def _log() -> logging.Logger:
    return logging.getLogger(LOGGER)
