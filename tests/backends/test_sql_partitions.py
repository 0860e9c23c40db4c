"""Partitions of `entries`: made by a migration and ahead, by many at once, and never in the way."""

import asyncio
import json
import threading
import time
from functools import partial

import psycopg
import pytest
from database_world import migrate, using
from partition_world import (
    DAY,
    FEBRUARY,
    JANUARY,
    MARCH,
    book,
    entry,
    id_of,
    months,
    names,
    revise,
    where,
)
from sqlalchemy import make_url, text
from test_sql_rollups import differences
from typer.testing import CliRunner
from world import World

from gateway import retention
from gateway.backends.database_problem import DatabaseProblem
from gateway.backends.sql_book import Change, apply, become_owner, known_of, post_entries, spent_in
from gateway.backends.sql_partitions import Ahead, make_ahead, partitions_of
from gateway.backends.sql_report import SqlReport
from gateway.backends.tables import entries, micros
from gateway.cli.main import app
from gateway.usage.report import Query
from gateway.usage.rollup import Span

ACME = (("organization", "acme"),)
QUERIES = [Query(0, by=(one,)) for one in ("project", "end_user", "model", "day", "minute")]
NOW = JANUARY + 10 * DAY
AHEAD = partial(make_ahead, now=micros(NOW))


@pytest.fixture
def url(postgres_url):
    migrate(postgres_url)
    return postgres_url


def login(postgres, url, name):
    """The URL for a role that may only use the tables, not make any; its rights are those that
    `entries` gives."""
    database = make_url(url).database
    for statement in (
        f"DROP ROLE IF EXISTS {name}",
        f"CREATE ROLE {name} LOGIN PASSWORD 'p'",
        f"GRANT USAGE ON SCHEMA public TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}",
    ):
        postgres.run(statement, database=database)
    return make_url(url).set(username=name, password="p").render_as_string(hide_password=False)


@pytest.fixture
def clerk(postgres, postgres_url):
    """A role that may not make tables, dropped with all that it has."""
    yield lambda: login(postgres, postgres_url, "clerk")
    postgres.run("DROP OWNED BY clerk", database=make_url(postgres_url).database)
    postgres.run("DROP ROLE clerk")


def test_a_filled_database_of_the_version_before_keeps_all_it_has(postgres, postgres_url, clerk):
    old = [entry(n, NOW + n, id=f"req_{n * 7919 % 256:02x}{n:030x}") for n in range(300)]
    old += [entry(300, NOW, id="req_two"), entry(301, NOW, id="cor_" + "a" * 32)]

    async def look(database):
        reports = [await SqlReport(database).sums(query) for query in QUERIES]
        return reports, await spent_in(database, ACME, NOW + 5)

    async def fill(database):
        await database.write(partial(revise, to="0003"))
        await post_entries(database, old)
        return await look(database)

    before = using(postgres_url, fill)
    restricted = clerk()
    migrate(postgres_url)

    async def after(database):
        assert await look(database) == before
        assert await differences(database) == []
        places = await where(database)
        assert places.pop("req_two") == "entries_default"
        assert set(places.values()) == {"entries_undated"}
        assert len(places) == 301
        await post_entries(database, old)
        assert await look(database) == before

    using(postgres_url, after)
    using(restricted, after)


def test_an_entry_is_in_the_book_once_whichever_partition_it_lies_in(url):
    some = [
        entry(1, JANUARY + 5), entry(2, FEBRUARY - 0.001), entry(3, FEBRUARY), entry(4, MARCH + 5),
        entry(5, JANUARY, id="req_" + "f" * 32), entry(6, JANUARY, id="req_9"),
    ]  # fmt: skip

    async def work(database):
        assert (await months(database, JANUARY, FEBRUARY)).made == ["2026-01", "2026-02"]
        for batch in (some, some[::-1], some[:1]):
            assert await post_entries(database, batch) == []
        assert await where(database) == dict(zip(
            [one.id for one in some],
            ["entries_2026_01", "entries_2026_01", "entries_2026_02", "entries_default",
             "entries_undated", "entries_undated"],
            strict=True,
        ))  # fmt: skip
        (row,) = await SqlReport(database).sums(Query(0, by=("project",)))
        assert (row["entries"], row["cost_nano"]) == (6, 21)
        ids = {one.id for one in some}
        assert await database.read(partial(known_of, ids=ids | {id_of(9, JANUARY)})) == ids
        # As another time of the same entry's: the id alone says that it is one.
        await post_entries(database, [entry(1, MARCH, id=some[0].id)])
        assert await differences(database) == []
        pages = [one.id async for one in SqlReport(database).entries(Query(0))]
        assert pages == [one.id for one in sorted(some, key=lambda e: (e.time, e.id))][::-1]

    using(url, work)


def test_the_embedded_book_writes_to_partitions_too(url):
    def change(connection):
        become_owner(connection, "me")
        return apply(connection, Change([entry(1, JANUARY)], [], ["req_gone"]), "me")

    async def work(database):
        await months(database, JANUARY)
        await database.post(change)
        await database.post(change)
        assert await where(database) == {id_of(1, JANUARY): "entries_2026_01"}

    using(url, work)


def test_this_month_and_the_next_two_are_made_once(url):
    async def work(database):
        assert await database.write(AHEAD) == Ahead(["2026-01", "2026-02", "2026-03"])
        assert await database.write(AHEAD) == Ahead()
        found = await database.read(partitions_of)
        assert [one.name for one in found[:3]] == [f"entries_2026_0{n}" for n in (1, 2, 3)]
        assert found[0].until == found[1].since == micros(FEBRUARY)
        later = partial(make_ahead, now=micros(FEBRUARY))
        assert (await database.write(later)).made == ["2026-04"]

    using(url, work)


def test_a_migration_makes_the_months_of_its_day(postgres_url):
    now = time.time()
    assert len(migrate(postgres_url).made) == 3
    found = using(postgres_url, lambda d: d.read(partitions_of))
    assert found[0].since == Span.MONTH.start(micros(now))
    assert found[2].until == Span.MONTH.next(Span.MONTH.next(Span.MONTH.next(found[0].since)))


def test_replicas_that_make_them_at_once_make_each_once(url):
    made, problems = [], []
    barrier = threading.Barrier(6)

    async def one(database):
        await database.check()
        barrier.wait()
        while True:
            ahead = await database.write(AHEAD)
            made.extend(ahead.made)
            problems.extend(ahead.failed)
            if not ahead.busy:
                return

    crowd = [threading.Thread(target=using, args=(url, one)) for _ in range(6)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert (sorted(made), problems) == (["2026-01", "2026-02", "2026-03"], [])


def test_a_month_whose_entries_are_in_the_default_partition_stays_there(url):
    async def work(database):
        await post_entries(database, [entry(1, NOW)])
        ahead = await database.write(AHEAD)
        assert (ahead.made, ahead.complaint()) == (["2026-02", "2026-03"], "")
        await post_entries(database, [entry(1, NOW), entry(2, NOW), entry(3, FEBRUARY)])
        assert sorted((await where(database)).values()) == [
            "entries_2026_02", "entries_default", "entries_default",
        ]  # fmt: skip

    using(url, work)


def test_neither_writers_nor_the_maker_wait_long_where_the_table_is_read(url):
    query = text("SELECT count(*) FROM entries")

    async def work(database):
        with psycopg.connect(url) as reader:
            reader.execute("SELECT count(*) FROM entries")
            making = asyncio.create_task(database.write(AHEAD))
            assert await post_entries(database, [entry(n, NOW) for n in range(20)]) == []
            ahead = await making
            assert (ahead.made, ahead.busy[-1]) == ([], "2026-03")
            assert await database.read(lambda c: c.scalar(query)) == 20
        assert (await database.write(AHEAD)).made == ["2026-02", "2026-03"]

    using(url, work)


def test_a_table_of_that_name_is_named_and_the_other_months_are_made(url):
    async def work(database):
        await database.write(lambda c: c.execute(text("CREATE TABLE entries_2026_02 (n INT)")))
        ahead = await database.write(AHEAD)
        assert ahead.made == ["2026-01", "2026-03"]
        assert "(2026-02: another table has that name)" in ahead.complaint()
        await post_entries(database, [entry(1, FEBRUARY)])
        assert list((await where(database)).values()) == ["entries_default"]

    using(url, work)


def test_without_the_right_to_make_tables_entries_go_to_the_default_partition(url, clerk):
    restricted = clerk()

    async def as_clerk(database):
        ahead = await database.write(AHEAD)
        assert ahead.made == []
        assert set(ahead.failed) == {"2026-01", "2026-02", "2026-03"}
        assert "`gateway migrate` makes it as one who may" in ahead.complaint()
        await post_entries(database, [entry(1, NOW)])
        assert await where(database) == {id_of(1, NOW): "entries_default"}

    using(restricted, as_clerk)

    async def as_owner(database):
        assert (await database.write(AHEAD)).made == ["2026-02", "2026-03"]

    using(url, as_owner)

    async def reads_all(database):
        """Rights on a new partition are those on the whole: for who backs up, say."""
        count = text("SELECT count(*) FROM entries_2026_02")
        assert await database.read(lambda c: c.scalar(count)) == 0

    using(restricted, reads_all)


def test_gateway_migrate_makes_what_lacks_or_says_why_not(postgres, url, clerk):
    def run(where_):
        words = ("migrate", "--json", "--database-url", where_)
        return CliRunner().invoke(app, words, catch_exceptions=False)

    drop = "ALTER TABLE entries DETACH PARTITION {0}; DROP TABLE {0}"
    lost = using(url, names)[-1]
    postgres.run(drop.format(lost), database=make_url(url).database)
    told = run(clerk())
    assert told.exit_code == 0
    assert "The table `entries` lacks partitions" in told.stderr
    told = run(url)
    assert (told.exit_code, told.stderr) == (0, "")
    assert json.loads(told.stdout) == {"before": "up-to-date", "after": "up-to-date"}
    assert using(url, names)[-1] == lost


def test_the_way_back_to_one_table_loses_nothing(url):
    some = [*book(40), entry(900, NOW, id="req_9"), entry(901, NOW, id="req_two")]

    async def work(database):
        await months(database, JANUARY, FEBRUARY)
        await post_entries(database, some)
        await database.write(partial(revise, to="down"))
        assert set((await where(database)).values()) == {"entries"}
        assert await post_entries(database, some) == []
        assert await differences(database) == []
        await database.write(partial(revise, to="head"))
        await post_entries(database, some)
        assert len(await where(database)) == len(some)
        assert await differences(database) == []

    using(url, work)


@pytest.mark.parametrize("failed", [{}, {"2026-02": "another table has that name"}])
def test_the_gateway_makes_them_and_says_once_where_it_cannot(monkeypatch, failed):
    monkeypatch.setattr(retention, "PARTITIONS_SECONDS", 0)
    monkeypatch.setattr(retention, "PARTITIONS_AGAIN_SECONDS", 0)
    answers = [
        DatabaseProblem("away"), Ahead(["2026-01"], ["2026-02"], {}), Ahead([], [], failed),
        Ahead([], [], failed),
    ]  # fmt: skip
    world = World()
    over = asyncio.Event()

    class Book:
        async def write(self, change):
            await asyncio.sleep(0)
            if not answers:
                over.set()
                await asyncio.Event().wait()
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            assert change.keywords == {"now": micros(world.parts.clock())}
            return answer

    async def main():
        task = asyncio.create_task(retention.make_partitions_forever(world.parts, Book()))
        await over.wait()
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    told = [(event, fields.get("partition")) for event, fields in world.log.lines]
    lacking = [("partition_lacking", None)] if failed else []
    assert told == [("partition_made", "2026-01"), *lacking]


def test_a_file_has_no_partitions(sqlite_url):
    async def work(database):
        assert await database.write(AHEAD) == Ahead()
        assert await database.read(partitions_of) == []

    using(sqlite_url, work)
    assert migrate(sqlite_url) == Ahead()
    assert entries.c.id.type.collation is None
