"""Any history of reservations, settlements, sweeps and restarts, over each ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from ledger_world import LEDGERS, NOW, WHO, Open, World, claim_of, limit_of

from gateway.quota.ledger import Standing
from gateway.quota.limit import Amounts, Level, Measure, Mode, Window

DAY = 86400
LIMITS = {
    "day": limit_of(Measure.REQUESTS, 12, Window.DAY, level=Level.KEY),
    "week": limit_of(Measure.TOKENS, 300, Window.WEEK),
    "prepaid": limit_of(Measure.MONEY, 4000, Window.NONE, level=Level.ORGANIZATION),
    "trial": limit_of(Measure.INPUT_TOKENS, 50, Window.DAY, mode=Mode.OBSERVE),
    "minute": limit_of(Measure.TOKENS, 120, Window.MINUTE),
    "slots": limit_of(Measure.CONCURRENCY, 4, Window.NONE),
}
START: Mapping[str, Callable[[float], float]] = {
    "day": lambda now: now // DAY * DAY,
    "week": lambda now: (now // DAY - (now // DAY - 4) % 7) * DAY,  # 1970-01-05 was a Monday
    "prepaid": lambda now: 0.0,
    "trial": lambda now: now // DAY * DAY,
}
BOUNDS = st.builds(Amounts, st.just(1), st.integers(0, 40), st.integers(0, 40), st.integers(0, 900))
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
        self.held: dict[str, tuple[float, Mapping[str, str], Amounts]] = {}

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()

    def standings(self, who: Mapping[str, str]) -> dict[str, Standing]:
        claims = [claim_of(limit, who) for limit in LIMITS.values()]
        found = self.runner.run(self.world.ledger.standings(claims, self.now))
        return dict(zip(LIMITS, found, strict=True))

    @rule(seconds=st.one_of(st.floats(0, 90), st.floats(0, 2 * DAY)))
    def time_goes_on(self, seconds: float) -> None:
        self.now += seconds

    @rule(bound=BOUNDS, key=KEYS, lease=st.sampled_from([30.0, 3600.0]))
    def reserve(self, bound: Amounts, key: str, lease: float) -> None:
        bound, who = replace(bound, concurrency=1), {**WHO, "key_id": key}
        before = self.standings(who)
        fits = {
            name: bound.of(limit.measure) == 0 or bound.of(limit.measure) <= before[name].remaining
            for name, limit in LIMITS.items()
        }
        self.count += 1
        id = f"r{self.count}"
        verdict = self.runner.run(
            self.world.reserve(
                id, bound, *LIMITS.values(), now=self.now, who=who, expires_after=lease
            )
        )
        assert verdict.granted == all(fits[name] for name in fits if name != "trial")
        assert [not standing.refused for standing in verdict.standings] == list(fits.values())
        if verdict.granted:
            self.held[id] = (self.now + lease, who, bound)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), share=st.floats(0, 1))
    def settle(self, data: st.DataObject, share: float) -> None:
        id = data.draw(st.sampled_from(sorted(self.held)))
        _, who, bound = self.held.pop(id)
        used = Amounts(
            bound.requests,
            int(bound.input_tokens * share),
            int(bound.output_tokens * share),
            int(bound.cost_nano * share),
        )
        self.runner.run(self.world.settle(id, used, self.now, who))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.held)))
        _, who, _ = self.held.pop(id)
        self.runner.run(self.world.release(id, self.now, who))

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
        posts = self.world.book.posts
        assert len({post.id for post in posts}) == len(posts)
        for key in ("key_1", "key_2"):
            who = {**WHO, "key_id": key}
            standings = self.standings(who)
            for name, start in START.items():
                limit, since = LIMITS[name], start(self.now)
                mine = [
                    (self.world._reserved[id], bound)
                    for id, (_, whose, bound) in self.held.items()
                    if limit.level is not Level.KEY or whose["key_id"] == key
                ]
                booked = [
                    (post.time, post.used)
                    for post in posts
                    if limit.level is not Level.KEY or post.who["key_id"] == key
                ]
                reserved = sum(b.of(limit.measure) for at, b in mine if at >= since)
                used = sum(u.of(limit.measure) for at, u in booked if at >= since)
                assert (standings[name].used, standings[name].reserved) == (used, reserved), name
                assert limit.mode is Mode.OBSERVE or used + reserved <= limit.amount
            minute, slots = standings["minute"], standings["slots"]
            assert min(minute.used, minute.reserved) >= 0
            assert minute.used + minute.reserved <= self.ceiling
            assert (slots.used, slots.reserved) == (0, len(self.held))


@pytest.mark.parametrize("open_ledger", LEDGERS.values(), ids=LEDGERS)
def test_any_history_stands_as_the_book_and_what_is_open_say(open_ledger: Open) -> None:
    run_state_machine_as_test(
        lambda: LedgerMachine(open_ledger),
        settings=settings(max_examples=60, stateful_step_count=30, deadline=None),
    )
