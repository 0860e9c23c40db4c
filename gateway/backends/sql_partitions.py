"""The partitions of `entries` on Postgres: which there are, months made ahead, old ones dropped.

A partition has a month (UTC) by the times in the ids (gateway/request_id.py). An id has one time
for ever, so that the key on it is unique over all partitions. The time *of an entry* can be another
one by a little, or in the end by much: who asks for times asks all partitions. Ids without a time
lie in `entries_undated`, those of months that nobody made in `entries_default`: there is a room for
each entry, whatever fails here.

Nothing here waits long for a lock, as whoever writes or reads entries waits behind it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection, exc, text

from gateway.backends.tables import entries, seconds
from gateway.request_id import first_id, time_of
from gateway.usage.rollup import Span

MONTHS_AHEAD = 3  # this one and the next two
DDL_LOCK = 0x67617465  # "gate": an advisory lock, any number, but the same in every version
LOCK_TIMEOUT_MS = 200
STATEMENT_TIMEOUT_MS = 5_000
_RANGE = re.compile(r"FOR VALUES FROM \('(\w+)'\) TO \('(\w+)'\)")
_PARTITIONS = text("""SELECT c.oid::regclass::text, pg_get_expr(c.relpartbound, c.oid)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass('entries') AND c.relpartbound IS NOT NULL""")
_IS_PARTITIONED = text("SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass('entries')")
_ANY = text("SELECT EXISTS (SELECT 1 FROM entries WHERE id >= :since AND id < :until)")
_COUNT = text("SELECT count(*) FROM entries WHERE id >= :since AND id < :until AND time < :before")
_OWNER = """SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class
WHERE oid = to_regclass('entries') AND pg_get_userbyid(relowner) <> current_user"""
_GRANTS = """SELECT a.privilege_type,
    CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
    CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
FROM pg_class c, aclexplode(c.relacl) a
WHERE c.oid = to_regclass('entries') AND a.grantee <> c.relowner"""

BUSY = frozenset({"55P03", "57014", "40P01"})
"""SQLSTATEs: a lock was not to be had, or not in time; trying again soon may help."""
_WHY = {
    "42501": "this user of the database may not; `gateway migrate` makes it as one who may",
    "25006": "the database is read-only",
    "42P07": "another table has that name",
    "42P17": "another partition has a part of that time",
}
_TO_BE_EXPECTED = (
    BUSY
    | _WHY.keys()
    | {
        "23514",  # rows of that range came into the default partition meanwhile
        "42P01",  # somebody else dropped it meanwhile
    }
)


@dataclass(frozen=True, slots=True)
class Partition:
    """A month: microseconds, since ≤ time of the id < until. `name` as a statement takes it."""

    name: str
    since: int
    until: int


@dataclass(frozen=True, slots=True)
class Ahead:
    """Months, as 2026-11: `made`, `busy` (may be had soon), and why others were not made."""

    made: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def complaint(self) -> str:
        """A sentence about what was not made, or nothing."""
        told = [f"{month}: {why}" for month, why in self.failed.items()]
        return (
            f"The table `entries` lacks partitions ({'; '.join(told)}). Entries of these months "
            "go to its default partition, which is as good, but not as quickly pruned."
            if told
            else ""
        )


def partitions_of(connection: Connection) -> list[Partition]:
    """The months, the oldest first; none where the table has no partitions."""
    if connection.dialect.name != "postgresql":
        return []
    found = []
    for name, bound in connection.execute(_PARTITIONS):
        if parsed := _RANGE.fullmatch(bound):
            since, until = map(time_of, parsed.groups())
            if since is not None and until is not None:
                found.append(Partition(name, since * 1000, until * 1000))
    return sorted(found, key=lambda one: one.since)


def make_ahead(connection: Connection, now: int) -> Ahead:
    """This month's partition and those of the next ones, as far as they are not there. A month
    whose entries are in the default partition already stays there. Any number of processes may do
    this at once: what another one is at is `busy`."""
    starts = [Span.MONTH.start(now)]
    while len(starts) < MONTHS_AHEAD:
        starts.append(Span.MONTH.next(starts[-1]))
    return make_months(connection, starts)


def make_months(connection: Connection, starts: Sequence[int]) -> Ahead:
    """Partitions of the months that start then (microseconds)."""
    ahead = Ahead()
    if connection.dialect.name != "postgresql" or not connection.scalar(_IS_PARTITIONED):
        return ahead
    if not (lacking := _lacking(connection, starts)):
        return ahead
    if not connection.scalar(text(f"SELECT pg_try_advisory_xact_lock({DDL_LOCK})")):
        return Ahead(busy=list(map(_name, lacking)))
    for start in _lacking(connection, starts):  # as another one may have been at it
        state = tried(connection, partial(_make, connection, start))
        if not state:
            ahead.made.append(_name(start))
        elif state in BUSY:
            ahead.busy.append(_name(start))
        elif state in _WHY:
            ahead.failed[_name(start)] = _WHY[state]
    return ahead


def count_of(connection: Connection, one: Partition, before: int) -> int:
    """How many entries of a partition have an older time."""
    ids = {"since": first_id(one.since // 1000), "until": first_id(one.until // 1000)}
    return int(connection.scalar(_COUNT, ids | {"before": before}) or 0)


def drop_partition(connection: Connection, one: Partition, before: int) -> str:
    """Drop a partition with all of its entries; those whose own time is not before `before` are in
    the default partition then. "" where it was done, else the SQLSTATE of what hindered it."""
    return tried(connection, partial(_drop, connection, one, before))


def tried(connection: Connection, work: Callable[[], None]) -> str:
    """Do the work, or nothing: then the SQLSTATE, if it is one of those that are to be expected.

    Raises DBAPIError for others."""
    try:
        with connection.begin_nested():
            _say(connection, f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
            _say(connection, f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}")
            work()
    except exc.DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None) or ""
        if state not in _TO_BE_EXPECTED:
            raise
        return str(state)
    return ""


def _make(connection: Connection, start: int) -> None:
    """First a table, which nobody else sees, then a partition: that takes locks that no writer
    waits for. Its owner and rights are those of the whole, so that who may drop that, or back it
    up, may do so here."""
    name = f"entries_{_name(start).replace('-', '_')}"
    _say(connection, f"CREATE TABLE {name} (LIKE entries INCLUDING DEFAULTS)")
    for privilege, whom, option in connection.execute(text(_GRANTS)).all():
        _say(connection, f"GRANT {privilege} ON {name} TO {whom}{option}")
    if owner := connection.scalar(text(_OWNER)):
        _say(connection, f"ALTER TABLE {name} OWNER TO {owner}")
    since, until = (first_id(time // 1000) for time in (start, Span.MONTH.next(start)))
    _say(
        connection,
        f"ALTER TABLE entries ATTACH PARTITION {name} FOR VALUES FROM ('{since}') TO ('{until}')",
    )


def _drop(connection: Connection, one: Partition, before: int) -> None:
    """Those whom nobody writes to are locked first, at once or not at all: so a backup that reads
    them, or a vacuum, hinders this, but has no writer wait."""
    columns = ", ".join(column.name for column in entries.columns)
    _say(connection, f"LOCK TABLE {one.name} IN ACCESS EXCLUSIVE MODE NOWAIT")
    _say(connection, f"ALTER TABLE entries DETACH PARTITION {one.name}")
    _say(
        connection,
        f"INSERT INTO entries ({columns}) SELECT {columns} FROM {one.name} WHERE time >= {before}",
    )
    _say(connection, f"DROP TABLE {one.name}")


def _lacking(connection: Connection, starts: Sequence[int]) -> list[int]:
    """Months that have neither a partition nor entries: without the one, the others are in the
    default partition, where a new one may not find them."""
    there = {one.since for one in partitions_of(connection)}
    lacking = []
    for start in starts:
        since, until = (first_id(time // 1000) for time in (start, Span.MONTH.next(start)))
        if start not in there and not connection.scalar(_ANY, {"since": since, "until": until}):
            lacking.append(start)
    return lacking


def _name(start: int) -> str:
    return f"{datetime.fromtimestamp(seconds(start), UTC):%Y-%m}"


def _say(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql(statement)
