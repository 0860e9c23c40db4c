"""What `gateway usage` asks of the table `entries`. Reads what is committed, by any process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    and_,
    func,
    or_,
    select,
    union_all,
)

from gateway.backends.database import Database
from gateway.backends.sql_bulk import is_postgres
from gateway.backends.sql_entries import entry_of, storable_text
from gateway.backends.sql_rollups import cells_within, entries_from, of_entry, within
from gateway.backends.tables import MICROSECONDS, entries, micros, rollups, seconds
from gateway.usage.entry import Entry
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
from gateway.usage.rollup import Piece, Plan, Span, View, plan

PAGE_ROWS = 1000
POSTGRES_WORK_MEM = "SET LOCAL work_mem = '64MB'"
"""Sums of some hundred thousand cells are made in memory: the server's own 4 MB would have it write
them to the disk and read them again, which takes most of the time."""


class SqlReport:
    """Raises DatabaseProblem."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sums(self, query: Query) -> list[Row]:
        """One row for each value of `query.by` and currency, in the order of those values; what
        has no currency is beside what has one only if the currency was asked for."""
        return await self._database.read(partial(_sums, query))

    async def pruned_before(self, query: Query) -> float | None:
        """The time (unix seconds) before which entries are gone, if the answer lacks some."""
        return await self._database.read(partial(_pruned_before, query))

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
    if is_postgres(connection):
        connection.exec_driver_sql(POSTGRES_WORK_MEM)
    names = list(dict.fromkeys([*query.by, "currency"]))
    found = _pieces(query, names, connection)
    groups = [found.c[f"by_{name}"] for name in names]
    sums = [func.sum(found.c[name]).label(name) for name in SUMS]
    rows = []
    statement = select(*groups, *sums).group_by(*groups).order_by(*groups)
    for row in connection.execute(statement):
        values: dict[str, Any] = dict(row._mapping)
        shown = {name: _shown(name, values[f"by_{name}"]) for name in names}
        rows.append(sum_row(shown, {name: int(values[name]) for name in SUMS}))
    if "currency" not in query.by:
        rows = with_currency(rows, query.by)
    return rows[: query.limit]


def _pieces(query: Query, names: Sequence[str], connection: Connection) -> FromClause:
    """What is to be summed: cells where the kept sums have the answer, else entries."""
    planned = _planned(query, names)
    parts = [_piece(planned.view, piece, query, names, connection) for piece in planned.pieces]
    if not parts:
        parts = [_piece(None, Piece(None, 0, 0), query, names, connection)]
    return union_all(*parts).subquery() if len(parts) > 1 else parts[0].subquery()


def _pruned_before(query: Query, connection: Connection) -> float | None:
    gone = entries_from(connection)
    planned = _planned(query, query.by)
    told = planned.pieces if query.by else [Piece(None, micros(query.since), None)]
    lacks = any(piece.span is None and piece.since < gone for piece in told)
    return seconds(gone) if lacks else None


def _planned(query: Query, names: Sequence[str]) -> Plan:
    fields = {FIELDS[name] for name in (*names, "currency") if name in FIELDS}
    until = None if query.until is None else micros(query.until)
    return plan(fields | query.filters.keys(), _longest(names), micros(query.since), until)


def _piece(
    view: View | None, piece: Piece, query: Query, names: Sequence[str], connection: Connection
) -> Select[Any]:
    table: FromClause
    time: ColumnElement[Any]
    if view is None or piece.span is None:
        table, time = entries, entries.c.time
        sums = [of_entry(name) for name in SUMS]
        wanted = [within(time, piece), *_filters(entries, query)]
    else:
        table, wanted = _cells(view, piece, query, names, connection)
        time, sums = table.c.start, [table.c[name] for name in SUMS]
    groups = (_group(table, time, name).label(f"by_{name}") for name in names)
    labelled = (one.label(name) for name, one in zip(SUMS, sums, strict=True))
    return select(*groups, *labelled).where(*wanted)


def _cells(
    view: View, piece: Piece, query: Query, names: Sequence[str], connection: Connection
) -> tuple[FromClause, list[ColumnElement[bool]]]:
    """The cells of a piece, and which of them are wanted. SQLite sorts to group: for it those are
    merged that agree in the first fields of the view's key, as far as these are asked for, which
    follows the order of the index, and leaves few rows. Postgres groups by hashes, in one go."""
    table = rollups[view.name]
    wanted = cells_within(connection, view, piece, bool(query.filters))
    where = [wanted, *_filters(table, query)]
    if is_postgres(connection):
        return table, where
    asked = [view.fields.index(FIELDS[name]) for name in names if name in FIELDS]
    first = [table.c.start, *(table.c[name] for name in view.fields[: max(asked) + 1])]
    sums = (func.sum(table.c[name]).label(name) for name in SUMS)
    return select(*first, *sums).where(*where).group_by(*first).subquery(), []


def _filters(table: Table, query: Query) -> list[ColumnElement[bool]]:
    return [table.c[name] == storable_text(value) for name, value in query.filters.items()]


def _longest(names: Sequence[str]) -> Span | None:
    """The longest span whose cells still tell these columns apart."""
    told = {"minute": None, "hour": Span.HOUR, "day": Span.DAY}
    asked = [one for one in ("minute", "hour", "day") if one in names]
    return told[asked[0]] if asked else Span.MONTH


def _group(table: FromClause, time: ColumnElement[int], name: str) -> ColumnElement[Any]:
    if name in BUCKETS:
        return time // (BUCKETS[name] * MICROSECONDS)
    return table.c[FIELDS[name]]


def _shown(name: str, value: Any) -> Any:
    return bucket_name(name, int(value) * BUCKETS[name]) if name in BUCKETS else value
