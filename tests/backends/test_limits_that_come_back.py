"""A limit that was taken out of the policy and put back counts what was used meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from ledger_world import LEDGERS, NOW, World, limit_of, tokens

from gateway.quota.limit import Measure, Window

OTHER = limit_of(Measure.REQUESTS, 1000, Window.DAY)


@pytest.mark.parametrize("window", [Window.MONTH, Window.DAY, Window.HOUR, Window.MINUTE])
@pytest.mark.parametrize("is_open", [False, True], ids=["settled", "open"])
def test_what_was_used_while_a_limit_was_away_counts(window: Window, is_open: bool) -> None:
    limit = limit_of(Measure.INPUT_TOKENS, 100, window)

    async def work() -> None:
        async with AsyncExitStack() as stack:
            world = World(LEDGERS["memory"], stack)
            await world.begin()
            await world.reserve("before", tokens(10), limit, OTHER)
            await world.settle("before", tokens(10))
            await world.reserve("meanwhile", tokens(85), OTHER)
            if not is_open:
                await world.settle("meanwhile", tokens(85))
            verdict = await world.reserve("after", tokens(50), limit, OTHER)
            assert not verdict.granted
            if is_open:
                await world.settle("meanwhile", tokens(5))
            assert (await world.reserve("fits", tokens(5), limit, OTHER)).granted
            used, reserved = (await world.figures(limit))[:2]
            assert (used, reserved) == (15 if is_open else 95, 5)

    asyncio.run(work())


def test_a_budget_in_redis_is_read_again() -> None:
    limit = limit_of(Measure.INPUT_TOKENS, 100, Window.MONTH)

    async def work() -> None:
        async with AsyncExitStack() as stack:
            world = World(LEDGERS["redis"], stack)
            await world.begin()
            await world.reserve("before", tokens(10), limit, OTHER)
            await world.settle("before", tokens(10))
            await world.reserve("meanwhile", tokens(85), OTHER)
            await world.settle("meanwhile", tokens(85))
            for organization in await world.ledger.organizations():
                await world.ledger.recount(organization, NOW)
            assert not (await world.reserve("after", tokens(50), limit, OTHER)).granted

    asyncio.run(work())
