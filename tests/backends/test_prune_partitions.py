"""On Postgres a whole month goes at once: what must stay stays, and nobody waits long."""

import asyncio
from contextlib import aclosing

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
    where,
)
from sqlalchemy import make_url, text
from test_sql_rollups import differences

from gateway.backends import sql_prune
from gateway.backends.sql_book import post_entries, spent_in
from gateway.backends.sql_prune import Gone, SqlPrune, SumsDiffer
from gateway.backends.sql_report import SqlReport
from gateway.backends.tables import micros
from gateway.usage.report import Query

BOOK = book()
OLD = [one for one in BOOK if one.time < MARCH]
KEY = (("organization", "acme"), ("project", "demo"), ("key_id", "key_1"))
TWO = ["entries_2026_01", "entries_2026_02"]


@pytest.fixture
def url(postgres_url):
    migrate(postgres_url)

    async def work(database):
        await months(database, JANUARY, FEBRUARY, MARCH)

    using(postgres_url, work)
    return postgres_url


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(sql_prune, "DROP_TRIES", 2)
    monkeypatch.setattr(sql_prune, "DROP_PAUSE_SECONDS", 0)


async def pruned(database, before=MARCH, batch_rows=7):
    async with aclosing(SqlPrune(database, batch_rows).prune(micros(before))) as steps:
        return [gone async for gone in steps]


async def look(database):
    queries = [Query(0, by=(one,)) for one in ("project", "key", "model", "status", "day")]
    reports = [await SqlReport(database).sums(query) for query in queries]
    spans = ((0, None), (JANUARY, None), (JANUARY + DAY, MARCH + DAY / 2))
    return reports, [await spent_in(database, KEY[:n], *span) for n in (1, 2, 3) for span in spans]


def test_whole_months_are_dropped_and_all_that_their_sums_tell_stays(url):
    async def work(database):
        await post_entries(database, BOOK)
        before = await look(database)
        steps = await pruned(database)
        january = sum(one.time < FEBRUARY for one in OLD)
        assert steps == [Gone(january, TWO[0]), Gone(len(OLD) - january, TWO[1])]
        assert not set(TWO) & set(await names(database))
        assert await where(database) == {
            one.id: "entries_2026_03" for one in BOOK if one.time >= MARCH
        }
        assert await look(database) == before
        assert await differences(database) == []
        assert await pruned(database) == []
        told = await SqlReport(database).pruned_before(Query(0, by=("end_user",)))
        assert told == MARCH

    using(url, work)


def test_what_is_of_another_month_than_its_id_says_goes_by_its_own_time(url):
    late = [entry(n, MARCH + n, id_time=MARCH - 1) for n in range(900, 905)]
    early = [entry(n, MARCH - 1, id_time=MARCH + n) for n in range(910, 930)]
    undated = [entry(940, MARCH - 5, id="req_9"), entry(941, MARCH + 5, id="req_a")]

    async def work(database):
        await post_entries(database, [*BOOK, *late, *early, *undated])
        before = await look(database)
        steps = await pruned(database)
        assert [one.partition for one in steps] == [*TWO, "", "", ""]
        assert sum(one.entries for one in steps) == len(OLD) + 21
        assert max(one.entries for one in steps[2:]) == 7
        places = await where(database)
        assert [places[one.id] for one in late] == ["entries_default"] * 5
        assert places["req_a"] == "entries_undated"
        assert not {one.id for one in [*early, undated[0]]} & places.keys()
        # Once more, as from a stream that was not told: they are still the same entries.
        await post_entries(database, late)
        assert await look(database) == before
        assert await differences(database) == []

    using(url, work)


def test_a_month_that_is_not_over_at_the_bound_stays(url):
    async def work(database):
        await post_entries(database, BOOK)
        await pruned(database, FEBRUARY)
        assert [one for one in TWO if one in await names(database)] == TWO[1:]
        assert len(await where(database)) == sum(one.time >= FEBRUARY for one in BOOK)

    using(url, work)


def test_a_month_without_entries_is_dropped_too(url):
    async def work(database):
        assert await pruned(database) == [Gone(0, name) for name in TWO]
        assert not set(TWO) & set(await names(database))

    using(url, work)


def test_no_month_goes_while_the_sums_are_wrong(url):
    spoil = text("UPDATE rollup_keys SET requests = requests + 1 WHERE span = 'month'")

    async def work(database):
        await post_entries(database, BOOK)
        await database.write(lambda c: c.execute(spoil))
        with pytest.raises(SumsDiffer):
            await pruned(database)
        assert len(await where(database)) == len(BOOK)
        assert set(TWO) <= set(await names(database))

    using(url, work)


def test_a_table_that_is_in_use_all_the_time_is_emptied_in_batches_and_dropped_later(url, hasty):
    async def work(database):
        await post_entries(database, BOOK)
        with psycopg.connect(url) as backup:
            backup.execute("SELECT count(*) FROM entries")
            steps = await pruned(database)
            assert {one.partition for one in steps} == {""}
            assert sum(one.entries for one in steps) == len(OLD)
            assert set(TWO) <= set(await names(database))
        assert await pruned(database) == [Gone(0, name) for name in TWO]
        assert await differences(database) == []

    using(url, work)


def test_a_month_that_is_not_ours_to_drop_is_emptied_in_batches(postgres, url, hasty):
    database_name = make_url(url).database
    for statement in (
        "CREATE ROLE sweeper LOGIN PASSWORD 'p'",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO sweeper",
    ):
        postgres.run(statement, database=database_name)

    async def work(database):
        await post_entries(database, BOOK)
        steps = await pruned(database)
        assert {one.partition for one in steps} == {""}
        assert sum(one.entries for one in steps) == len(OLD)
        assert set(TWO) <= set(await names(database))

    try:
        mine = make_url(url).set(username="sweeper", password="p")
        using(mine.render_as_string(hide_password=False), work)
    finally:
        postgres.run("DROP OWNED BY sweeper", database=database_name)
        postgres.run("DROP ROLE sweeper")


def test_several_that_prune_at_once_end_where_one_would(url, monkeypatch):
    monkeypatch.setattr(sql_prune, "DROP_PAUSE_SECONDS", 0.05)

    async def work(database):
        await post_entries(database, BOOK)
        crowd = await asyncio.gather(*(pruned(database) for _ in range(3)))
        dropped = [one for steps in crowd for one in steps if one.partition]
        assert len({one.partition for one in dropped}) == len(dropped)
        assert not set(TWO) & set(await names(database))
        assert await where(database) == {
            one.id: "entries_2026_03" for one in BOOK if one.time >= MARCH
        }
        assert await differences(database) == []

    using(url, work, threads=6)


def test_others_write_and_read_while_months_are_dropped(url):
    new = [entry(n, MARCH + 5 * DAY + n, id_time=MARCH + n) for n in range(1000, 1150)]
    query = Query(MARCH, by=("end_user",))

    async def work(database):
        await post_entries(database, BOOK)
        kept = sum(one.time >= MARCH for one in BOOK)
        over = asyncio.Event()
        counts = []

        async def reader():
            while not over.is_set():
                (row,) = await SqlReport(database).sums(query)
                counts.append(row["entries"])

        reading = asyncio.create_task(reader())
        pruning = asyncio.create_task(pruned(database))
        for one in new:
            assert await post_entries(database, [one]) == []
        steps = await pruning
        over.set()
        await reading
        assert [one.partition for one in steps] == TWO
        assert counts == sorted(counts)
        assert kept <= counts[0] <= counts[-1] <= kept + len(new)
        assert len(await where(database)) == kept + len(new)
        assert await differences(database) == []

    using(url, work, threads=6)


def test_a_drop_is_whole_or_nothing(url):
    """Stragglers that find no room: the month stays as it was."""
    late = entry(900, MARCH + 1, id_time=MARCH - 1)
    check = f"ALTER TABLE entries_default ADD CHECK (id <> '{id_of(900, MARCH - 1)}')"

    async def work(database):
        await post_entries(database, [*BOOK, late])
        await database.write(lambda c: c.execute(text(check)))
        steps = await pruned(database)
        assert steps[0] == Gone(sum(one.time < FEBRUARY for one in OLD), TWO[0])
        assert {one.partition for one in steps[1:]} == {""}
        assert (await where(database))[late.id] == TWO[1]
        assert await differences(database) == []

    using(url, work)
