"""Entries with their corrections, page by page, and corrections posted beside them.

Each page is one transaction, which first moves the generation of the book: so ledgers read their
counters again, and two that correct at once wait for each other and see what the other did.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial

from sqlalchemy import Connection, and_, func, or_, select

from gateway.backends.database import Database
from gateway.backends.sql_book import bump, insert_entries
from gateway.backends.sql_entries import entry_of, storable
from gateway.backends.sql_report import where_of
from gateway.backends.tables import entries, micros
from gateway.usage.entry import Entry, Outcome
from gateway.usage.report import Query
from gateway.usage.reprice import Booked

PAGE_ROWS = 500  # so many ids are one statement's parameters

Correct = Callable[[Booked], Entry | None]


class SqlCorrections:
    """Raises DatabaseProblem."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pages(
        self, query: Query, correct: Correct | None = None
    ) -> AsyncGenerator[tuple[Sequence[Booked], Sequence[Entry]], None]:
        """Entries that used something, the oldest first, as they were; and what of `correct` was
        posted in the same transaction. Without it nothing is written."""
        after: Entry | None = None
        while True:
            if correct is None:
                page = await self._database.read(partial(_page, query, after))
                posted: Sequence[Entry] = ()
            else:
                page, posted = await self._database.write(partial(_post, query, after, correct))
            if page:
                yield page, posted
            if len(page) < PAGE_ROWS:
                return
            after = page[-1].entry


def _post(
    query: Query, after: Entry | None, correct: Correct, connection: Connection
) -> tuple[list[Booked], list[Entry]]:
    bump(connection, "book")
    page = _page(query, after, connection)
    posted = [storable(made) for booked in page if (made := correct(booked)) is not None]
    insert_entries(connection, posted)
    return page, posted


def _page(query: Query, after: Entry | None, connection: Connection) -> list[Booked]:
    statement = select(entries).where(
        where_of(query),
        entries.c.outcome != Outcome.CORRECTION.value,
        or_(entries.c.requests > 0, entries.c.cost_nano != 0),
    )
    if after is not None:
        time = micros(after.time)
        newer = and_(entries.c.time == time, entries.c.id > after.id)
        statement = statement.where(entries.c.time >= time, or_(entries.c.time > time, newer))
    oldest_first = statement.order_by(entries.c.time, entries.c.id).limit(PAGE_ROWS)
    found = [entry_of(row) for row in connection.execute(oldest_first)]
    corrected = _corrected(connection, found)
    return [Booked(entry, *corrected.get(entry.id, (0, 0))) for entry in found]


def _corrected(connection: Connection, page: Sequence[Entry]) -> dict[str, tuple[int, int]]:
    """Σ of the corrections of each entry that has some, and their number. They have the times of
    their originals, for which there is an index."""
    if not page:
        return {}
    statement = (
        select(entries.c.corrects, func.sum(entries.c.cost_nano), func.count())
        .where(
            entries.c.time.between(micros(page[0].time), micros(page[-1].time)),
            entries.c.corrects.in_([entry.id for entry in page]),
        )
        .group_by(entries.c.corrects)
    )
    return {id: (int(total), int(count)) for id, total, count in connection.execute(statement)}
