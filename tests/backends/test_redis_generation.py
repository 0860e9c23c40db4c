"""The generation in Redis: whoever asks for a verdict after it was published is told."""

import asyncio

import pytest
from redis_server import redis_cluster, redis_server

from gateway.backends.redis_client import connect
from gateway.backends.redis_generation import newest, publish, published, tell
from gateway.backends.redis_keys import GENERATION, ORGANIZATIONS
from gateway.errors import Unavailable


async def every_organization_is_told(url):
    client = await connect(url, 5.0, 2)
    try:
        await publish(client, 6)  # to nobody yet
        await client.sadd(ORGANIZATIONS, "acme", "umbrella")
        assert await published(client, "acme") is None
        for generation, newer in ((7, 7), (8, 8), (3, 8)):  # a late one hides no newer one
            await publish(client, generation)
            told = [await published(client, name) for name in ("acme", "umbrella", "other")]
            assert told == [newer, newer, None]
            assert await newest(client) == newer
    finally:
        await client.aclose()


@pytest.mark.parametrize("place", [redis_server, redis_cluster])
def test_every_organization_that_is_there_is_told_and_no_other(place):
    with place("--appendonly", "no") as server:
        asyncio.run(every_organization_is_told(server.url))


def test_it_takes_three_questions_however_many_organizations_there_are():
    async def work(url):
        client = await connect(url, 5.0, 1)
        try:
            await client.sadd(ORGANIZATIONS, *(f"org-{number}" for number in range(50)))
            before = await reads(client)
            await publish(client, 1)
            after = await reads(client)
            assert await published(client, "org-49") == 1
            return after - before
        finally:
            await client.aclose()

    async def reads(client):
        return (await client.info("stats"))["total_reads_processed"]

    with redis_server("--appendonly", "no") as server:
        assert asyncio.run(work(server.url)) == 4  # and one that asks how many


def test_it_can_be_told_from_outside_and_a_redis_that_is_away_is_unavailable():
    with redis_server("--appendonly", "no") as server:
        asyncio.run(tell(server.url, 9))
        assert server.run("GET", GENERATION) == b"9"
        server.stop()
        with pytest.raises(Unavailable):
            asyncio.run(tell(server.url, 10))
