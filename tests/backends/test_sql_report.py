"""What `gateway usage` reads, on SQLite and on a real Postgres."""

import asyncio
import random
from collections import Counter
from contextlib import aclosing

import pytest

from gateway.backends import sql_report
from gateway.backends.database import Database
from gateway.backends.sql_book import post_entries
from gateway.backends.sql_report import SqlReport
from gateway.usage.entry import Entry, Outcome, Tokens
from gateway.usage.report import BUCKETS, FIELDS, Query, bucket_name, decimal_of

NOW = 1_800_000_000.0


def book() -> list[Entry]:
    chance = random.Random(5)
    return [
        Entry(
            id=f"req_{n:03}",
            time=NOW + 977 * (n // 3),  # three at the same moment
            organization="acme",
            project=chance.choice(["demo", "batch"]),
            key_id=chance.choice(["key_1", "key_2"]),
            end_user=chance.choice(["", "ada"]),
            model=chance.choice(["echo", "gpt-4o"]),
            stream=chance.choice([False, True]),
            status=chance.choice([200, 429]),
            outcome=chance.choice([Outcome.OK, Outcome.REFUSED]),
            requests=chance.choice([0, 1]),
            tokens=Tokens(*(chance.randrange(10**9) for _ in range(4))),
            cost_nano=chance.randrange(10**15),
            currency=chance.choice(["USD", "EUR"]),
        )
        for n in range(300)
    ]


BOOK = book()


@pytest.fixture
def ask(migrated_url):
    """Answers a query about BOOK: sums if it has `by`, else entries."""

    async def answer(query):
        database = Database(migrated_url, 1)
        await post_entries(database, BOOK)
        report = SqlReport(database)
        try:
            if query.by:
                return await report.sums(query)
            async with aclosing(report.entries(query)) as found:
                return [entry async for entry in found]
        finally:
            await database.aclose()

    return lambda query: asyncio.run(answer(query))


def newest_first(entries):
    return sorted(entries, key=lambda entry: (entry.time, entry.id), reverse=True)


def test_entries_come_newest_first_whole_and_each_once_over_all_pages(ask, monkeypatch):
    monkeypatch.setattr(sql_report, "PAGE_ROWS", 7)
    assert ask(Query(since=0)) == newest_first(BOOK)


@pytest.mark.parametrize("limit", [1, 6, 7, 8, 300, 301])
def test_a_limit_is_kept_whatever_the_pages(ask, monkeypatch, limit):
    monkeypatch.setattr(sql_report, "PAGE_ROWS", 7)
    assert ask(Query(since=0, limit=limit)) == newest_first(BOOK)[:limit]


def test_since_is_part_of_the_time_and_until_is_not(ask):
    first, last = BOOK[30].time, BOOK[60].time
    mine = [entry for entry in BOOK if first <= entry.time < last]
    assert ask(Query(since=first, until=last)) == newest_first(mine)


def test_filters_hold_all_together(ask):
    filters = {"project": "demo", "outcome": "ok", "end_user": "ada"}
    mine = [e for e in BOOK if (e.project, e.outcome, e.end_user) == ("demo", "ok", "ada")]
    assert mine
    assert ask(Query(since=0, filters=filters)) == newest_first(mine)
    assert ask(Query(since=0, filters={"model": "no such model\0"})) == []


@pytest.mark.parametrize("by", [
    ("project",), ("project", "model"), ("currency",), ("key", "currency", "stream"), ("day",),
    ("hour", "status"), ("minute", "end_user", "outcome"),
])  # fmt: skip
def test_sums_are_those_of_the_entries_for_each_group_and_currency(ask, by):
    def group(entry):
        values = []
        for name in dict.fromkeys([*by, "currency"]):
            if name in BUCKETS:
                begin = int(entry.time) // BUCKETS[name] * BUCKETS[name]
                values.append((name, bucket_name(name, begin)))
            else:
                values.append((name, getattr(entry, FIELDS[name])))
        return tuple(sorted(values))

    expected: dict[tuple, Counter] = {}
    for entry in BOOK:
        expected.setdefault(group(entry), Counter()).update(
            entries=1, requests=entry.requests, refused=int(entry.outcome is Outcome.REFUSED),
            input_tokens=entry.tokens.input, cached_input_tokens=entry.tokens.cached_input,
            output_tokens=entry.tokens.output, reasoning_tokens=entry.tokens.reasoning,
            cost_nano=entry.cost_nano,
        )  # fmt: skip
    found = {
        tuple(sorted((name, row[name]) for name in dict.fromkeys([*by, "currency"]))): row
        for row in ask(Query(since=0, by=by))
    }
    assert found.keys() == expected.keys()
    for values, sums in expected.items():
        assert {name: found[values][name] for name in sums} == dict(sums)
        assert found[values]["cost"] == decimal_of(sums["cost_nano"])


def test_sums_keep_to_the_question_and_come_in_order(ask):
    rows = ask(Query(since=NOW + 5000, by=("day", "model"), filters={"project": "demo"}))
    mine = [entry for entry in BOOK if entry.time >= NOW + 5000 and entry.project == "demo"]
    assert sum(row["entries"] for row in rows) == len(mine)
    keys = [(row["day"], row["model"], row["currency"]) for row in rows]
    assert keys == sorted(keys)
    few = ask(Query(since=NOW + 5000, by=("day", "model"), filters={"project": "demo"}, limit=2))
    assert few == rows[:2]


def test_what_was_refused_before_its_model_was_known_has_no_row_of_its_own(migrated_url):
    known = Entry("req_1", NOW, organization="acme", model="echo", currency="USD", cost_nano=7)
    refused = Entry("req_2", NOW, organization="acme", outcome=Outcome.REFUSED)

    async def main(by):
        database = Database(migrated_url, 1)
        try:
            await post_entries(database, [known, refused])
            return await SqlReport(database).sums(Query(since=0, by=by, limit=2))
        finally:
            await database.aclose()

    def shown(*by):
        rows = asyncio.run(main(by))
        return [(row["currency"], row["entries"], row["refused"], row["cost_nano"]) for row in rows]

    assert shown("organization") == [("USD", 2, 1, 7)]
    assert shown("organization", "currency") == [("", 1, 1, 0), ("USD", 1, 0, 7)]
