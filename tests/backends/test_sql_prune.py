"""Old entries go in batches; what reports, counters and checks need of them stays."""

import asyncio
from contextlib import aclosing

import pytest
from database_world import using
from sqlalchemy import func, select, text
from test_sql_rollups import DAY, JANUARY, book, differences

from gateway.backends.sql_audit import SqlAudit
from gateway.backends.sql_book import post_entries, spent_in
from gateway.backends.sql_prune import SqlPrune, SumsDiffer
from gateway.backends.sql_report import SqlReport
from gateway.backends.tables import entries, micros
from gateway.cli.sums import audited
from gateway.usage.report import Query

BOOK = book(1, 400)
MARCH = JANUARY + 59 * DAY
KEY = (("organization", "acme"), ("project", "demo"), ("key_id", "key_1"))
QUERIES = [Query(0, by=(one,)) for one in ("project", "key", "model", "status", "day")] + [
    Query(JANUARY + DAY, MARCH + DAY, by=("organization", "outcome"), filters={"project": "demo"})
]


async def pruned(database, before=MARCH, batch_rows=7):
    async with aclosing(SqlPrune(database, batch_rows).prune(micros(before))) as batches:
        return [gone.entries async for gone in batches]


def left(connection):
    return connection.execute(select(func.count(), func.min(entries.c.time))).one()


def test_entries_go_in_batches_and_all_that_their_sums_tell_stays(migrated_url):
    old = sum(one.time < MARCH for one in BOOK)

    async def look(database):
        reports = [await SqlReport(database).sums(query) for query in QUERIES]
        spans = ((0, None), (JANUARY, None), (JANUARY + DAY, MARCH + DAY / 2))
        spent = [await spent_in(database, KEY[:n], *span) for n in (1, 2, 3) for span in spans]
        return reports, spent

    async def work(database):
        await post_entries(database, BOOK)
        before = await look(database)
        assert await SqlPrune(database).count(micros(MARCH)) == old
        batches = await pruned(database)
        assert sum(batches) == old
        assert max(batches) <= 7
        count, first = await database.read(left)
        assert count == len(BOOK) - old
        assert first >= micros(MARCH)
        assert await look(database) == before
        assert await pruned(database) == []
        assert await differences(database) == []
        assert (await audited(database, 0, rebuild=True))[1] == []
        assert await look(database) == before
        assert min(await SqlAudit(database).days(0, None)) >= micros(MARCH)

    using(migrated_url, work)


def test_what_can_not_be_told_without_them_is_said_to_be_missing(migrated_url):
    async def work(database):
        await post_entries(database, BOOK)
        report = SqlReport(database)
        assert await report.pruned_before(Query(0, by=("end_user",))) is None
        await pruned(database)
        whole = [Query(0, by=("project",)), Query(MARCH, by=("end_user",)), Query(MARCH)]
        lacking = [Query(0, by=("end_user",)), Query(0), Query(JANUARY + 5000, by=("model",))]
        told = [await report.pruned_before(query) for query in whole + lacking]
        assert told == [None] * 3 + [MARCH] * 3

    using(migrated_url, work)


def test_a_prune_that_was_stopped_is_begun_again(migrated_url):
    async def work(database):
        await post_entries(database, BOOK)
        async with aclosing(SqlPrune(database, 5).prune(micros(MARCH))) as batches:
            await anext(batches)
        assert await differences(database) == []
        await pruned(database)
        assert (await database.read(left))[1] >= micros(MARCH)
        assert await differences(database) == []

    using(migrated_url, work)


def test_nothing_goes_while_the_sums_are_wrong(migrated_url):
    spoil = text("UPDATE rollup_keys SET requests = requests + 1 WHERE span = 'month'")

    async def work(database):
        await post_entries(database, BOOK)
        await database.write(lambda c: c.execute(spoil))
        with pytest.raises(SumsDiffer):
            await pruned(database)
        assert (await database.read(left))[0] == len(BOOK)

    using(migrated_url, work)


def test_others_write_between_the_batches(migrated_url):
    new = [one for one in book(2, 300) if one.time >= MARCH]

    async def work(database):
        await post_entries(database, BOOK)
        pruning = asyncio.create_task(pruned(database, batch_rows=3))
        for one in new:
            assert await post_entries(database, [one]) == []
        await pruning
        assert await differences(database) == []
        rows = await SqlReport(database).sums(Query(0, by=("stream",)))
        assert sum(row["entries"] for row in rows) == len(BOOK) + len(new)

    using(migrated_url, work)
