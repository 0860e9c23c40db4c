"""A world to try ledgers in: a book, short words for what a request does, and every ledger.

A new ledger is one line in LEDGERS; then the contract and the machine run over it, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

from gateway import errors
from gateway.backends.memory_ledger import MemoryLedger
from gateway.quota.ledger import (
    Book,
    Claim,
    Generations,
    Ledger,
    Record,
    Reservation,
    Standing,
    Subject,
    Verdict,
)
from gateway.quota.limit import NOTHING, Amounts, Level, Limit, Measure, Window

Open = Callable[[Book], AbstractAsyncContextManager[Ledger]]


@asynccontextmanager
async def memory(book: Book) -> AsyncIterator[Ledger]:
    yield MemoryLedger(book)


@asynccontextmanager
async def redis(book: Book) -> AsyncIterator[Ledger]:
    """Skips the test where there is no Redis to be had."""
    import redis_world

    async with redis_world.redis(book) as ledger:
        yield ledger


@asynccontextmanager
async def redis_cluster(book: Book) -> AsyncIterator[Ledger]:
    """Skips the test where there is no cluster to be had."""
    import redis_world

    async with redis_world.redis_cluster(book) as ledger:
        yield ledger


LEDGERS: dict[str, Open] = {
    "memory": memory,
    "redis": redis,
}
"""Each opens a ledger that knows nothing but the book, as after a restart that lost all else."""

PLACES: Mapping[str, Open] = LEDGERS | {"redis-cluster": redis_cluster}
"""And where one of them can lie, too: what takes long runs over LEDGERS only."""

NOW = 1_795_456_800.0  # Monday 2026-11-23T18:00:00Z

WHO = {
    "organization": "acme",
    "project": "demo",
    "key_id": "key_1",
    "end_user": "",
    "model": "gpt",
}


@dataclass(frozen=True)
class Post:
    id: str
    time: float
    who: Mapping[str, str]
    used: Amounts
    outcome: str = "settled"


@dataclass
class FakeBook:
    """Keeps posts and what is held, and can be slow or broken: to read, to hold, or both.

    A ledger that keeps posts elsewhere at first sets `drain`, which brings them here, what is owed
    included; one that does not ask for generations sets `tell`, awaited when they changed (and
    when that was)."""

    posts: list[Post] = field(default_factory=list)
    held: dict[str, Reservation] = field(default_factory=dict)
    known: Generations = field(default_factory=Generations)
    broken: bool = False
    slow: asyncio.Event | None = None
    slow_hold: asyncio.Event | None = None
    drain: Callable[[], Awaitable[None]] | None = None
    tell: Callable[[Generations, float], Awaitable[None]] | None = None

    async def hold(self, reservation: Reservation) -> Generations:
        await self._answer(self.slow_hold)
        self.held[reservation.id] = reservation
        return self.known

    def append(self, record: Record) -> None:
        assert isinstance(record, Post)
        self.held.pop(record.id, None)
        self.posts.append(record)

    def post(self, records: Iterable[Record]) -> None:
        """What another process posts; the first one of an id counts."""
        ids = {post.id for post in self.posts}
        for record in records:
            if record.id not in ids:
                self.append(record)

    def forget(self, id: str) -> None:
        self.held.pop(id, None)

    async def generations(self) -> Generations:
        await self._answer(None)
        return self.known

    async def spent(
        self,
        subject: Subject,
        since: float,
        until: float | None = None,
        but: frozenset[str] = frozenset(),
    ) -> Amounts:
        """`but` are ids of posts that are not wanted."""
        await self._answer(self.slow)
        sums = {"requests": 0, "input_tokens": 0, "output_tokens": 0, "cost_nano": 0}
        for post in self.posts:
            if post.id in but or post.time < since or (until is not None and post.time >= until):
                continue
            if all(post.who.get(name) == value for name, value in subject):
                for name in sums:
                    sums[name] += getattr(post.used, name)
        return Amounts(**sums)

    def abandon(self) -> None:
        """As a journal does when it starts: what was left open is posted at its bound."""
        for reservation in list(self.held.values()):
            self.append(reservation.record)

    async def _answer(self, slow: asyncio.Event | None) -> None:
        await asyncio.sleep(0)
        if slow is not None:
            await slow.wait()
        if self.broken:
            raise errors.Unavailable("no database", code="database_unavailable")


class World:
    """A ledger over a book, and short words for what a request does."""

    def __init__(self, open_ledger: Open, stack: AsyncExitStack) -> None:
        self.book = FakeBook()
        self._open_ledger = open_ledger
        self._stack = stack
        self.reservations: dict[str, Reservation] = {}

    async def begin(self) -> None:
        """A world without a past."""
        await self.posts()
        self.book.posts.clear()
        self.book.held.clear()
        await self.restart()

    async def restart(self) -> None:
        """As after a crash that lost all but the book, which books what was open as abandoned."""
        await self.posts()
        self.book.abandon()
        self.ledger = await self._stack.enter_async_context(self._open_ledger(self.book))

    async def posts(self) -> list[Post]:
        """All that was posted so far."""
        if self.book.drain is not None:
            await self.book.drain()
        return self.book.posts

    async def change(self, access: int = 0, book: int = 0, now: float = NOW) -> None:
        """Keys or grants changed, or entries were posted by somebody else."""
        known = self.book.known
        self.book.known = Generations(known.access + access, known.book + book)
        if self.book.tell is not None:
            await self.book.tell(self.book.known, now)

    async def correct(self, id: str, used: Amounts, now: float = NOW) -> None:
        """Post a correction, as the command line does."""
        self.book.post([Post(id, now, WHO, used, "correction")])
        await self.change(book=1, now=now)

    def asking(
        self,
        id: str,
        bound: Amounts,
        *limits: Limit,
        now: float = NOW,
        who: Mapping[str, str] = WHO,
        expires_after: float = 600,
    ) -> Reservation:
        claims = tuple(claim_of(limit, who) for limit in limits)
        abandoned = Post(id, now, who, bound, "abandoned")
        expires_at = now + expires_after
        reservation = Reservation(id, claims, whose_of(who), bound, abandoned, expires_at)
        self.reservations[id] = reservation
        return reservation

    def post_of(self, id: str, used: Amounts, outcome: str) -> Post:
        record = self.reservations[id].record
        assert isinstance(record, Post)
        return replace(record, used=used, outcome=outcome)

    async def reserve(
        self,
        id: str,
        bound: Amounts,
        *limits: Limit,
        now: float = NOW,
        who: Mapping[str, str] = WHO,
        expires_after: float = 600,
    ) -> Verdict:
        reservation = self.asking(id, bound, *limits, now=now, who=who, expires_after=expires_after)
        return await self.ledger.reserve(reservation, now)

    async def settle(self, id: str, used: Amounts, now: float = NOW) -> tuple[Standing, ...]:
        record = self.post_of(id, used, "settled")
        return (await self.ledger.settle(self.reservations[id], used, record, now))()

    async def release(self, id: str, now: float = NOW) -> tuple[Standing, ...]:
        record = self.post_of(id, Amounts(), "released")
        return (await self.ledger.release(self.reservations[id], record, now))()

    async def vanish(self, id: str, now: float = NOW) -> tuple[Standing, ...]:
        """Release without a record."""
        return (await self.ledger.release(self.reservations[id], None, now))()

    def owe(
        self,
        id: str,
        used: Amounts,
        *limits: Limit,
        now: float = NOW,
        who: Mapping[str, str] = WHO,
    ) -> None:
        """A request that was served without having been admitted."""
        reservation = self.asking(id, used, *limits, now=now, who=who)
        self.ledger.owe(reservation, used, self.post_of(id, used, "settled"), now)

    async def look(
        self,
        *limits: Limit,
        now: float = NOW,
        asked: Amounts = NOTHING,
        who: Mapping[str, str] = WHO,
    ) -> Verdict:
        """The short question has the same answer."""
        claims = [claim_of(limit, who) for limit in limits]
        verdict = await self.ledger.look(claims, now, asked)
        assert await self.ledger.has_room(claims, now, asked) is verdict.granted
        return verdict

    async def stands(self, limit: Limit, now: float = NOW) -> Standing:
        (standing,) = (await self.look(limit, now=now)).standings
        return standing

    async def figures(self, limit: Limit, now: float = NOW) -> tuple[int, int]:
        standing = await self.stands(limit, now)
        return standing.used, standing.reserved


_LEVEL_FIELDS = {
    Level.ORGANIZATION: ["organization"],
    Level.PROJECT: ["organization", "project"],
    Level.KEY: ["organization", "project", "key_id"],
    Level.END_USER: ["organization", "project", "end_user"],
}


def claim_of(limit: Limit, who: Mapping[str, str]) -> Claim:
    names = _LEVEL_FIELDS[limit.level] + ["model"] * (limit.model is not None)
    return Claim(limit, tuple((name, who[name]) for name in names))


def whose_of(who: Mapping[str, str]) -> Subject:
    return tuple((name, who[name]) for name in WHO)


def limit_of(measure: Measure, amount: int, window: Window, **more: object) -> Limit:
    options = {"level": Level.PROJECT, "name": f"{measure}-{window}", **more}
    return Limit(measure=measure, amount=amount, window=window, **options)  # type: ignore[arg-type]


def tokens(count: int) -> Amounts:
    return Amounts(requests=1, input_tokens=count, concurrency=1)


def scenario(play: Callable[[World], Awaitable[None]]) -> Callable[[Open], None]:
    """A test that plays in a World over each ledger."""

    def test(open_ledger: Open) -> None:
        async def run() -> None:
            async with AsyncExitStack() as stack:
                world = World(open_ledger, stack)
                await world.restart()
                await play(world)

        asyncio.run(run())

    test.__name__ = play.__name__
    return test
