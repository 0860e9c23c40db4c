"""What is asked of a Redis before accounts are kept in it, what is said of one, and that a client
recovers by itself but never does a thing twice."""

import asyncio
from contextlib import suppress

import pytest
from redis_server import AOF, RedisServer, redis_cluster, redis_server

from gateway.backends.redis_client import (
    ERRORS,
    RedisProblem,
    check,
    connect,
    connect_or_single,
    look,
    problem_of,
)

INCREMENT = "return redis.call('INCR', KEYS[1])"


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


def asked(url, question, timeout_seconds=2.0):
    """What `question(client)` returns."""

    async def main():
        client = await connect(url, timeout_seconds, 2)
        try:
            async with asyncio.timeout(20):
                return await question(client)
        finally:
            await client.aclose()

    return asyncio.run(main())


async def until_done(work):
    while True:
        with suppress(*ERRORS):
            return await work()
        await asyncio.sleep(0.01)


def test_a_server_that_may_throw_accounts_away_is_unfit():
    with redis_server("--maxmemory-policy", "allkeys-lru") as server:
        assert "noeviction" in asked(server.url, check)


def test_a_server_without_a_log_of_its_writes_is_warned_of():
    with redis_server("--appendonly", "no") as server:
        error, warning = asked(server.url, look)
    assert error is None
    assert "appendonly yes" in warning
    with redis_server(*AOF) as server:
        assert asked(server.url, look) == (None, None)


def test_a_server_that_is_nearly_full_is_warned_of():
    with redis_server(*AOF, "--maxmemory", "1mb") as server:  # it needs nearly that for itself
        error, warning = asked(server.url, look)
    assert error is None
    assert "of its maxmemory" in warning


def test_a_wrong_password_is_told_and_not_shown():
    with redis_server(password="right") as server, pytest.raises(RedisProblem) as caught:
        asyncio.run(connect(server.url.replace("right", "sEcret"), 2.0, 2))
    assert "refuses this user and password" in str(caught.value)
    assert "sEcret" not in str(caught.value)
    unknown = problem_of(ValueError("told: sEcret"), "redis://:sEcret@127.0.0.1:1/0")
    assert str(unknown) == "Redis at 127.0.0.1:1 cannot be used: told: ***"


def test_what_is_no_url_is_a_problem():
    with pytest.raises(RedisProblem, match="GATEWAY_REDIS_URL"):
        asyncio.run(connect_or_single("http://127.0.0.1", 2.0, 2))


def test_a_server_that_is_absent_at_the_start_is_used_when_it_comes(tmp_path):
    server = RedisServer(tmp_path)

    async def main():
        with pytest.raises(RedisProblem, match="nothing listens there"):
            await connect(server.url, 2.0, 2)
        client, problem = await connect_or_single(server.url, 2.0, 2)
        assert "nothing listens there" in str(problem)
        await asyncio.to_thread(server.start)
        assert await client.ping()
        await client.aclose()

    try:
        asyncio.run(main())
    finally:
        server.kill()


@pytest.mark.parametrize("world", ["server", "cluster"])
def test_a_command_whose_answer_is_lost_is_not_sent_again(world, request):
    async def question(client):
        assert await client.eval(INCREMENT, 1, "count") == 1
        node.pause()
        with pytest.raises(ERRORS):
            await client.eval(INCREMENT, 1, "count")
        node.resume()
        return int(await until_done(lambda: client.get("count")))

    running = request.getfixturevalue(world)
    running.run("FLUSHALL")
    node = running.node_of("count") if world == "cluster" else running
    assert asked(running.url, question, timeout_seconds=0.4) == 2


def test_commands_and_pipelines_find_a_node_of_a_cluster_that_came_again(cluster):
    async def question(client):
        for work in (lambda: client.get("count"), lambda: piped(client)):
            assert await work()
            await asyncio.to_thread(node.kill)
            with pytest.raises(ERRORS):
                await work()
            await asyncio.to_thread(node.start)
            assert await until_done(work)

    async def piped(client):
        return (await client.pipeline(transaction=False).get("count").execute())[0]

    node = cluster.node_of("count")
    node.run("SET", "count", 1)
    asked(cluster.url, question)


def test_a_node_that_says_nothing_takes_no_connection_from_those_of_others(cluster):
    async def question(client):
        await client.set(here, 1)
        node.pause()
        waiting = [asyncio.create_task(client.get(away)) for _ in range(10)]
        await asyncio.sleep(0)
        assert await client.get(here) == b"1"
        assert not any(task.done() for task in waiting)
        told = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(error, ERRORS) for error in told)
        assert await client.get(here) == b"1"
        node.resume()
        assert await until_done(lambda: client.set(away, 2))

    away, node = "away", cluster.node_of("away")
    here = next(key for key in "abcdefgh" if cluster.node_of(key) is not node)
    asked(cluster.url, question, timeout_seconds=0.4)


def test_who_finds_no_connection_free_waits_for_one(server, cluster):
    async def question(client):
        return await asyncio.gather(*(client.incr("queue") for _ in range(100)))

    for world in (server, cluster):
        assert sorted(asked(world.url, question)) == list(range(1, 101))


def test_a_pipeline_follows_slots_to_their_new_node(cluster):
    async def question(client):
        assert await client.pipeline(transaction=False).get("moved").execute() == [None]
        slot = cluster.nodes[0].run("CLUSTER", "KEYSLOT", "moved")
        old = cluster.node_of("moved")
        new = next(node for node in cluster.nodes if node is not old)
        id = new.run("CLUSTER", "MYID").decode()
        for node in (new, old):
            node.run("CLUSTER", "SETSLOT", slot, "NODE", id)
        return await client.pipeline(transaction=False).incr("moved").execute()

    assert asked(cluster.url, question) == [1]
