"""What `gateway usage` asks of the table `entries`. Reads what is committed, by any process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select

from gateway.backends.database import Database
from gateway.backends.sql_entries import entry_of, storable_text
from gateway.backends.tables import MICROSECONDS, entries, micros
from gateway.usage.entry import Entry, Outcome
from gateway.usage.report import (
    BUCKETS,
    FIELDS,
    SUMS,
    Query,
    Row,
    bucket_name,
    sum_row,
    with_currency,
)

PAGE_ROWS = 1000


class SqlReport:
    """Raises DatabaseProblem."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sums(self, query: Query) -> list[Row]:
        """One row for each value of `query.by` and currency, in the order of those values; what
        has no currency is beside what has one only if the currency was asked for."""
        return await self._database.read(partial(_sums, query))

    async def entries(self, query: Query) -> AsyncGenerator[Entry, None]:
        """The entries themselves, the newest first, page by page: any number of them."""
        after: Entry | None = None
        left = query.limit
        while left is None or left > 0:
            count = PAGE_ROWS if left is None else min(left, PAGE_ROWS)
            page = await self._database.read(partial(_page, query, after, count))
            for entry in page:
                yield entry
            if len(page) < count:
                return
            after = page[-1]
            left = None if left is None else left - count


def where_of(query: Query) -> ColumnElement[bool]:
    conditions = [entries.c.time >= micros(query.since)]
    if query.until is not None:
        conditions.append(entries.c.time < micros(query.until))
    for name, value in query.filters.items():
        conditions.append(entries.c[name] == storable_text(value))
    return and_(*conditions)


def _page(query: Query, after: Entry | None, count: int, connection: Connection) -> list[Entry]:
    statement = select(entries).where(where_of(query))
    if after is not None:
        time = micros(after.time)
        older = and_(entries.c.time == time, entries.c.id < after.id)
        statement = statement.where(entries.c.time <= time, or_(entries.c.time < time, older))
    newest_first = statement.order_by(entries.c.time.desc(), entries.c.id.desc()).limit(count)
    return [entry_of(row) for row in connection.execute(newest_first)]


def _sums(query: Query, connection: Connection) -> list[Row]:
    groups = {name: _group(name).label(f"by_{name}") for name in dict.fromkeys(query.by)}
    groups.setdefault("currency", entries.c.currency.label("by_currency"))
    sums = [_sum(name).label(name) for name in SUMS]
    statement = (
        select(*groups.values(), *sums)
        .where(where_of(query))
        .group_by(*groups.values())
        .order_by(*groups.values())
    )
    rows = []
    for found in connection.execute(statement):
        values: dict[str, Any] = dict(found._mapping)
        shown = {name: _shown(name, values[f"by_{name}"]) for name in groups}
        rows.append(sum_row(shown, {name: int(values[name]) for name in SUMS}))
    if "currency" not in query.by:
        rows = with_currency(rows, query.by)
    return rows[: query.limit]


def _group(name: str) -> ColumnElement[Any]:
    if name in BUCKETS:
        return entries.c.time // (BUCKETS[name] * MICROSECONDS)
    return entries.c[FIELDS[name]]


def _shown(name: str, value: Any) -> Any:
    return bucket_name(name, int(value) * BUCKETS[name]) if name in BUCKETS else value


def _sum(name: str) -> ColumnElement[Any]:
    if name == "entries":
        return func.count()
    if name == "refused":
        return func.sum(case((entries.c.outcome == Outcome.REFUSED.value, 1), else_=0))
    return func.sum(entries.c[name])
