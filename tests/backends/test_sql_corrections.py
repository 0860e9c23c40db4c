"""Corrections beside their entries, on SQLite and on a real Postgres."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from gateway.backends import sql_corrections
from gateway.backends.database import Database
from gateway.backends.sql_book import generations_of, post_entries
from gateway.backends.sql_corrections import SqlCorrections
from gateway.backends.sql_report import SqlReport
from gateway.usage.entry import Entry, Outcome, Price, Tokens
from gateway.usage.report import Query
from gateway.usage.reprice import correction

NOW = 1_800_000_000.0
OLD, NEW = (Price(unit, unit, unit, unit) for unit in (10**6, 3 * 10**6))
BOOK = [
    Entry(
        id=f"req_{n}", time=NOW + n // 2, organization="acme", model=("echo", "gpt-4o")[n % 2],
        requests=1, tokens=Tokens(10, 0, n, 0), cost_nano=10 + n, currency="USD",
    )
    for n in range(20)
]  # fmt: skip
REFUSED = Entry(id="refused", time=NOW, organization="acme", outcome=Outcome.REFUSED)
ALL = Query(since=NOW - 1, until=NOW + 100)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    monkeypatch.setattr(sql_corrections, "PAGE_ROWS", 3)


@pytest.fixture
def do(migrated_url):
    """Runs work on a database that has BOOK."""

    async def main(work):
        database = Database(migrated_url, 2)
        try:
            await post_entries(database, [*BOOK, REFUSED])
            return await work(database)
        finally:
            await database.aclose()

    return lambda work: asyncio.run(main(work))


async def run(database, price=None, query=ALL):
    """All pages together; with a price, corrected to it."""
    correct = price and partial(correction, price=price, policy_digest="new", by="ada")
    seen, posted = [], []
    async for page, some in SqlCorrections(database).pages(query, correct):
        seen += page
        posted += some
    return seen, posted


async def total(database, by="model"):
    rows = await SqlReport(database).sums(replace(ALL, by=(by,)))
    return {row[by]: (row["cost_nano"], row["requests"]) for row in rows}


def test_reading_shows_each_entry_that_used_something_once_and_writes_nothing(do):
    async def work(database):
        before = await generations_of(database)
        seen, posted = await run(database)
        assert sorted(one.entry.id for one in seen) == sorted(entry.id for entry in BOOK)
        assert posted == []
        assert await generations_of(database) == before

    do(work)


def test_sums_are_those_of_the_new_price_and_requests_are_as_before(do):
    async def work(database):
        before = await total(database)
        _, posted = await run(database, NEW)
        assert len(posted) == len(BOOK)
        after = await total(database)
        for model in ("echo", "gpt-4o"):
            cost = sum(NEW.cost_nano(e.tokens) for e in BOOK if e.model == model)
            assert after[model] == (cost, before[model][1])

    do(work)


def test_a_second_run_posts_nothing_and_one_at_another_price_starts_from_the_first(do):
    async def work(database):
        await run(database, NEW)
        assert (await run(database, NEW))[1] == []
        once = await total(database)
        for price in (OLD, NEW):
            assert len((await run(database, price))[1]) == len(BOOK)
        assert await total(database) == once

    do(work)


def test_two_runs_at_once_correct_each_entry_once(do):
    async def work(database):
        found = await asyncio.gather(run(database, NEW), run(database, NEW))
        ids = [entry.corrects for _, posted in found for entry in posted]
        assert sorted(ids) == sorted(entry.id for entry in BOOK)

    do(work)


def test_ledgers_learn_that_the_book_has_changed(do):
    async def work(database):
        before = (await generations_of(database)).book
        await run(database, NEW)
        assert (await generations_of(database)).book > before

    do(work)


def test_only_what_was_asked_for_is_corrected(do):
    async def work(database):
        query = Query(since=NOW + 1, until=NOW + 3, filters={"model": "echo"})
        _, posted = await run(database, NEW, query)
        assert [entry.corrects for entry in posted] == ["req_2", "req_4"]

    do(work)
