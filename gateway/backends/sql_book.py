"""What is done to the book in SQL, a transaction each: entries posted, reservations held, what was
spent summed up, generations read and moved.

Everything that inserts may be done twice: rows that are there already are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Table,
    Text,
    cast,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from gateway.backends.database import Database, Statements
from gateway.backends.database_problem import DataRefused
from gateway.backends.entry_json import encode
from gateway.backends.sql_bulk import drop, insert, insert_new, is_postgres
from gateway.backends.sql_entries import storable, storable_text, values_of
from gateway.backends.sql_rollups import add_up
from gateway.backends.sql_spent import slices, sum_spent
from gateway.backends.sqlite_link import SqliteLink
from gateway.backends.tables import entries, micros, reservations, state
from gateway.quota.ledger import Generations, Reservation, Subject
from gateway.quota.limit import Amounts
from gateway.usage.entry import Entry, Outcome

GENERATIONS = ("access", "book")
OWNER = "owner"
HOLDS_FEW = 64
_READ_GENERATIONS = select(state.c.name, state.c.value).where(state.c.name.in_(GENERATIONS))
_STANDING = "SELECT name, value FROM state WHERE name IN ('owner', 'access', 'book')"
_STANDING_POSTGRES = """WITH mine AS (SELECT name, value FROM state WHERE name = 'owner' FOR SHARE)
SELECT name, value FROM mine
UNION ALL SELECT name, value FROM state WHERE name IN ('access', 'book')"""
_AS_KNOWN = " AND ".join(
    f"(SELECT value FROM state WHERE name = '{name}') = ?" for name in (OWNER, *GENERATIONS)
)
Count = Callable[[Entry], None]
"""Counts an abandoned entry in the meters of this process, which has just put it into the book."""


@dataclass(slots=True, eq=False)
class Hold:
    """A row of `reservations`: `entry` is JSON. Each is itself only."""

    id: str
    expires_at: int
    entry: str


@dataclass(frozen=True, slots=True)
class Change:
    """What one transaction does to the book, in this order: the rows held under `gone` are
    deleted, `entries` take the place of what is held under their ids, `holds` become rows."""

    entries: Sequence[Entry] = ()
    holds: Sequence[Hold] = ()
    gone: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.entries or self.holds or self.gone)

    @property
    def is_small(self) -> bool:
        """A few holds and nothing else."""
        return 0 < len(self.holds) <= HOLDS_FEW and not self.entries and not self.gone

    def halves(self) -> tuple[Change, ...]:
        """Two smaller changes without holds that come to the same; none if there is no smaller
        one."""
        if self.gone and self.entries:
            return Change(gone=self.gone), Change(self.entries)
        middle = len(self.entries) // 2
        return (Change(self.entries[:middle]), Change(self.entries[middle:])) if middle else ()


def hold_of(reservation: Reservation) -> Hold:
    """What holds a reservation. Raises TypeError where its record is no entry."""
    if not isinstance(reservation.record, Entry):
        raise TypeError("a journal takes entries")
    return Hold(
        storable_text(reservation.id), micros(reservation.expires_at), encode(reservation.record)
    )


async def post_entries(
    database: Database, batch: Sequence[Entry], count: Count = lambda _: None
) -> list[Entry]:
    """Commit the entries, as `storable` makes them; those that the database refuses come back,
    found by halving. One that is there already stays as it is. Abandoned ones that were not are
    counted.

    Raises DatabaseProblem: then some of them may be committed, and all may be posted again."""
    if not batch:
        return []
    try:
        abandoned = await database.write(lambda connection: insert_entries(connection, batch))
    except DataRefused:
        if len(batch) == 1:
            return list(batch)
        middle = len(batch) // 2
        refused = await post_entries(database, batch[:middle], count)
        return refused + await post_entries(database, batch[middle:], count)
    for entry in abandoned:
        count(entry)
    return []


async def spent_in(
    database: Database,
    subject: Subject,
    since: float,
    until: float | None = None,
    but: Collection[str] = frozenset(),
) -> Amounts:
    """Σ of the subject's entries in the table with since ≤ time < until, those whose ids are in
    `but` left out. Raises DatabaseProblem."""
    return await database.read(lambda c: sum_spent(c, subject, since, until, but))


async def generations_of(database: Database) -> Generations:
    """As they are now. Raises DatabaseProblem."""
    return await database.read(read_generations)


def bump(connection: Connection, name: str) -> int:
    """The next generation of `name` (access or book), in force with the connection's transaction;
    another one that wants to do the same waits for it."""
    if name not in GENERATIONS:
        raise ValueError(f"no generation is called {name}")
    row = _insert(connection, state).values(name=name, value="1")
    grown = cast(cast(state.c.value, BigInteger) + 1, Text)
    connection.execute(row.on_conflict_do_update(index_elements=["name"], set_={"value": grown}))
    return int(connection.scalars(select(state.c.value).where(state.c.name == name)).one())


def move_on(connection: Connection, name: str, beyond: int) -> int:
    """The next generation of `name` that is larger than `beyond`, as `bump`."""
    bump(connection, name)
    larger = cast(state.c.value, BigInteger) <= beyond
    connection.execute(
        update(state).where(state.c.name == name, larger).values(value=str(beyond + 1))
    )
    return int(connection.scalars(select(state.c.value).where(state.c.name == name)).one())


async def post_behind(database: Database, batch: Sequence[Entry]) -> None:
    """Commit entries that no ledger counted, and have every ledger read its counters again.

    Raises DatabaseProblem, and DataRefused where one of them cannot be stored; then none is."""

    def change(connection: Connection) -> None:
        insert_entries(connection, [storable(entry) for entry in batch])
        bump(connection, "book")

    await database.write(change)


def read_generations(connection: Connection) -> Generations:
    """Those that were never moved are 0."""
    found = connection.execute(_READ_GENERATIONS).all()
    return Generations(**{name: int(value) for name, value in found})


def apply(
    connection: Statements, change: Change, owner: str, known: Generations | None = None
) -> tuple[Generations | None, list[Entry]]:
    """Do the change; what `insert_entries` tells comes back, too. None where somebody else than
    `owner` has the right to hold: then nothing is held, and the rest is done.

    Who takes that right waits for this transaction, and so finds the rows that it makes. `known`
    are the generations that the last one told: they are mostly those of this one."""
    holds = change.holds
    if (
        known is not None
        and change.is_small
        and isinstance(connection, SqliteLink)
        and _hold_if_as_known(connection, holds, owner, known)
    ):
        return known, []
    generations = _generations_if_ours(connection, owner) if holds else None
    drop_held(connection, [*change.gone, *(entry.id for entry in change.entries)])
    abandoned = insert_entries(connection, change.entries)
    if generations is not None:
        insert(connection, reservations, [(hold.id, hold.expires_at, hold.entry) for hold in holds])
    return generations, abandoned


def _hold_if_as_known(
    link: SqliteLink, holds: Sequence[Hold], owner: str, known: Generations
) -> bool:
    """Hold in one statement where owner and generations are as known, else not at all. Whether it
    did."""
    values: list[Any] = []
    for hold in holds:
        values += (hold.id, hold.expires_at, hold.entry)
    values += (owner, str(known.access), str(known.book))
    return link.exec_alone(_hold_statement(len(holds)), values) > 0


@lru_cache(maxsize=HOLDS_FEW)
def _hold_statement(count: int) -> str:
    rows = "SELECT ?, ?, ?" if count == 1 else f"SELECT * FROM (VALUES {_marks(count)})"
    return f"INSERT INTO reservations (id, expires_at, entry) {rows} WHERE {_AS_KNOWN}"


def _marks(count: int) -> str:
    return ", ".join(["(?, ?, ?)"] * count)


def _generations_if_ours(connection: Statements, owner: str) -> Generations | None:
    """One statement for both: whether the owner still has the right to hold, and how far keys,
    grants and the book are at the begin of this transaction."""
    statement = _STANDING_POSTGRES if is_postgres(connection) else _STANDING
    found = dict(tuple(row) for row in connection.exec_driver_sql(statement).fetchall())
    if found.get(OWNER) != owner:
        return None
    return Generations(int(found.get("access", 0)), int(found.get("book", 0)))


def become_owner(connection: Connection, owner: str) -> None:
    """Nobody else may hold from the end of this transaction on."""
    row = _insert(connection, state).values(name=OWNER, value=owner)
    connection.execute(row.on_conflict_do_update(index_elements=["name"], set_={"value": owner}))


def insert_entries(connection: Statements, batch: Sequence[Entry]) -> list[Entry]:
    """The kept sums move with those that were not there before, and the abandoned ones of these
    come back. Whoever ended a request
    has counted it; an abandoned one is counted by who puts it into the book, and that is one."""
    if not batch:
        return []
    first: dict[str, Entry] = {}
    for entry in batch:
        first.setdefault(entry.id, entry)
    rows = [values_of(entry) for entry in first.values()]
    new = [first[id] for id in insert_new(connection, entries, rows)]
    add_up(connection, new)
    return [entry for entry in new if entry.outcome is Outcome.ABANDONED]


def drop_held(connection: Statements, ids: Iterable[str]) -> None:
    if keys := list(ids):
        drop(connection, reservations, keys)


def known_of(connection: Connection, ids: Collection[str]) -> set[str]:
    """Which of these ids are in the table."""
    known: set[str] = set()
    for some in slices(ids):
        known.update(connection.scalars(select(entries.c.id).where(entries.c.id.in_(some))))
    return known


def _insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(table)
