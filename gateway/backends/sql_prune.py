"""Entries of whole months deleted, a small batch in a transaction each, so that nobody waits long.

Their sums stay. Before a month goes, its sums are held against its entries: afterwards nothing can
tell any more whether they are right.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial

from sqlalchemy import Connection, and_, delete, func, select, update

from gateway.backends.database import Database
from gateway.backends.sql_audit import SqlAudit
from gateway.backends.sql_rollups import ENTRIES_FROM, entries_from
from gateway.backends.tables import entries, state

BATCH_ROWS = 500


class SumsDiffer(Exception):
    """The kept sums are not what the entries say, so that no entry may go."""


class SqlPrune:
    """Times in microseconds; `before` is the start of a month (UTC). Raises DatabaseProblem."""

    def __init__(self, database: Database, batch_rows: int = BATCH_ROWS) -> None:
        self._database = database
        self._batch_rows = batch_rows

    async def count(self, before: int) -> int:
        """How many entries there are before it."""
        older = select(func.count()).select_from(entries).where(entries.c.time < before)
        return await self._database.read(lambda c: c.scalars(older).one())

    async def prune(self, before: int) -> AsyncGenerator[int, None]:
        """Delete them, and yield how many after each batch. May be stopped and begun again.

        Raises SumsDiffer; then nothing was deleted."""
        if not await self.count(before):
            return
        audit = SqlAudit(self._database)
        days = await audit.days(0, before)
        wrong = await audit.wrong_months(days)
        for day in days:
            wrong += await audit.wrong(day)
        if wrong:
            raise SumsDiffer
        await self._database.write(partial(_begin, before=before))
        some = partial(_delete_some, before=before, count=self._batch_rows)
        while deleted := await self._database.write(some):
            yield deleted


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
