"""Questions that are asked at the same time, and go to Redis together."""

from __future__ import annotations

import asyncio

import pytest
from ledger_world import NOW, World, limit_of, tokens
from redis_world import client_of, server
from test_redis_ledger import client_in, paid, played

from gateway import errors
from gateway.backends.redis_together import TOGETHER_MAX, Together
from gateway.quota.limit import Measure, Window

DAILY = limit_of(Measure.TOKENS, 100, Window.DAY)
MANY = 2 * TOGETHER_MAX + 3


def test_each_has_its_own_answer_or_error_and_few_ways_are_gone() -> None:
    async def ask() -> None:
        async with client_of(server()) as client:
            echo = await client.script_load("return ARGV[1]")
            await client.ping()
            ways = 0
            pipeline = client.pipeline

            def counted(*words: object, **more: object) -> object:
                nonlocal ways
                ways += 1
                return pipeline(*words, **more)

            client.pipeline = counted  # type: ignore[method-assign, assignment]
            together = Together(client)
            digests = [echo if number % 5 else "0" * 40 for number in range(MANY)]
            told = await asyncio.gather(
                *(together.ask(digest, "k", str(n)) for n, digest in enumerate(digests)),
                return_exceptions=True,
            )
            for number, answer in enumerate(told):
                if number % 5:
                    assert answer == str(number).encode()
                else:
                    assert "NOSCRIPT" in repr(answer) or "NoScript" in repr(answer)
            assert ways == 3
            assert await together.ask(echo, "k", "alone") == b"alone"
            assert ways == 3

    asyncio.run(ask())


def test_scripts_that_redis_forgot_are_told_to_it_again() -> None:
    async def play(world: World) -> None:
        await world.reserve("first", tokens(1), DAILY)
        await client_in(world).script_flush()
        asked = [world.asking(f"r{number}", tokens(5), DAILY) for number in range(MANY)]
        verdicts = await asyncio.gather(*(world.ledger.reserve(one, NOW) for one in asked))
        assert sum(verdict.granted for verdict in verdicts) == 19
        assert await world.figures(DAILY) == (0, 96)

    played(play)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_was_asked_together_and_never_heard_is_taken_back_or_booked_once(moment: str) -> None:
    async def play(world: World) -> None:
        for number in range(5):
            await world.reserve(f"known{number}", tokens(10), DAILY)
        client_in(world).breaks = moment
        asked = [world.asking(f"r{number}", tokens(2), DAILY) for number in range(MANY)]
        settled = [world.settle(f"known{number}", tokens(3)) for number in range(5)]
        reserved = [world.ledger.reserve(one, NOW) for one in asked]
        told = await asyncio.gather(*settled, *reserved, return_exceptions=True)
        assert told[:5] == [()] * 5
        assert all(isinstance(error, errors.Unavailable) for error in told[5:])
        client_in(world).breaks = ""
        await paid(world)
        assert await world.figures(DAILY) == (15, 0)
        assert sorted(post.id for post in await world.posts()) == [f"known{n}" for n in range(5)]

    played(play)


def test_one_that_is_cancelled_takes_no_other_with_it_and_is_taken_back() -> None:
    async def play(world: World) -> None:
        await world.figures(DAILY)
        asked = [world.asking(f"r{number}", tokens(1), DAILY) for number in range(4)]
        tasks = [asyncio.create_task(world.ledger.reserve(one, NOW)) for one in asked]
        await asyncio.sleep(0)
        tasks[1].cancel()
        told = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(told[1], asyncio.CancelledError)
        assert [verdict.granted for verdict in told if not isinstance(verdict, BaseException)] == [
            True
        ] * 3
        await paid(world)
        assert await world.figures(DAILY) == (0, 3)

    played(play)
