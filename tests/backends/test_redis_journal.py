"""What the journal in Redis promises, on real servers, a real cluster and a real SQLite: every
entry is in the database once, whoever breaks in the middle."""

import asyncio
import json
import logging
import time
from contextlib import asynccontextmanager

import pytest
from redis_server import AOF, redis_cluster, redis_server
from sqlalchemy import select

from gateway.backends.database import Database
from gateway.backends.database_problem import DatabaseProblem
from gateway.backends.entry_json import encode
from gateway.backends.redis_client import connect
from gateway.backends.redis_journal import RedisJournal
from gateway.backends.redis_keys import GROUP, ORGANIZATIONS, set_aside_of, stream_of
from gateway.backends.sql_book import post_entries
from gateway.backends.tables import entries, micros
from gateway.usage.entry import Entry

PATIENCE = 25


@pytest.fixture(scope="module")
def nodes():
    with redis_cluster(*AOF, "--cluster-require-full-coverage", "no") as cluster:
        yield cluster


@pytest.fixture
def cluster(nodes):
    nodes.empty()
    return nodes


@pytest.fixture(scope="module")
def server():
    with redis_server() as server:
        yield server


@pytest.fixture(params=["server", "cluster"])
def redis(request):
    running = request.getfixturevalue(request.param)
    running.run("FLUSHALL")
    return running


def entry(n, organization="acme"):
    return Entry(id=f"req_{n}", time=1000.5 + n, organization=organization, cost_nano=n)


class Post:
    """`post_entries`, that can be `away`, refuse, and do something `after` its commit."""

    def __init__(self, database):
        self.database = database
        self.away = False
        self.tried = 0
        self.refuses = set()
        self.posted = []
        self.after = None

    async def __call__(self, batch):
        self.tried += 1
        if self.away:
            raise DatabaseProblem("The database is away.")
        good = [entry for entry in batch if entry.id not in self.refuses]
        await post_entries(self.database, good)
        self.posted.extend(entry.id for entry in good)
        if self.after is not None:
            await self.after()
        return [entry for entry in batch if entry.id in self.refuses]

    async def book(self):
        rows = await self.database.read(lambda c: c.execute(select(entries.c.id)).all())
        return sorted((id for (id,) in rows), key=lambda id: int(id[4:]))


@asynccontextmanager
async def journal_of(redis, database_url, name="one", **options):
    client = await connect(redis.url, 2.0, 4)
    database = Database(database_url, 2)
    post = Post(database)
    settings = {
        "flush_seconds": 0.01, "batch_max": 20, "pending_max": 1000, "stream_entries_max": 1000,
        "clock": time.time, "claim_seconds": 60.0, "name": name,
    }  # fmt: skip
    journal = RedisJournal(client, post, **(settings | options))
    journal.client, journal.post = client, post
    try:
        await journal.start()
        async with asyncio.timeout(PATIENCE):
            yield journal
    finally:
        await journal.aclose(1.0)
        await client.aclose()
        await database.aclose()


async def until(reached):
    """Ask until it is so; whoever waits has an end of its own."""
    while True:
        if told := await reached() if asyncio.iscoroutinefunction(reached) else reached():
            return told
        await asyncio.sleep(0.01)


def ids(count, start=0):
    return [f"req_{n}" for n in range(start, start + count)]


async def put(client, *rows, organization="acme"):
    """As a script of the ledger does: straight into the stream."""
    await client.sadd(ORGANIZATIONS, organization)
    for row in rows:
        fields = {"entry": encode(row), "time": micros(row.time)} if isinstance(row, Entry) else row
        await client.xadd(stream_of(organization), fields)


async def nothing_left(client, organization="acme"):
    stream = stream_of(organization)
    waiting = (await client.xpending(stream, GROUP))["pending"]
    return (await client.xlen(stream), waiting) == (0, 0)


def run(work):
    return asyncio.run(work())


def test_entries_of_many_organizations_are_posted_in_order_and_leave_their_streams(
    redis, sqlite_url
):
    async def work():
        async with journal_of(redis, sqlite_url) as journal:
            for n in range(90):
                journal.append(entry(n, ("acme", "umbrella", "")[n % 3]))
            await journal.flush()
            assert await journal.post.book() == ids(90)
            for first in range(3):
                mine = [id for id in journal.post.posted if int(id[4:]) % 3 == first]
                assert mine == [f"req_{n}" for n in range(first, 90, 3)]
            for organization in ("acme", "umbrella", ""):
                assert await nothing_left(journal.client, organization)
            await until(lambda: journal.state(time.time()).pending == 0)
            state = journal.state(time.time())
            assert (state.errors, state.full, state.set_aside, state.lag_seconds) == (0,) * 4

    run(work)


def test_only_entries_are_taken_and_the_first_of_an_id_counts(redis, sqlite_url):
    async def work():
        async with journal_of(redis, sqlite_url, flush_seconds=60) as journal:
            with pytest.raises(TypeError):
                journal.append({"id": "req_1"})
            journal.append(entry(1))
            journal.append(Entry(id="req_1", time=5.0, organization="acme"))
            await journal.flush()
            assert journal.post.posted == ["req_1"]
            read = select(entries.c.time)
            assert await journal.post.database.read(lambda c: c.scalar(read)) == micros(1001.5)

    run(work)


def test_the_time_of_the_stream_is_the_entry_s(redis, sqlite_url):
    async def work():
        async with journal_of(redis, sqlite_url) as journal:
            await put(journal.client, {"entry": encode(entry(1)), "time": 77})
            await journal.flush()
            read = select(entries.c.time)
            assert await journal.post.database.read(lambda c: c.scalar(read)) == 77

    run(work)


def test_what_another_process_put_there_is_posted_before_a_flush_returns(redis, sqlite_url):
    async def work():
        async with journal_of(redis, sqlite_url, flush_seconds=60) as journal:
            await journal.flush()
            await put(journal.client, *map(entry, range(50)))
            await journal.flush()
            assert await journal.post.book() == ids(50)

    run(work)


def test_a_database_that_is_away_delays_and_loses_nothing(redis, sqlite_url, caplog):
    caplog.set_level(logging.WARNING, "gateway.journal")

    async def work():
        async with journal_of(redis, sqlite_url, stream_entries_max=30) as journal:
            journal.post.away = True
            for n in range(50):
                journal.append(entry(n))
            state = await until(
                lambda: (s := journal.state(time.time())).errors > 2 and s.full and s
            )
            assert state.pending == 50
            later = journal.state(time.time() + 100)
            assert later.lag_seconds == pytest.approx(state.lag_seconds + 100, abs=20)
            assert journal.state(0.0).lag_seconds == 0.0  # clocks differ
            journal.post.away = False
            await journal.flush()
            assert journal.post.posted == ids(50) == await journal.post.book()
            await until(lambda: journal.state(time.time() + 100).lag_seconds == 0)
            assert not journal.state(time.time()).full

    run(work)
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "Usage cannot be written now; it is tried again. The database is away.",
        "Usage is written again.",
    ]


def test_a_row_that_cannot_be_read_and_one_that_is_refused_are_set_aside(redis, sqlite_url, caplog):
    async def work():
        async with journal_of(redis, sqlite_url) as journal:
            journal.post.refuses = {"req_3"}
            bad = [{"entry": "{", "time": 1}, {"other": 1}, {"entry": "[" * 100_000, "time": 1}]
            await put(journal.client, entry(1), *bad, entry(3), entry(4))
            await journal.flush()
            assert await journal.post.book() == ["req_1", "req_4"]
            aside = [fields for _, fields in await journal.client.xrange(set_aside_of("acme"))]
            assert len(aside) == 4
            assert aside[1] == {b"other": b"1"}
            assert json.loads(aside[3][b"entry"])["id"] == "req_3"
            await until(lambda: journal.state(time.time()).set_aside == 4)
            assert journal.state(time.time()).errors == 4

    run(work)
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(told) == 4
    assert "req_3 of acme was refused" in told[3]
    assert all("cannot be read" in line for line in told[:3])


def test_a_connection_that_breaks_between_commit_and_acknowledgement_posts_nothing_twice(
    redis, sqlite_url
):
    async def work():
        async with journal_of(redis, sqlite_url) as journal:
            breaks = iter(range(2))

            async def cut():
                if next(breaks, None) is not None:
                    redis.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

            journal.post.after = cut
            for n in range(20):
                journal.append(entry(n))
            await journal.flush()
            assert await journal.post.book() == ids(20)
            assert journal.post.tried > 1
            assert await nothing_left(journal.client)

    run(work)


def test_two_that_post_share_a_stream(redis, sqlite_url):
    async def work():
        async with (
            journal_of(redis, sqlite_url, "one", batch_max=5) as one,
            journal_of(redis, sqlite_url, "two", batch_max=5) as two,
        ):
            while not (one.post.posted and two.post.posted):
                start = len(one.post.posted) + len(two.post.posted)
                await put(one.client, *map(entry, range(start, start + 50)))
                await asyncio.gather(one.flush(), two.flush())
            both = one.post.posted + two.post.posted
            assert len(both) == len(set(both))
            assert await one.post.book() == ids(len(both))
            assert await nothing_left(one.client)

    run(work)


def test_what_a_dead_process_took_is_taken_over_and_it_is_forgotten(redis, sqlite_url):
    async def work():
        client = await connect(redis.url, 2.0, 4)
        stream = stream_of("acme")
        await put(client, *map(entry, range(45)))
        await client.xgroup_create(stream, GROUP, id="0")
        await client.xreadgroup(GROUP, "dead", {stream: ">"}, count=45)
        first = (await client.xrange(stream, count=1))[0][0]
        await client.xdel(stream, first)  # and it died before it acknowledged this one
        async with journal_of(redis, sqlite_url, claim_seconds=0.02) as journal:

            async def only_ours():
                told = await client.xinfo_consumers(stream, GROUP)
                return [consumer["name"] for consumer in told] == [b"one"]

            await until(only_ours)
            await journal.flush()
            assert await journal.post.book() == ids(44, start=1)
            assert await nothing_left(client)
        await client.aclose()

    run(work)


def test_what_a_process_took_a_moment_ago_is_its_own(redis, sqlite_url):
    async def work():
        client = await connect(redis.url, 2.0, 4)
        await put(client, entry(1))
        await client.xgroup_create(stream_of("acme"), GROUP, id="0")
        await client.xreadgroup(GROUP, "busy", {stream_of("acme"): ">"})
        async with journal_of(redis, sqlite_url) as journal:
            await put(client, entry(2))
            await until(lambda: journal.post.posted)
            assert journal.post.posted == ["req_2"]
        await client.aclose()

    run(work)


def test_a_redis_that_is_emptied_in_the_middle_is_used_again(redis, sqlite_url):
    async def work():
        async with journal_of(redis, sqlite_url) as journal:
            journal.append(entry(1))
            await journal.flush()
            redis.run("FLUSHALL")
            journal.append(entry(2))
            await journal.flush()
            assert await journal.post.book() == ["req_1", "req_2"]
            journal.post.away = True
            journal.append(entry(3))
            tried = journal.post.tried
            await until(lambda: journal.post.tried > tried)
            redis.run("FLUSHALL")  # it has that row in its hands
            journal.post.away = False
            await until(lambda: journal.post.posted[-1] == "req_3")

    run(work)


def test_one_broken_stream_does_not_hold_up_the_others(redis, sqlite_url, caplog):
    async def work():
        async with journal_of(redis, sqlite_url, batch_max=5) as journal:
            await journal.client.set(stream_of("broken"), "no stream")
            for n in range(20):
                journal.append(entry(n, "broken"))
            for n in range(20, 40):
                journal.append(entry(n))
            await until(lambda: len(journal.post.posted) == 20)
            assert journal.post.posted == ids(20, start=20)
            assert journal.state(time.time()).pending >= 20
            await journal.client.delete(stream_of("broken"))
            await journal.flush()
            assert await journal.post.book() == ids(40)
            await until(lambda: len(caplog.records) > 1)

    run(work)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert "Organization broken: " in told[0]
    assert told[1] == "Usage is written again."


def test_a_crash_of_redis_in_the_middle_loses_nothing(sqlite_url):
    async def work(server):
        async with journal_of(server, sqlite_url) as journal:
            journal.post.away = True
            for n in range(100):
                journal.append(entry(n))
            await until(lambda: journal.post.tried and journal.state(time.time()).pending == 100)
            await asyncio.to_thread(server.kill)
            for n in range(100, 120):
                journal.append(entry(n))
            errors = journal.state(time.time()).errors
            journal.post.away = False
            await until(lambda: journal.state(time.time()).errors > errors)
            await asyncio.to_thread(server.start)
            await journal.flush()
            assert await journal.post.book() == ids(120)
            assert await nothing_left(journal.client)

    with redis_server(*AOF) as server:
        asyncio.run(work(server))


def names_on(cluster):
    """An organization on each node: first that which knows all organizations."""
    first = cluster.node_of(ORGANIZATIONS)
    names = {cluster.node_of(stream_of(name)): name for name in map(str, range(50))}
    return [names.pop(first), *names.values()]


def test_a_node_of_a_cluster_that_crashes_loses_and_doubles_nothing(cluster, sqlite_url):
    async def work():
        _, mine, other = names_on(cluster)
        dead = cluster.node_of(stream_of(mine))
        async with journal_of(cluster, sqlite_url) as journal:
            journal.post.away = True
            for n in range(60):
                journal.append(entry(n, (mine, other)[n % 2]))
            await until(lambda: journal.post.tried and journal.state(time.time()).pending == 60)
            await asyncio.to_thread(dead.kill)
            journal.post.away = False
            journal.append(entry(60, mine))
            await asyncio.to_thread(dead.start)
            await journal.flush()
            assert await journal.post.book() == ids(61)
            for name in (mine, other):
                assert await nothing_left(journal.client, name)

    run(work)


@pytest.mark.parametrize("go", ["pause", "kill"])
def test_a_node_that_is_away_holds_up_the_organizations_there_and_no_other(go, cluster, sqlite_url):
    async def work():
        new, mine, other = names_on(cluster)
        node = cluster.node_of(stream_of(mine))
        async with journal_of(cluster, sqlite_url) as journal:
            for n in range(20):
                journal.append(entry(n, (mine, other)[n % 2]))
            await journal.flush()
            await asyncio.to_thread(getattr(node, go))
            for n in range(20, 50):
                journal.append(entry(n, (mine, other, new)[n % 3]))
            there = {f"req_{n}" for n in range(20, 50) if n % 3 == 0}
            await until(lambda: len(set(journal.post.posted)) == 40)
            await until(lambda: journal.state(time.time()).errors)
            journal.append(entry(50, other))
            await until(lambda: "req_50" in journal.post.posted)
            assert not there & set(journal.post.posted)
            assert journal.state(time.time()).pending >= len(there)
            await asyncio.to_thread(node.come_back)
            await journal.flush()
            assert await journal.post.book() == ids(51)
            for name in (new, mine, other):
                assert await nothing_left(journal.client, name)

    run(work)


def test_where_nobody_can_tell_who_has_streams_those_that_are_known_are_posted(cluster, sqlite_url):
    async def work():
        _, mine, new = names_on(cluster)
        node = cluster.node_of(ORGANIZATIONS)
        async with journal_of(cluster, sqlite_url) as journal:
            journal.append(entry(0, mine))
            await journal.flush()
            node.pause()
            journal.append(entry(1, new))
            await until(lambda: journal.state(time.time()).errors)
            journal.append(entry(2, mine))
            await until(lambda: "req_2" in journal.post.posted)
            assert "req_1" not in journal.post.posted
            node.resume()
            await journal.flush()
            assert await journal.post.book() == ids(3)
            assert await nothing_left(journal.client, new)

    run(work)


def test_the_end_hands_over_all_that_nodes_take_that_are_there(cluster, sqlite_url):
    async def work():
        _, mine, other = names_on(cluster)
        node = cluster.node_of(stream_of(mine))
        async with journal_of(cluster, sqlite_url) as journal:
            for n, name in enumerate((mine, other)):
                journal.append(entry(n, name))
            await journal.flush()
            journal.post.away = True
            await asyncio.to_thread(node.kill)
            for n, name in enumerate((mine, other), start=2):
                journal.append(entry(n, name))
            assert await journal.aclose() == (entry(2, mine),)
            assert await journal.client.xlen(stream_of(other)) == 1

    run(work)


def test_the_end_hands_over_all_and_returns_what_redis_did_not_take(redis, sqlite_url):
    async def work():
        async with journal_of(redis, sqlite_url, flush_seconds=60) as journal:
            await journal.flush()
            await journal.client.set(stream_of("broken"), "no stream")
            journal.post.away = True
            for n in range(70):
                journal.append(entry(n))
            journal.append(entry(70, "broken"))
            assert await journal.aclose() == (entry(70, "broken"),)
            assert journal.post.posted == []
            with pytest.raises(RuntimeError):
                await journal.flush()
        async with journal_of(redis, sqlite_url, "two", claim_seconds=0.02) as journal:
            await until(lambda: len(set(journal.post.posted)) == 70)
            assert await journal.post.book() == ids(70)

    run(work)


def test_a_poster_that_failed_is_full(redis, sqlite_url):
    async def work():
        async with journal_of(redis, sqlite_url) as journal:

            async def fault():
                raise ZeroDivisionError

            journal.post.after = fault
            journal.append(entry(1))
            await until(lambda: journal.state(time.time()).full)
            journal.append(entry(2))
            with pytest.raises(RuntimeError):
                await journal.flush()

    run(work)
