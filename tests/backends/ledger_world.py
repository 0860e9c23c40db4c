"""A world to try ledgers in: a book, short words for what a request does, and every ledger.

A new ledger is one line in LEDGERS; then the contract and the machine run over it, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from gateway import errors
from gateway.backends.memory_ledger import MemoryLedger
from gateway.quota.ledger import (
    Book,
    Claim,
    Ledger,
    Record,
    Reservation,
    Standing,
    Subject,
    Verdict,
)
from gateway.quota.limit import Amounts, Level, Limit, Measure, Window

Open = Callable[[Book], AbstractAsyncContextManager[Ledger]]


@asynccontextmanager
async def memory(book: Book) -> AsyncIterator[Ledger]:
    yield MemoryLedger(book)


LEDGERS: Mapping[str, Open] = {
    "memory": memory,
}
"""Each opens a ledger that knows nothing but the book, as after a restart that lost all else."""

NOW = 1_795_456_800.0  # Monday 2026-11-23T18:00:00Z

WHO = {"organization": "acme", "project": "demo", "key_id": "key_1"}


@dataclass(frozen=True)
class Post:
    id: str
    time: float
    who: Mapping[str, str]
    used: Amounts
    outcome: str = "settled"


@dataclass
class FakeBook:
    """Keeps posts, and can be slow or broken."""

    posts: list[Post] = field(default_factory=list)
    broken: bool = False
    slow: asyncio.Event | None = None

    def append(self, record: Record) -> None:
        assert isinstance(record, Post)
        self.posts.append(record)

    async def spent(self, subject: Subject, since: float) -> Amounts:
        await asyncio.sleep(0)
        if self.slow is not None:
            await self.slow.wait()
        if self.broken:
            raise errors.Unavailable("no database", code="database_unavailable")
        sums = {"requests": 0, "input_tokens": 0, "output_tokens": 0, "cost_nano": 0}
        for post in self.posts:
            if post.time >= since and all(post.who.get(name) == value for name, value in subject):
                for name in sums:
                    sums[name] += getattr(post.used, name)
        return Amounts(**sums)


class World:
    """A ledger over a book, and short words for what a request does."""

    def __init__(self, open_ledger: Open, stack: AsyncExitStack) -> None:
        self.book = FakeBook()
        self._open_ledger = open_ledger
        self._stack = stack
        self._reserved: dict[str, float] = {}

    async def begin(self) -> None:
        """A world without a past."""
        self.book.posts.clear()
        await self.restart()

    async def restart(self) -> None:
        """As after a crash that lost all but the book."""
        self.ledger = await self._stack.enter_async_context(self._open_ledger(self.book))

    def post(self, id: str, used: Amounts, outcome: str, who: Mapping[str, str] = WHO) -> Post:
        return Post(id, self._reserved[id], who, used, outcome)

    async def reserve(
        self,
        id: str,
        bound: Amounts,
        *limits: Limit,
        now: float = NOW,
        who: Mapping[str, str] = WHO,
        expires_after: float = 600,
    ) -> Verdict:
        self._reserved[id] = now
        abandoned = self.post(id, bound, "abandoned", who)
        claims = tuple(claim_of(limit, who) for limit in limits)
        reservation = Reservation(id, claims, bound, abandoned, now + expires_after)
        return await self.ledger.reserve(reservation, now)

    async def settle(
        self, id: str, used: Amounts, now: float = NOW, who: Mapping[str, str] = WHO
    ) -> None:
        await self.ledger.settle(id, used, self.post(id, used, "settled", who), now)

    async def release(self, id: str, now: float = NOW, who: Mapping[str, str] = WHO) -> None:
        await self.ledger.release(id, self.post(id, Amounts(), "released", who), now)

    async def stands(self, limit: Limit, now: float = NOW) -> Standing:
        (standing,) = await self.ledger.standings([claim_of(limit, WHO)], now)
        return standing

    async def figures(self, limit: Limit, now: float = NOW) -> tuple[int, int]:
        standing = await self.stands(limit, now)
        return standing.used, standing.reserved


def claim_of(limit: Limit, who: Mapping[str, str]) -> Claim:
    names = {
        Level.ORGANIZATION: ["organization"],
        Level.PROJECT: ["organization", "project"],
        Level.KEY: ["organization", "project", "key_id"],
        Level.END_USER: ["organization", "project", "end_user"],
    }[limit.level]
    return Claim(limit, tuple((name, who[name]) for name in names))


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

    test.__name__ = play.__name__  # type: ignore[attr-defined]
    return test
