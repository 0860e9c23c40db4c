"""What the book says of counters and of buckets of costs, on SQLite and on a real Postgres."""

import asyncio
from collections import Counter as Counts
from dataclasses import replace

import pytest

from gateway.backends import sql_reconcile
from gateway.backends.database import Database
from gateway.backends.sql_book import post_entries
from gateway.backends.sql_reconcile import SqlReconcile
from gateway.usage.entry import Entry, Outcome, Source, Tokens
from gateway.usage.metered import metered
from gateway.usage.reconcile import Bucket, Counter, Ours, Spent

DAY = 1_793_491_200.0
NOON = DAY + 43_200
ENTRY = Entry(
    id="req_0", time=NOON, organization="acme", project="demo", key_id="key_1", model="gpt-4o",
    served_model="gpt-4o-2024-08-06", requests=1, tokens=Tokens(10, 4, 5, 1),
    source=Source.PROVIDER, cost_nano=100, currency="USD",
)  # fmt: skip
BOOK = [
    ENTRY,
    replace(ENTRY, id="req_1", time=DAY, source=Source.COUNTED, served_model=""),
    replace(ENTRY, id="req_2", source=Source.ESTIMATED, outcome=Outcome.ABANDONED, project="b"),
    replace(ENTRY, id="req_3", currency="EUR"),
    replace(ENTRY, id="req_4", time=DAY + 86_400),
    replace(ENTRY, id="cor_1", requests=0, tokens=Tokens(), cost_nano=-7,
            outcome=Outcome.CORRECTION, source=Source.NONE, corrects="req_0"),
    replace(ENTRY, id="req_5", requests=0, tokens=Tokens(), cost_nano=0, outcome=Outcome.REFUSED,
            model="nobody"),
]  # fmt: skip


@pytest.fixture
def ask(migrated_url):
    async def main(question):
        database = Database(migrated_url, 1)
        try:
            await post_entries(database, BOOK)
            return await question(SqlReconcile(database))
        finally:
            await database.aclose()

    return lambda question: asyncio.run(main(question))


def counter(measure, until=None, **subject):
    return Counter(tuple(subject.items()), measure, "day", DAY, until, 0, 0)


def test_a_counter_is_the_sum_of_its_subject_and_window(ask, monkeypatch):
    monkeypatch.setattr(sql_reconcile, "COUNTERS_PER_READ", 2)
    counters = [
        counter("requests", organization="acme"),
        counter("requests", organization="acme", until=DAY + 86_400),
        counter("tokens", organization="acme", project="b"),
        counter("money", organization="acme", project="demo", key_id="key_1"),
        counter("output_tokens", organization="nobody"),
    ]
    found = ask(lambda book: book.spent(counters))
    assert found == [Spent(5), Spent(4), Spent(15), Spent(393, -7), Spent(0)]


def test_a_bucket_has_costs_and_what_may_explain_a_difference(ask):
    found = ask(lambda book: book.costs({(DAY, DAY + 86_400)}, ()))
    usd = Bucket(DAY, DAY + 86_400, "gpt-4o", "", "USD")
    assert found == {
        usd: Ours(
            cost_nano=293, entries=3, estimated=1, counted=1, abandoned=1, border=1,
            corrections=1, input_tokens=30, cached_input_tokens=12, output_tokens=15,
            reasoning_tokens=3,
        ),
        replace(usd, currency="EUR"): Ours(
            cost_nano=100, entries=1, input_tokens=10, cached_input_tokens=4, output_tokens=5,
            reasoning_tokens=1,
        ),
    }  # fmt: skip


def test_projects_that_are_asked_for_are_apart(ask):
    found = ask(lambda book: book.costs({(DAY, DAY + 86_400)}, {"b"}))
    costs = {(b.project, b.currency): ours.cost_nano for b, ours in found.items()}
    assert costs == {("b", "USD"): 100, ("", "USD"): 193, ("", "EUR"): 100}


def test_the_book_counts_for_what_the_meters_would_have_counted(ask):
    served = [
        replace(ENTRY, id=f"req_s{n}", upstream="openai", endpoint="chat", status=200, **more)
        for n, more in enumerate(
            ({}, {}, {"model": "echo"}, {"source": Source.ABANDONED, "outcome": Outcome.ABANDONED})
        )
    ]
    late = [replace(entry, time=DAY + 100_000) for entry in served]
    late.append(replace(BOOK[6], id="req_r", time=DAY + 100_000, status=401))
    early = replace(served[0], id="req_e", time=DAY + 99_999)
    correction = replace(BOOK[5], id="cor_2", time=DAY + 100_000)

    async def question(book):
        await post_entries(book._database, [*late, early, correction])
        return await book.metered(DAY + 100_000)

    counts = Counts()
    for entry in late:
        counts.update(dict(metered(entry)))
    assert counts["requests", ("other", "other", "401", "refused")] == 1
    assert ask(question) == counts
