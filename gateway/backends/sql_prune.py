"""Entries of whole months deleted, such that nobody waits long: where a month has a partition of
its own, by dropping that, which takes a moment and gives the disk its room back; the others a small
batch in a transaction each.

Their sums stay. Before a month goes, its sums are held against its entries: afterwards nothing can
tell any more whether they are right.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, and_, delete, func, select, update

from gateway.backends.database import Database
from gateway.backends.sql_audit import SqlAudit
from gateway.backends.sql_partitions import (
    BUSY,
    Partition,
    count_of,
    drop_partition,
    partitions_of,
)
from gateway.backends.sql_rollups import ENTRIES_FROM, entries_from
from gateway.backends.tables import entries, state

BATCH_ROWS = 500
DROP_TRIES = 60
DROP_PAUSE_SECONDS = 1.0  # after a try, for those who waited behind it


class SumsDiffer(Exception):
    """The kept sums are not what the entries say, so that no entry may go."""


@dataclass(frozen=True, slots=True)
class Gone:
    """So many entries went at once: a batch, or the whole of a partition, counted before."""

    entries: int
    partition: str = ""


class SqlPrune:
    """Times in microseconds; `before` is the start of a month (UTC). Raises DatabaseProblem."""

    def __init__(self, database: Database, batch_rows: int = BATCH_ROWS) -> None:
        self._database = database
        self._batch_rows = batch_rows

    async def count(self, before: int) -> int:
        """How many entries there are before it."""
        older = select(func.count()).select_from(entries).where(entries.c.time < before)
        return await self._database.read(lambda c: c.scalars(older).one())

    async def prune(self, before: int) -> AsyncGenerator[Gone, None]:
        """Delete them, and yield what went after each step. May be stopped and begun again.

        Raises SumsDiffer; then nothing was deleted."""
        months = [m for m in await self._database.read(partitions_of) if m.until <= before]
        if not months and not await self.count(before):
            return
        audit = SqlAudit(self._database)
        days = await audit.days(0, before)
        wrong = await audit.wrong_months(days)
        for day in days:
            wrong += await audit.wrong(day)
        if wrong:  # but for what another one, who found it right, has begun to delete meanwhile
            begun = await self._database.read(entries_from)
            if any(one.start >= begun for one in wrong):
                raise SumsDiffer
        await self._database.write(partial(_begin, before=before))
        for month in months:
            if gone := await self._dropped(month, before):
                yield gone
        some = partial(_delete_some, before=before, count=self._batch_rows)
        while deleted := await self._database.write(some):
            yield Gone(deleted)

    async def _dropped(self, month: Partition, before: int) -> Gone | None:
        """Drop a partition. None where that cannot be had: its table is in use all the time (by a
        backup, say), or not ours to drop. Then its entries go in batches."""
        count = await self._database.read(partial(count_of, one=month, before=before))
        drop = partial(drop_partition, one=month, before=before)
        for _ in range(DROP_TRIES):
            hindered = await self._database.write(drop)
            if not hindered:
                return Gone(count, month.name)
            if hindered not in BUSY:
                return None
            await asyncio.sleep(DROP_PAUSE_SECONDS)
        return None


def _begin(connection: Connection, before: int) -> None:
    """From now on the sums of that time are not compared with its entries."""
    if entries_from(connection) >= before:
        return
    mine = state.c.name == ENTRIES_FROM
    if not connection.execute(update(state).where(mine).values(value=str(before))).rowcount:
        connection.execute(state.insert().values(name=ENTRIES_FROM, value=str(before)))


def _delete_some(connection: Connection, before: int, count: int) -> int:
    oldest = select(entries.c.id).where(entries.c.time < before).order_by(entries.c.time)
    some = entries.c.id.in_(oldest.limit(count).scalar_subquery())
    return connection.execute(delete(entries).where(and_(some, entries.c.time < before))).rowcount
