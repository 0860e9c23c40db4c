"""Any history of reservations, settlements, sweeps and restarts, over each ledger."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from ledger_world import LEDGERS, NOW, WHO, Open, Post, World, limit_of

from gateway.quota.ledger import Standing
from gateway.quota.limit import Amounts, Level, Limit, Measure, Mode, Window

DAY = 86400
LIMITS = {
    "day": limit_of(Measure.REQUESTS, 12, Window.DAY, level=Level.KEY),
    "week": limit_of(Measure.TOKENS, 300, Window.WEEK),
    "prepaid": limit_of(Measure.MONEY, 4000, Window.NONE, level=Level.ORGANIZATION),
    "trial": limit_of(Measure.INPUT_TOKENS, 50, Window.DAY, mode=Mode.OBSERVE),
    "minute": limit_of(Measure.TOKENS, 120, Window.MINUTE),
    "slots": limit_of(Measure.CONCURRENCY, 4, Window.NONE),
    "rolling": limit_of(Measure.OUTPUT_TOKENS, 60, Window.DAY, rollover=50),
}
LATER = {
    "newcomer": limit_of(Measure.TOKENS, 200, Window.DAY, level=Level.KEY),
    "late": limit_of(Measure.MONEY, 3000, Window.WEEK, mode=Mode.SOFT),
}
START: Mapping[str, Callable[[float], float]] = {
    "day": lambda now: now // DAY * DAY,
    "week": lambda now: (now // DAY - (now // DAY - 4) % 7) * DAY,  # 1970-01-05 was a Monday
    "prepaid": lambda now: 0.0,
    "trial": lambda now: now // DAY * DAY,
    "rolling": lambda now: now // DAY * DAY,
    "newcomer": lambda now: now // DAY * DAY,
    "late": lambda now: (now // DAY - (now // DAY - 4) % 7) * DAY,
}
BOUNDS = st.builds(
    Amounts, st.just(1), st.integers(0, 40), st.integers(0, 40), st.integers(0, 900), st.just(1)
)
KEYS = st.sampled_from(["key_1", "key_2"])


class LedgerMachine(RuleBasedStateMachine):
    """The ledger against dictionaries: `held` and the book's posts say what must stand."""

    def __init__(self, open_ledger: Open) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.world = World(open_ledger, self.stack)
        self.runner.run(self.world.restart())
        self.now = NOW
        self.count = 0
        self.ceiling = LIMITS["minute"].amount
        self.limits = dict(LIMITS)
        self.excess: set[str] = set()  # limits that a debt may have overdrawn
        self.held: dict[str, tuple[float, Mapping[str, str], Amounts]] = {}

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()

    def standings(self, who: Mapping[str, str]) -> dict[str, Standing]:
        looked = self.runner.run(self.world.look(*self.limits.values(), now=self.now, who=who))
        return dict(zip(self.limits, looked.standings, strict=True))

    @rule(seconds=st.one_of(st.floats(0, 90), st.floats(0, 2 * DAY)))
    def time_goes_on(self, seconds: float) -> None:
        self.now += seconds

    @rule(bound=BOUNDS, key=KEYS, lease=st.sampled_from([30.0, 3600.0]))
    def reserve(self, bound: Amounts, key: str, lease: float) -> None:
        who = {**WHO, "key_id": key}
        before = self.standings(who)
        fits = {
            name: bound.of(limit.measure) == 0 or bound.of(limit.measure) <= before[name].remaining
            for name, limit in self.limits.items()
        }
        verdict = self.runner.run(
            self.world.reserve(
                self.new_id(),
                bound,
                *self.limits.values(),
                now=self.now,
                who=who,
                expires_after=lease,
            )
        )
        enforced = [name for name, limit in self.limits.items() if limit.mode is Mode.ENFORCE]
        assert verdict.granted == all(fits[name] for name in enforced)
        assert [not standing.refused for standing in verdict.standings] == list(fits.values())
        if verdict.granted:
            self.held[f"r{self.count}"] = (self.now + lease, who, bound)

    @rule(bound=BOUNDS, key=KEYS, ticks=st.integers(0, 3))
    def leave(self, bound: Amounts, key: str, ticks: int) -> None:
        """A caller that is gone before it has an answer, or releases what it was granted."""
        id, who = self.new_id(), {**WHO, "key_id": key}

        async def play() -> None:
            limits = self.limits.values()
            going = asyncio.ensure_future(
                self.world.reserve(id, bound, *limits, now=self.now, who=who)
            )
            for _ in range(ticks):
                await asyncio.sleep(0)
            going.cancel()
            with suppress(asyncio.CancelledError):
                if (await going).granted:
                    await self.world.vanish(id, self.now)

        self.runner.run(play())

    @rule(used=BOUNDS, key=KEYS)
    def owe(self, used: Amounts, key: str) -> None:
        who = {**WHO, "key_id": key}
        before = self.standings(who)["minute"]
        self.world.owe(self.new_id(), used, *self.limits.values(), now=self.now, who=who)
        self.runner.run(self.world.posts())
        self.excess |= set(self.limits)
        taken = before.used + before.reserved + used.of(Measure.TOKENS)
        self.ceiling = max(self.ceiling, taken + 1)  # each part of it is rounded up

    @rule(used=BOUNDS)
    def correct(self, used: Amounts) -> None:
        """What somebody else posts is known with the next generation."""
        self.runner.run(self.world.correct(self.new_id(), used._replace(requests=0), self.now))
        self.runner.run(self.world.ledger.generation())
        self.excess |= set(self.limits)

    @precondition(lambda self: len(self.limits) < len(LIMITS) + len(LATER))
    @rule()
    def a_new_limit(self) -> None:
        name = list(LATER)[len(self.limits) - len(LIMITS)]
        self.limits[name] = LATER[name]
        self.excess.add(name)

    def new_id(self) -> str:
        self.count += 1
        return f"r{self.count}"

    @precondition(lambda self: self.held)
    @rule(data=st.data(), share=st.floats(0, 1))
    def settle(self, data: st.DataObject, share: float) -> None:
        id = data.draw(st.sampled_from(sorted(self.held)))
        *_, bound = self.held.pop(id)
        used = Amounts(
            bound.requests,
            int(bound.input_tokens * share),
            int(bound.output_tokens * share),
            int(bound.cost_nano * share),
        )
        self.runner.run(self.world.settle(id, used, self.now))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.held)))
        del self.held[id]
        self.runner.run(self.world.release(id, self.now))

    @rule()
    def sweep(self) -> None:
        expired = [id for id, (until, _, _) in self.held.items() if until <= self.now]
        assert self.runner.run(self.world.ledger.sweep(self.now)) == len(expired)
        for id in expired:
            del self.held[id]

    @precondition(lambda self: not self.held)
    @rule()
    def restart(self) -> None:
        self.runner.run(self.world.restart())
        rebuilt = self.standings(WHO)["minute"]
        self.ceiling = max(self.ceiling, rebuilt.used)

    @invariant()
    def every_figure_is_right(self) -> None:
        posts = self.runner.run(self.world.posts())
        assert len({post.id for post in posts}) == len(posts)
        assert not {post.id for post in posts} & set(self.held)
        for key in ("key_1", "key_2"):
            standings = self.standings({**WHO, "key_id": key})
            for name in self.limits.keys() & START.keys():
                self.check_budget(name, key, standings[name], posts)
            minute, slots = standings["minute"], standings["slots"]
            assert min(minute.used, minute.reserved) >= 0
            assert minute.used + minute.reserved <= self.ceiling
            assert (slots.used, slots.reserved) == (0, len(self.held))

    def check_budget(self, name: str, key: str, standing: Standing, posts: list[Post]) -> None:
        limit, since = self.limits[name], START[name](self.now)
        used, reserved = self.sums(limit, key, posts, since, math.inf)
        assert (standing.used, standing.reserved) == (used, reserved), name
        amount = limit.amount
        if limit.rollover:
            left = amount - sum(self.sums(limit, key, posts, since - DAY, since))
            amount += min(limit.rollover, max(0, left))
        assert standing.amount == amount
        if limit.mode is Mode.ENFORCE and name not in self.excess:
            assert used + reserved <= amount, name

    def sums(
        self, limit: Limit, key: str, posts: list[Post], since: float, until: float
    ) -> tuple[int, int]:
        """What the book and what is open say of a window."""

        def counts(who: Mapping[str, str], at: float) -> bool:
            return since <= at < until and (limit.level is not Level.KEY or who["key_id"] == key)

        used = [post.used for post in posts if counts(post.who, post.time)]
        held = [
            bound
            for id, (_, who, bound) in self.held.items()
            if counts(who, self.world.reservations[id].record.time)
        ]
        return sum(u.of(limit.measure) for u in used), sum(b.of(limit.measure) for b in held)


def test_any_history_stands_as_the_book_and_what_is_open_say() -> None:
    run_state_machine_as_test(
        lambda: LedgerMachine(LEDGERS["memory"]),
        settings=settings(max_examples=60, stateful_step_count=30, deadline=None),
    )


def test_any_history_stands_so_over_redis_too() -> None:
    """Not shrunk: where a cancellation meets Redis, a history is not the same twice."""
    run_state_machine_as_test(
        lambda: LedgerMachine(LEDGERS["redis"]),
        settings=settings(
            max_examples=25,
            stateful_step_count=20,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
