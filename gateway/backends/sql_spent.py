"""What a subject spent in a stretch of time: from the kept sums where they tell it, so that a
counter over a year of millions of entries is read as fast as one over an hour."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, Table, func, select

from gateway.backends.sql_entries import storable_text
from gateway.backends.sql_rollups import cells_within, within
from gateway.backends.tables import entries, micros, rollups
from gateway.quota.ledger import Subject
from gateway.quota.limit import Amounts
from gateway.usage.rollup import Piece, Span, plan

IDS_MAX = 500  # of one statement: every database takes so many parameters
FIGURES = ("requests", "input_tokens", "output_tokens", "cost_nano")


def sum_spent(
    connection: Connection,
    subject: Subject,
    since: float,
    until: float | None,
    but: Collection[str] = frozenset(),
) -> Amounts:
    """Σ of the subject's entries with since ≤ time < until, those whose ids are in `but` left out;
    in the connection's transaction, which sees one moment."""
    fields = dict(subject)
    figures = sums_within(connection, fields, since, until)
    whole = Piece(None, micros(since), None if until is None else micros(until))
    wanted = [within(entries.c.time, whole), *_are(entries, fields)]
    for some in slices(but):
        left_out = _sum(connection, entries, [*wanted, entries.c.id.in_(some)])
        figures = [all_ - out for all_, out in zip(figures, left_out, strict=True)]
    return Amounts(*figures)


def sums_within(
    connection: Connection, fields: Mapping[str, str], since: float, until: float | None
) -> list[int]:
    """Σ of FIGURES over the entries that have these values, since ≤ time < until."""
    end = None if until is None else micros(until)
    planned = plan(fields.keys(), Span.MONTH, micros(since), end)
    total = [0] * len(FIGURES)
    for piece in planned.pieces:
        if planned.view is None or piece.span is None:
            table, where = entries, within(entries.c.time, piece)
        else:
            table = rollups[planned.view.name]
            where = cells_within(connection, planned.view, piece, is_filtered=True)
        found = _sum(connection, table, [where, *_are(table, fields)])
        total = [*map(int.__add__, total, found)]
    return total


def slices(ids: Collection[str]) -> Iterable[list[str]]:
    """So many at a time as one statement takes."""
    listed = list(ids)
    return (listed[start : start + IDS_MAX] for start in range(0, len(listed), IDS_MAX))


def _are(table: Table, fields: Mapping[str, str]) -> list[ColumnElement[bool]]:
    return [table.c[name] == storable_text(value) for name, value in fields.items()]


def _sum(connection: Connection, table: Table, wanted: Sequence[ColumnElement[bool]]) -> list[int]:
    sums = (func.coalesce(func.sum(table.c[name]), 0) for name in FIGURES)
    return [int(value) for value in connection.execute(select(*sums).where(*wanted)).one()]
