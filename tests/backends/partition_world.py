"""Entries whose ids bear a time of their own, and where on Postgres they lie."""

from __future__ import annotations

from functools import partial

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from gateway.backends.schema import migrations_folder
from gateway.backends.sql_partitions import make_months, partitions_of
from gateway.backends.tables import micros
from gateway.request_id import first_id
from gateway.usage.entry import Entry
from gateway.usage.rollup import Span

JANUARY = 1_767_225_600.0  # 2026-01-01 UTC
DAY = 86400.0
FEBRUARY, MARCH = JANUARY + 31 * DAY, JANUARY + 59 * DAY
WHERE = text("SELECT id, tableoid::regclass::text FROM entries ORDER BY id")


def id_of(n, time):
    return f"{first_id(round(time * 1000))}{n:020x}"


def entry(n, time, id_time=None, **fields):
    given = {"organization": "acme", "project": "demo", "key_id": "key_1", "requests": 1}
    id = id_of(n, time if id_time is None else id_time)
    return Entry(**{"id": id, "time": time, "cost_nano": n, "currency": "USD"} | given | fields)


def book(count=120, until=MARCH + 10 * DAY):
    """Even over the time; ids of their times."""
    return [entry(n, JANUARY + n * (until - JANUARY) / count) for n in range(count)]


def revise(connection, to):
    """Up or down to a version of the tables, as they were then."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    config.attributes["connection"] = connection
    (command.downgrade if to == "down" else command.upgrade)(config, "0003" if to == "down" else to)


async def months(database, *starts):
    """Make partitions of these months."""
    return await database.write(partial(make_months, starts=[micros(one) for one in starts]))


async def names(database):
    return [one.name for one in await database.read(partitions_of)]


async def where(database):
    """The table that each entry lies in."""
    return dict(map(tuple, await database.read(lambda c: c.execute(WHERE).all())))


def next_months(now, count):
    starts = [Span.MONTH.start(micros(now))]
    while len(starts) < count:
        starts.append(Span.MONTH.next(starts[-1]))
    return starts
