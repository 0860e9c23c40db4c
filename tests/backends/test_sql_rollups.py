"""The kept sums are those of the entries, whatever happens, on SQLite and on a real Postgres."""

import asyncio
import random
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from database_world import using
from sqlalchemy import delete, select, text, update

from gateway.backends.schema import migrations_folder
from gateway.backends.sql_audit import SqlAudit
from gateway.backends.sql_book import insert_entries, post_entries
from gateway.backends.sql_corrections import SqlCorrections
from gateway.backends.sql_entries import storable, values_of
from gateway.backends.sql_report import SqlReport
from gateway.backends.tables import entries, rollups
from gateway.cli.sums import audited
from gateway.usage.entry import Entry, Outcome, Source, Tokens
from gateway.usage.report import BUCKETS, FIELDS, Query, bucket_name
from gateway.usage.rollup import SUMS, VIEWS

JANUARY = 1_767_225_600.0  # 2026-01-01 UTC
DAY = 86400.0


def row_of(entry):
    """The entry's columns, for an insert by SQLAlchemy."""
    names = [column.name for column in entries.columns]
    return dict(zip(names, values_of(entry), strict=True)) | {"redactions": dict(entry.redactions)}


def book(seed, count=200):
    chance = random.Random(seed)
    return [
        Entry(
            id=f"req_{seed}_{n}",
            time=JANUARY + chance.choice([0, 0.000001, DAY, 31 * DAY, chance.random() * 95 * DAY]),
            organization=chance.choice(["acme", "born"]),
            project=chance.choice(["demo", "batch", "日本"]),
            key_id=f"key_{chance.randrange(4)}",
            end_user=chance.choice(["", "ada"]),
            model=chance.choice(["echo", "gpt-4o"]),
            stream=chance.choice([False, True]),
            status=chance.choice([200, 429]),
            outcome=chance.choice([Outcome.OK, Outcome.REFUSED, Outcome.ABANDONED]),
            source=chance.choice(list(Source)),
            requests=chance.choice([0, 1]),
            tokens=Tokens(*(chance.randrange(10**9) for _ in range(6))),
            cost_nano=chance.randrange(-(10**12), 10**15),
            currency=chance.choice(["USD", "EUR"]),
            redactions={"EMAIL_ADDRESS:mask": n} if n % 7 == 0 else {},
        )
        for n in range(count)
    ]


async def differences(database):
    return (await audited(database, 0, rebuild=False))[1]


def test_what_is_posted_in_any_groups_and_again_is_summed_once(migrated_url):
    some, chance = book(1), random.Random(2)

    async def work(database):
        for _ in range(12):
            await post_entries(database, chance.choices(some, k=chance.randrange(1, 60)))
            assert await differences(database) == []
        await post_entries(database, some)
        assert await differences(database) == []
        return await SqlReport(database).sums(Query(since=0, by=("project",)))

    rows = using(migrated_url, work)
    assert sum(row["entries"] for row in rows) == len(some)
    assert sum(row["cost_nano"] for row in rows) == sum(one.cost_nano for one in some)


def test_writers_at_once_neither_lose_a_sum_nor_wait_for_each_other_in_a_circle(migrated_url):
    some = book(3, 400)

    async def work(database):
        async def writer(seed):
            chance = random.Random(seed)
            mine = chance.sample(some, 300)
            for start in range(0, len(mine), 10):
                group = sorted(mine[start : start + 10], key=lambda one: one.id)
                assert await post_entries(database, group) == []

        await asyncio.gather(*map(writer, range(4)))
        await post_entries(database, some)
        return await differences(database)

    assert using(migrated_url, work) == []


def test_a_change_that_fails_moves_no_sum(migrated_url):
    some = book(4)

    def fail(connection):
        insert_entries(connection, some)
        raise LookupError("killed before the commit")

    async def work(database):
        with pytest.raises(LookupError):
            await database.write(fail)
        assert await SqlAudit(database).days(0, None) == []
        await post_entries(database, some)
        return await differences(database)

    assert using(migrated_url, work) == []


def test_corrections_are_summed_where_their_originals_are(migrated_url):
    some = book(5)

    def correct(booked):
        made = replace(booked.entry, id="cor_" + booked.entry.id, outcome=Outcome.CORRECTION)
        return replace(made, tokens=Tokens(), requests=0, cost_nano=-3)

    async def work(database):
        await post_entries(database, some)
        posted = [p async for _, page in SqlCorrections(database).pages(Query(0), correct)
                  for p in page]  # fmt: skip
        rows = await SqlReport(database).sums(Query(since=0, by=("outcome",)))
        return len(posted), rows, await differences(database)

    count, rows, wrong = using(migrated_url, work)
    told = [row for row in rows if row["outcome"] == "correction"]
    assert sum(row["cost_nano"] for row in told) == -3 * count < 0
    assert wrong == []


def expected(some, query):
    """The sums as the entries have them, by the values of each row."""
    found = defaultdict(lambda: [0] * len(SUMS))
    for one in some:
        row = row_of(one) | {"entries": 1, "refused": int(one.outcome is Outcome.REFUSED)}
        if one.time < query.since or (query.until is not None and one.time >= query.until):
            continue
        if any(row[name] != value for name, value in query.filters.items()):
            continue
        values = tuple(
            bucket_name(name, int(one.time) // BUCKETS[name] * BUCKETS[name])
            if name in BUCKETS else row[FIELDS[name]]
            for name in (*query.by, "currency")
        )  # fmt: skip
        found[values] = [a + row[name] for a, name in zip(found[values], SUMS, strict=True)]
    return dict(found)


def test_a_report_says_the_same_whatever_it_is_read_from(migrated_url):
    some, chance = book(6, 600), random.Random(7)
    columns = [name for name in (*FIELDS, *BUCKETS) if name != "currency"]
    ends = [JANUARY + d * DAY for d in (0, 1, 30, 31, 59, 31.5, 40.000001, 90)]
    filters = {"organization": "acme", "project": "日本", "key_id": "key_1", "outcome": "refused"}

    def question():
        names = chance.sample(list(filters), k=chance.choice([0, 0, 1, 2]))
        return Query(
            since=chance.choice([0, -5, *ends]),
            until=chance.choice([None, *ends]),
            by=tuple(chance.sample(columns, k=chance.choice([1, 1, 2, 3]))),
            filters={name: filters[name] for name in names},
        )

    async def work(database):
        await post_entries(database, some)
        for query in [Query(since=0, by=(name,)) for name in columns] + [
            question() for _ in range(150)
        ]:
            rows = await SqlReport(database).sums(query)
            told = {
                tuple(row[name] for name in (*query.by, "currency")): [row[n] for n in SUMS]
                for row in rows
            }
            assert told == expected(some, query), query

    using(migrated_url, work)


@pytest.mark.parametrize("view", [view.name for view in VIEWS])
def test_sums_that_are_wrong_are_told_and_made_anew(migrated_url, view):
    table = rollups[view]
    spoiled = (
        update(table).values(cost_nano=table.c.cost_nano + 1).where(table.c.span == "day"),
        delete(table).where(table.c.span != "day"),
        text(f"UPDATE rollup_{view} SET currency = 'JPY' WHERE currency = 'USD'"),
    )

    async def work(database):
        await post_entries(database, book(8, 60))
        for statement in spoiled:
            await database.write(lambda c, statement=statement: c.execute(statement))
            assert {one.view for one in await differences(database)} == {view}
            days, wrong = await audited(database, 0, rebuild=True)
            assert days > 0
            assert wrong == []
        assert await differences(database) == []

    using(migrated_url, work)


def test_longest_texts_fit_into_every_key(migrated_url):
    chance = random.Random(9)
    names = ("organization", "project", "key_id", "end_user", "model", "served_model", "upstream",
             "endpoint", "code", "currency", "policy_digest")  # fmt: skip
    texts = {name: "".join(chance.choices("éabcdefgh", k=900)) for name in names}

    async def work(database):
        refused = await post_entries(database, [storable(Entry("req_1", JANUARY, **texts))])
        return refused, await differences(database)

    assert using(migrated_url, work) == ([], [])


def test_entries_from_before_there_were_sums_are_summed_by_the_migration(database_url):
    def build(connection):
        config = Config()
        config.set_main_option("script_location", str(migrations_folder()))
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        connection.execute(entries.insert(), [row_of(one) for one in book(10)])

    if database_url.startswith("sqlite"):
        Path(database_url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)

    async def work(database):
        await database.write(build)
        await asyncio.to_thread(database.migrate)
        count = await database.read(lambda c: len(c.execute(select(rollups["keys"])).all()))
        return count, await differences(database)

    count, wrong = using(database_url, work)
    assert count > 0
    assert wrong == []
