"""Ledgers in a real Redis, whose stream is posted to the FakeBook of a World when it is asked for.

One server and one cluster a test process; each ledger begins with an empty Redis, as after a
restart that lost it.
"""

from __future__ import annotations

import asyncio
import atexit
import json
from collections.abc import AsyncIterator, Collection
from contextlib import ExitStack, asynccontextmanager
from functools import cache
from typing import Any

from ledger_world import FakeBook, Post
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError
from redis_server import RedisServer, ServerCluster, redis_server
from redis_server import redis_cluster as redis_server_cluster

from gateway.backends.redis_client import Client, connect
from gateway.backends.redis_generation import publish
from gateway.backends.redis_keys import ORGANIZATIONS, stream_of
from gateway.backends.redis_ledger import RedisLedger
from gateway.backends.tables import micros, seconds
from gateway.quota.ledger import Generations, Record, Reservation, Standing, Subject, Verdict
from gateway.quota.limit import Amounts


@cache
def server() -> RedisServer:
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(redis_server())


@cache
def cluster() -> ServerCluster:
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(redis_server_cluster("--appendonly", "no"))


class FlakyRedis(Redis):
    """`breaks` says when scripts lose their connection: "before" or "after" they are run."""

    breaks = ""

    async def evalsha(self, *words: Any) -> Any:
        if self.breaks == "before":
            raise ConnectionError("cut before")
        answer = await super().evalsha(*words)
        if self.breaks == "after":
            raise ConnectionError("cut after")
        return answer

    def pipeline(self, *words: Any, **more: Any) -> Any:
        """Where several scripts are asked together."""
        pipe = super().pipeline(*words, **more)
        execute = pipe.execute

        async def flaky(**how: Any) -> Any:
            if self.breaks == "before":
                raise ConnectionError("cut before")
            answers = await execute(**how)
            if self.breaks == "after":
                raise ConnectionError("cut after")
            return answers

        pipe.execute = flaky  # type: ignore[assignment]
        return pipe


def client_of(server: RedisServer) -> FlakyRedis:
    return FlakyRedis.from_url(server.url, retry=Retry(NoBackoff(), 0), socket_timeout=5)


def encode(post: Post) -> str:
    """As entry_json does: columns, time in microseconds."""
    row = {"id": post.id, "time": micros(post.time), "outcome": post.outcome, **post.who}
    return json.dumps(row | post.used._asdict())


def decode(text: bytes, time: bytes) -> Post:
    row = json.loads(text)
    who = {
        name: row.pop(name) for name in ("organization", "project", "key_id", "end_user", "model")
    }
    id, outcome = row.pop("id"), row.pop("outcome")
    row.pop("time")
    return Post(id, seconds(int(time)), who, Amounts(**row), outcome)


class PostedBook:
    """A FakeBook as RedisLedger sees it."""

    def __init__(self, book: FakeBook) -> None:
        self.book = book

    async def spent(
        self, subject: Subject, since: float, until: float | None, but: Collection[str]
    ) -> Amounts:
        return await self.book.spent(subject, since, until, frozenset(but))

    async def knows(self, id: str) -> bool:
        await self.book._answer(None)
        return any(post.id == id for post in self.book.posts)

    async def generations(self) -> Generations:
        return await self.book.generations()


class HeldLedger(RedisLedger):
    """Tells the FakeBook what is open, so that a World can abandon it when all else is lost."""

    fake: FakeBook

    async def reserve(self, reservation: Reservation, now: float) -> Verdict:
        verdict = await super().reserve(reservation, now)
        if verdict.granted:
            self.fake.held[reservation.id] = reservation
        return verdict

    async def release(
        self, reservation: Reservation, record: Record | None, now: float
    ) -> tuple[Standing, ...]:
        standings = await super().release(reservation, record, now)
        if record is None:
            self.fake.forget(reservation.id)
        return standings


async def post_stream(client: Client, book: FakeBook) -> None:
    """What a poster does: commit, then take it from the stream."""
    for organization in await client.smembers(ORGANIZATIONS):
        stream = stream_of(organization.decode())
        for id, fields in await client.xrange(stream):
            book.post([decode(fields[b"entry"], fields[b"time"])])
            await client.xdel(stream, id)


@asynccontextmanager
async def redis(book: Any) -> AsyncIterator[RedisLedger]:
    async with client_of(server()) as client, _ledger(client, book) as ledger:
        yield ledger


@asynccontextmanager
async def redis_cluster(book: Any) -> AsyncIterator[RedisLedger]:
    client = await connect(cluster().url, timeout_seconds=5, connections_max=50)
    async with client, _ledger(client, book) as ledger:
        yield ledger


@asynccontextmanager
async def _ledger(client: Client, book: Any) -> AsyncIterator[RedisLedger]:
    await client.flushall()
    ledger = HeldLedger(client, PostedBook(book), encode, use_now=True)
    ledger.fake = book

    async def drain() -> None:
        while ledger.owed():  # noqa: ASYNC110
            await asyncio.sleep(0)
        await post_stream(client, book)

    async def tell(known: Generations, now: float) -> None:
        await publish(client, known.access)
        for organization in await ledger.organizations():
            await ledger.recount(organization, now)

    book.drain, book.tell = drain, tell
    ledger.start()
    yield ledger
    await ledger.aclose()
