"""Two ledgers over the same random trace: every verdict, every standing and the books are alike."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from ledger_world import LEDGERS, NOW, WHO, Open, World, limit_of

from gateway.quota.ledger import AlreadyResolved, Verdict
from gateway.quota.limit import Amounts, Level, Limit, Measure, Mode, Window

STEPS = 3000
SEEDS = (1, 2, 3)
BOOKED_IN = range(0, STEPS, 500)
"""Steps after which the counters are compared, too."""

FIRST = (
    limit_of(Measure.TOKENS, 90_000, Window.DAY, rollover=30_000),
    limit_of(Measure.REQUESTS, 40, Window.MINUTE),
    limit_of(Measure.MONEY, 900_000, Window.MONTH, level=Level.ORGANIZATION),
    limit_of(Measure.CONCURRENCY, 12, Window.NONE, level=Level.KEY),
)
LATER = (
    limit_of(Measure.OUTPUT_TOKENS, 3_000, Window.HOUR, level=Level.KEY),
    limit_of(Measure.INPUT_TOKENS, 60_000, Window.WEEK, zone="Europe/Berlin", mode=Mode.SOFT),
    limit_of(Measure.TOKENS, 40_000, Window.DAY, level=Level.END_USER, mode=Mode.OBSERVE),
    limit_of(Measure.REQUESTS, 4, Window.SECOND, level=Level.END_USER),
    limit_of(Measure.MONEY, 2_500_000, Window.NONE),
    limit_of(Measure.REQUESTS, 1500, Window.MONTH, model="gpt", month_starts_on=24),
    limit_of(Measure.TOKENS, 2_000_000, Window.QUARTER, year_starts_in=4),
    limit_of(Measure.MONEY, 2_000_000, Window.YEAR, level=Level.KEY, zone="Asia/Kolkata"),
)


KINDS = ("granted", "refused", "settle", "release", "vanish", "late", "swept")


@dataclass
class Trace:
    """What happens next, from a seed; it knows nothing of the ledgers but what they answered."""

    random: Random
    now: float = NOW
    count: int = 0
    limits: list[Limit] = field(default_factory=lambda: list(FIRST))
    open: dict[str, Amounts] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    def goes_on(self) -> None:
        """Mostly a little, at times hours; whole microseconds, as clocks tell."""
        seconds = self.random.choice((0.0, 0.05, 0.3, 2.0, 9.0))
        if self.random.random() < 0.01:
            seconds = self.random.choice((70.0, 1900.0, 4000.0, 30_000.0, 90_000.0))
        self.now = round(self.now + seconds * self.random.random(), 6)

    def changes(self) -> None:
        """A new limit, or another amount of one."""
        if len(self.limits) < len(FIRST) + len(LATER) and self.random.random() < 0.5:
            self.limits.append(LATER[len(self.limits) - len(FIRST)])
            return
        number = self.random.randrange(len(self.limits))
        limit = self.limits[number]
        amount = max(1, int(limit.amount * self.random.choice((0.5, 0.9, 1.2, 1.9))))
        self.limits[number] = replace(limit, amount=amount)

    def who(self) -> Mapping[str, str]:
        pick = self.random.choice
        return {
            **WHO,
            "project": pick(("demo", "demo", "other")),
            "key_id": pick(("key_1", "key_2", "key_3")),
            "end_user": pick(("ada", "bob", "eve")),
            "model": pick(("gpt", "mini")),
        }

    def bound(self) -> Amounts:
        draw = self.random.randint
        return Amounts(1, draw(0, 900), draw(0, 500), draw(0, 9000), 1)

    def used(self, bound: Amounts) -> Amounts:
        """Mostly a part of the bound; at times all, at times more."""
        share = self.random.choice((self.random.random(), self.random.random(), 1.0))
        if self.random.random() < 0.03:
            share = 1.7
        return Amounts(
            1,
            int(bound.input_tokens * share),
            int(bound.output_tokens * share),
            int(bound.cost_nano * share),
        )


@dataclass
class Pair:
    """One world for each ledger; what is asked of both must have one answer."""

    worlds: list[World]
    trace: Trace
    seen: Counter[str] = field(default_factory=Counter)

    async def reserve(self) -> None:
        trace = self.trace
        trace.count += 1
        id, bound, who = f"r{trace.count}", trace.bound(), trace.who()
        lease = trace.random.choice((1.0, 30.0, 600.0))
        one, other = [
            await world.reserve(
                id, bound, *trace.limits, now=trace.now, who=who, expires_after=lease
            )
            for world in self.worlds
        ]
        self.alike(one, other)
        self.seen["granted" if one.granted else "refused"] += 1
        if one.granted:
            trace.open[id] = bound

    async def leave(self) -> None:
        """A caller that leaves: it may not have been heard at all, or have been granted already."""
        trace = self.trace
        trace.count += 1
        id, bound, who = f"left{trace.count}", trace.bound(), trace.who()
        await self.look(who)  # so that all counters are there, however far it comes
        patience = trace.random.randrange(4)
        for world in self.worlds:
            going = asyncio.ensure_future(
                world.reserve(id, bound, *trace.limits, now=trace.now, who=who)
            )
            for _ in range(patience):
                await asyncio.sleep(0)
            going.cancel()
            with suppress(asyncio.CancelledError):
                if (await going).granted:
                    await world.vanish(id, trace.now)
            await world.posts()  # and what is to be taken back is
        await self.look(who)

    async def owe(self) -> None:
        """A request that was served while the ledger could not be asked."""
        trace = self.trace
        trace.count += 1
        used, who = trace.bound(), trace.who()
        for world in self.worlds:
            world.owe(f"owed{trace.count}", used, *trace.limits, now=trace.now, who=who)
            await world.posts()
        await self.look(who)

    async def resolve(self) -> None:
        """Also what was resolved before: that is refused."""
        trace = self.trace
        known = [*trace.open, *trace.done[-3:]]
        if not known:
            return
        id = trace.random.choice(known)
        how = trace.random.choice(("settle",) * 5 + ("release", "vanish"))
        used = trace.used(trace.open.get(id, Amounts()))
        answers = [await self._resolved(world, id, how, used) for world in self.worlds]
        assert answers[0] == answers[1], (id, how)
        if trace.open.pop(id, None) is not None:
            trace.done.append(id)
        self.seen["late" if answers[0] is None else how] += 1

    async def _resolved(self, world: World, id: str, how: str, used: Amounts) -> object:
        try:
            if how == "settle":
                return await world.settle(id, used, self.trace.now)
            if how == "release":
                return await world.release(id, self.trace.now)
            return await world.vanish(id, self.trace.now)
        except AlreadyResolved:
            return None

    async def sweep(self) -> None:
        one, other = [await world.ledger.sweep(self.trace.now) for world in self.worlds]
        assert one == other
        self.seen["swept"] += one

    async def look(self, who: Mapping[str, str] | None = None) -> None:
        asked, who = self.trace.bound(), who or self.trace.who()
        one, other = [
            await world.look(*self.trace.limits, now=self.trace.now, asked=asked, who=who)
            for world in self.worlds
        ]
        self.alike(one, other)

    async def change(self) -> None:
        self.trace.changes()

    def alike(self, one: Verdict, other: Verdict) -> None:
        assert one.now == other.now
        assert one.granted == other.granted
        for mine, yours in zip(one.standings, other.standings, strict=True):
            assert mine == yours
            assert min(mine.used, mine.reserved) >= 0

    async def compare_counters(self) -> None:
        """Each that both know; one may have forgotten what the other has not."""
        one, other = [
            {
                (c.subject, c.measure, c.window, c.since, c.until): (c.used, c.reserved)
                for c in await world.ledger.counters()
            }
            for world in self.worlds
        ]
        common = one.keys() & other.keys()
        assert common
        assert {key: one[key] for key in common} == {key: other[key] for key in common}

    async def compare_books(self) -> None:
        one, other = [{post.id: post for post in await world.posts()} for world in self.worlds]
        assert one == other
        for world in self.worlds:
            posts = await world.posts()
            assert len({post.id for post in posts}) == len(posts)


async def play(pair: Pair, leaves: bool) -> None:
    verbs = (pair.reserve,) * 10 + (pair.resolve,) * 10 + (pair.look, pair.sweep)
    rare = (*([pair.leave] if leaves else []), pair.change, pair.owe)
    for step in range(STEPS):
        pair.trace.goes_on()
        choice = rare if pair.trace.random.random() < 0.02 else verbs
        await pair.trace.random.choice(choice)()
        if step in BOOKED_IN and pair.seen["granted"]:
            await pair.compare_counters()
    pair.trace.now += 10_000
    await pair.sweep()
    await pair.compare_books()
    for key in ("key_1", "key_2", "key_3"):
        for world in pair.worlds:
            verdict = await world.look(
                *pair.trace.limits, now=pair.trace.now, who={**WHO, "key_id": key}
            )
            assert not any(standing.reserved for standing in verdict.standings)


async def a_world(open_ledger: Open, stack: AsyncExitStack) -> World:
    world = World(open_ledger, stack)
    await world.restart()
    return world


PAIRS = [("memory", name) for name in LEDGERS]
"""How far one who leaves came is the same twice only where nothing goes over a wire."""


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_two_ledgers_say_the_same_to_thousands_of_requests(
    pair: tuple[str, str], seed: int
) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            trace = Trace(Random(seed))
            both = Pair([await a_world(LEDGERS[name], stack) for name in pair], trace)
            try:
                await play(both, leaves=set(pair) == {"memory"})
            except AssertionError as error:
                error.add_note(f"seed {seed}, request {trace.count}, now {trace.now}")
                raise
            seldom = {what for what in KINDS if both.seen[what] < 10}
            assert not seldom, f"the trace tries too little: {both.seen}"

    asyncio.run(run())
