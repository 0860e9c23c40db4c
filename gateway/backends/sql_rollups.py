"""The kept sums of entries in SQL: moved with each entry, told from the entries, made anew.

They are moved in the transaction that inserts the entries, the last thing in it, and in one order
everywhere: many processes write the cells of the same hour, and would wait for each other in a
circle else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    cast,
    delete,
    except_,
    func,
    insert,
    literal,
    select,
    text,
    true,
    union,
)

from gateway.backends.database import Statements
from gateway.backends.sql_bulk import add
from gateway.backends.tables import entries, micros, rollups, state
from gateway.usage.entry import Entry, Outcome
from gateway.usage.rollup import DAY, HOUR, SUMS, VIEWS, Piece, Span, View, cells_of

STARTS_MAX = 2000
ENTRIES_FROM = "entries_from"  # in the table `state`, microseconds


def add_up(connection: Statements, new: Sequence[Entry]) -> None:
    """Move every cell that these entries belong to. They must be new in the table."""
    if not new:
        return
    times = {entry.id: micros(entry.time) for entry in new}
    for (view, span), cells in cells_of(new, times).items():
        rows = [(span.value, *cell, *cells[cell]) for cell in sorted(cells)]
        add(connection, rollups[view.name], ("span", "start", *view.fields), SUMS, rows)


def of_entry(name: str) -> ColumnElement[int]:
    """What a row of `entries` is in one of SUMS."""
    if name == "entries":
        return literal(1, BigInteger)
    if name == "refused":
        return case((entries.c.outcome == Outcome.REFUSED.value, 1), else_=0)
    return entries.c[name]


def within(time: ColumnElement[int], piece: Piece) -> ColumnElement[bool]:
    """The times of a piece."""
    return and_(time >= piece.since, true() if piece.until is None else time < piece.until)


def cells_within(
    connection: Connection, view: View, piece: Piece, is_filtered: bool
) -> ColumnElement[bool]:
    """The cells of a piece. Where other fields are given, too, their starts are named one by one:
    then the index leads to the cells of each, while a range would be read whole."""
    table = rollups[view.name]
    kept = and_(table.c.span == str(piece.span), within(table.c.start, piece))
    if not is_filtered or piece.span is None:
        return kept
    ends = (func.min(table.c.start), func.max(table.c.start))  # each alone is one look at the index
    first, last = (connection.scalar(select(end).where(kept)) for end in ends)
    starts: list[int] = []
    while first is not None and first <= last and len(starts) <= STARTS_MAX:
        starts.append(first)
        first = piece.span.next(first)
    if len(starts) > STARTS_MAX:
        return kept
    return and_(table.c.span == str(piece.span), table.c.start.in_(starts))


@dataclass(frozen=True, slots=True)
class Wrong:
    """So many cells of a view and a span are not what the entries of that day, or month, say."""

    view: str
    span: Span
    start: int
    cells: int


def entries_from(connection: Connection) -> int:
    """Before it, entries were pruned: what the sums have of that time, nothing else has."""
    kept = connection.scalar(select(state.c.value).where(state.c.name == ENTRIES_FROM))
    return int(kept or 0)


def days_of(connection: Connection, since: int, until: int | None) -> list[int]:
    """Starts of the days that have entries or cells, since ≤ start (< until), and that were not
    pruned."""
    since = max(since, entries_from(connection))
    day = (entries.c.time - entries.c.time % DAY).label("start")
    found = [select(day).where(entries.c.time >= since).distinct()]
    for table in rollups.values():
        kept = (table.c.span == Span.DAY.value, table.c.start >= since)
        found.append(select(table.c.start).where(*kept).distinct())
    return sorted(
        start
        for start in connection.scalars(union(*found))
        if start >= since and (until is None or start < until)
    )


def wrong_of_day(connection: Connection, day: int) -> list[Wrong]:
    """Of cells of a day and its hours, against the entries. In one transaction that sees one
    moment, also while others write."""
    return [
        Wrong(view.name, span, day, count)
        for view in VIEWS
        for span in view.spans
        if span is not Span.MONTH
        and (count := _differences(connection, view, span, day, day + DAY))
    ]


def wrong_of_month(connection: Connection, month: int) -> list[Wrong]:
    """Of cells of a month, against those of its days."""
    end = Span.MONTH.next(month)
    return [
        Wrong(view.name, Span.MONTH, month, count)
        for view in VIEWS
        if Span.MONTH in view.spans
        and (count := _differences(connection, view, Span.MONTH, month, end))
    ]


def make_day(connection: Connection, day: int) -> None:
    """The cells of a day and its hours anew, from the entries; others wait until it is done."""
    _keep_writers_out(connection)
    for view in VIEWS:
        for span in view.spans:
            if span is not Span.MONTH:
                _make(connection, view, span, day, day + DAY)


def make_month(connection: Connection, month: int) -> None:
    """The cells of a month anew, from those of its days."""
    _keep_writers_out(connection)
    for view in VIEWS:
        if Span.MONTH in view.spans:
            _make(connection, view, Span.MONTH, month, Span.MONTH.next(month))


def _keep_writers_out(connection: Connection) -> None:
    """Whoever inserted entries, but did not commit yet, has moved its cells, and is waited for, or
    waits here to move them. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        names = ", ".join(table.name for table in rollups.values())
        connection.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))


def _make(connection: Connection, view: View, span: Span, since: int, until: int) -> None:
    table = rollups[view.name]
    connection.execute(delete(table).where(_within(view, span, since, until)))
    columns = ("span", "start", *view.fields, *SUMS)
    connection.execute(insert(table).from_select(columns, _summed(view, span, since, until)))


def _differences(connection: Connection, view: View, span: Span, since: int, until: int) -> int:
    """Cells that are there and should not be, or the other way round; a wrong one is both."""
    table = rollups[view.name]
    columns = ("span", "start", *view.fields, *SUMS)
    kept = select(*(table.c[name] for name in columns)).where(_within(view, span, since, until))
    right = _summed(view, span, since, until)
    ways = (except_(kept, right), except_(right, kept))
    counts = (select(func.count()).select_from(way.subquery()) for way in ways)
    return max(connection.scalars(count).one() for count in counts)


def _within(view: View, span: Span, since: int, until: int) -> ColumnElement[bool]:
    table = rollups[view.name]
    return and_(table.c.span == span.value, table.c.start >= since, table.c.start < until)


def _summed(view: View, span: Span, since: int, until: int) -> Select[Any]:
    """The cells as they should be: of a month from its days, else from the entries."""
    if span is Span.MONTH:
        table = rollups[view.name]
        start: ColumnElement[int] = literal(since, BigInteger)
        sums: Iterable[ColumnElement[Any]] = [func.sum(table.c[name]) for name in SUMS]
        where = _within(view, Span.DAY, since, until)
    else:
        length = HOUR if span is Span.HOUR else DAY
        table, start = entries, entries.c.time - entries.c.time % literal(length, BigInteger)
        sums = [func.sum(of_entry(name)) for name in SUMS]
        where = and_(entries.c.time >= since, entries.c.time < until)
    fields = [table.c[name] for name in view.fields]
    groups = fields if span is Span.MONTH else [start, *fields]
    whole = [cast(one, BigInteger) for one in sums]
    return select(literal(span.value), start, *fields, *whole).where(where).group_by(*groups)
