"""Use that nobody came back for is counted once, by the process that put it into the book; on
SQLite and on a real Postgres."""

import asyncio
import os
import time
from contextlib import asynccontextmanager
from functools import partial

import pytest
from book_world import NOW, Script, booked, bound_of, crash, entry, reservation
from redis_server import AOF, redis_server

from gateway.backends.database import Database
from gateway.backends.memory_ledger import MemoryLedger
from gateway.backends.ownership import share
from gateway.backends.redis_client import connect
from gateway.backends.redis_journal import RedisJournal
from gateway.backends.sql_book import post_entries
from gateway.backends.sql_journal import SqlJournal


@pytest.fixture(scope="module")
def redis():
    with redis_server(*AOF) as server:
        yield server


def journal_of(database, counted):
    return SqlJournal(
        database, 60.0, 100, 1000, lambda: NOW, os.urandom, lambda entry: counted.append(entry.id)
    )


def using(url, work):
    async def main():
        database = Database(url, 2)
        try:
            return await asyncio.wait_for(work(database), 30)
        finally:
            await database.aclose()

    return asyncio.run(main())


def test_what_a_dead_process_left_open_is_counted_by_the_next_one_once(migrated_url):
    counted, again = [], []

    async def work(database):
        dead = journal_of(database, counted)
        await dead.start()
        for n in (1, 2):
            await dead.hold(reservation(n))
        dead.append(entry(1))
        await dead.flush()
        await crash(dead)
        assert counted == []
        born = journal_of(database, counted)
        await born.start()
        assert counted == ["req_2"]
        await born.aclose()
        next_one = journal_of(database, again)
        await next_one.start()
        await next_one.aclose()
        assert again == []

    using(migrated_url, work)


def test_what_a_dead_embedded_gateway_left_open_is_given_to_the_first_that_shares(migrated_url):
    async def work(database):
        dead = journal_of(database, [])
        await dead.start()
        await dead.hold(reservation(1))
        await crash(dead)
        assert await share(database) == [bound_of(1)]
        assert await share(database) == []

    using(migrated_url, work)


@pytest.mark.parametrize(("step", "counts"), [("ok", 1), ("before", 1), ("after", 0)])
def test_a_swept_one_is_counted_when_it_is_committed_never_twice(
    migrated_url, monkeypatch, step, counts
):
    """With the answer to a commit that was done lost, nobody knows whose entry it is."""
    counted = []

    async def work(database):
        journal = journal_of(database, counted)
        await journal.start()
        ledger = MemoryLedger(journal)
        for n in (1, 2):
            await ledger.reserve(reservation(n), NOW)
        await ledger.settle(reservation(1), reservation(1).bound, entry(1), NOW)
        await journal.flush()
        script = Script(database, monkeypatch, step)
        assert await ledger.sweep(NOW + 601) == 1
        assert counted == []
        await journal.flush()
        assert script.calls == (1 if step == "ok" else 2)
        assert counted == ["req_2"] * counts
        assert await booked(database) == {"req_1": "ok", "req_2": "abandoned"}
        await journal.aclose()

    using(migrated_url, work)


def test_what_another_has_booked_already_is_not_counted_by_who_lost_the_database(migrated_url):
    lost, won = [], []

    async def work(database):
        old = journal_of(database, lost)
        await old.start()
        await old.hold(reservation(1))
        await old._ownership.release()  # as when its server restarts
        new = journal_of(database, won)
        await new.start()
        old.append(bound_of(1))
        await old.flush()
        assert (lost, won) == ([], ["req_1"])
        await old.aclose()
        await new.aclose()

    using(migrated_url, work)


def test_of_what_is_posted_only_what_was_abandoned_and_is_new_is_counted(migrated_url):
    counted = []

    async def work(database):
        post = partial(post_entries, database, count=lambda entry: counted.append(entry.id))
        await post([entry(1), bound_of(1), bound_of(2), entry(3)])
        assert counted == ["req_2"]
        await post([bound_of(3), bound_of(2), bound_of(4), bound_of(4)])
        assert counted == ["req_2", "req_4"]
        await post([bound_of(n) for n in range(10, 1300)])
        assert len(counted) == len(set(counted)) == 2 + 1290

    using(migrated_url, work)


@asynccontextmanager
async def poster(redis, database, counted):
    client = await connect(redis.url, 2.0, 4)
    post = partial(post_entries, database, count=lambda entry: counted.append(entry.id))
    journal = RedisJournal(
        client, post, flush_seconds=0.01, batch_max=20, pending_max=1000, stream_entries_max=1000,
        clock=time.time, claim_seconds=60.0, name=os.urandom(8).hex(),
    )  # fmt: skip
    try:
        await journal.start()
        yield journal
    finally:
        await journal.aclose(1.0)
        await client.aclose()


def test_of_many_replicas_the_one_that_posts_an_abandoned_entry_counts_it(redis, migrated_url):
    here, there = [], []

    async def work(database):
        async with poster(redis, database, here) as one, poster(redis, database, there) as two:
            for n in range(100):
                one.append(bound_of(n))
                one.append(entry(1000 + n))
            await asyncio.gather(one.flush(), two.flush())
        assert sorted(here + there) == sorted(f"req_{n}" for n in range(100))
        assert len(await booked(database)) == 200

    using(migrated_url, work)
