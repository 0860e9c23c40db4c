"""What is particular to the ledger in Redis: lost data and answers, several processes, numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import resources
from typing import Any

import pytest
import redis as blocking
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_world import NOW, WHO, Open, Post, World, limit_of, tokens
from redis_world import FlakyRedis, HeldLedger, PostedBook, client_of, encode, redis, server

from gateway import errors
from gateway.backends.redis_debts import RETRY_SECONDS
from gateway.backends.redis_keys import stream_of
from gateway.backends.redis_ledger import RedisLedger
from gateway.quota.ledger import AlreadyResolved
from gateway.quota.limit import Amounts, Level, Measure, Window

DAILY = limit_of(Measure.TOKENS, 100, Window.DAY)
MINUTELY = limit_of(Measure.TOKENS, 60, Window.MINUTE)
BIG = 10**18


def played(play: Callable[[World], Awaitable[None]], open_ledger: Open = redis) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            world = World(open_ledger, stack)
            await world.restart()
            await play(world)

    asyncio.run(run())


def ledger_of(world: World) -> HeldLedger:
    assert isinstance(world.ledger, HeldLedger)
    return world.ledger


def client_in(world: World) -> FlakyRedis:
    client = ledger_of(world)._client
    assert isinstance(client, FlakyRedis)
    return client


async def paid(world: World) -> None:
    while world.ledger.owed():  # noqa: ASYNC110
        await asyncio.sleep(0)


@asynccontextmanager
async def another(world: World) -> AsyncIterator[RedisLedger]:
    """A second process on the same Redis."""
    async with client_of(server()) as client:
        yield RedisLedger(client, PostedBook(world.book), encode, use_now=True)


def test_what_was_reserved_before_redis_lost_its_data_is_booked_once() -> None:
    async def play(world: World) -> None:
        for number, is_posted in enumerate((False, True)):
            await world.reserve(f"r{number}", tokens(20), DAILY, MINUTELY)
            await client_in(world).flushall()
            assert await world.settle(f"r{number}", tokens(15)) == ()
            if is_posted:
                await world.posts()
            with pytest.raises(AlreadyResolved):
                await world.settle(f"r{number}", tokens(15))
            await world.posts()
        assert await world.figures(DAILY) == (30, 0)
        assert sorted(post.id for post in await world.posts()) == ["r0", "r1"]

    played(play)


def test_a_settlement_whose_answer_is_lost_is_booked_once() -> None:
    async def play(world: World) -> None:
        for number, moment in enumerate(("before", "after")):
            await world.reserve(f"r{number}", tokens(10), DAILY)
            client_in(world).breaks = moment
            assert await world.settle(f"r{number}", tokens(7)) == ()
            client_in(world).breaks = ""
            await paid(world)
        assert await world.figures(DAILY) == (14, 0)
        assert [post.id for post in await world.posts()] == ["r0", "r1"]

    played(play)


def test_a_reservation_whose_answer_is_lost_is_taken_back() -> None:
    async def play(world: World) -> None:
        await world.reserve("first", tokens(1), DAILY)
        for moment in ("before", "after"):
            client_in(world).breaks = moment
            with pytest.raises(errors.Unavailable) as caught:
                await world.reserve(moment, tokens(50), DAILY)
            assert caught.value.code == "ledger_unavailable"
            client_in(world).breaks = ""
            await paid(world)
            assert await world.figures(DAILY) == (0, 1)
        with pytest.raises(ValueError, match="open already"):  # it may still be on its way
            await world.reserve("before", tokens(50), DAILY)
        assert await world.posts() == []

    played(play)


def test_debts_of_an_outage_wait_and_are_paid_or_handed_back() -> None:
    async def play(world: World) -> None:
        await world.reserve("a", tokens(10), DAILY)
        client_in(world).breaks = "before"
        world.owe("b", tokens(20), DAILY)
        assert await world.settle("a", tokens(5)) == ()
        with pytest.raises(errors.Unavailable):
            await world.stands(DAILY)
        assert world.ledger.owed() == 2
        client_in(world).breaks = ""
        await paid(world)
        assert await world.figures(DAILY) == (25, 0)
        assert {post.id for post in await world.posts()} == {"a", "b"}
        client_in(world).breaks = "before"
        world.owe("c", tokens(1), DAILY)
        assert [record.id for record in await ledger_of(world).aclose()] == ["c"]
        assert world.ledger.owed() == 0

    played(play)


def test_two_processes_that_race_for_fifty_places_get_fifty() -> None:
    limit = limit_of(Measure.REQUESTS, 50, Window.MONTH)

    async def play(world: World) -> None:
        asked = [world.asking(f"r{number}", tokens(1), limit) for number in range(200)]
        async with another(world) as other:
            verdicts = await asyncio.gather(
                *(
                    (other if number % 2 else world.ledger).reserve(one, NOW)
                    for number, one in enumerate(asked)
                )
            )
        assert sum(verdict.granted for verdict in verdicts) == 50
        assert await world.figures(limit) == (0, 50)

    played(play)


def test_entries_that_are_posted_while_a_counter_is_read_are_counted_once() -> None:
    year = limit_of(Measure.TOKENS, 10**6, Window.YEAR)

    async def play(world: World) -> None:
        for id in ("posted", "waiting", "open"):
            await world.reserve(id, tokens(10), DAILY)
        await world.settle("posted", tokens(1))
        await world.posts()
        await world.settle("waiting", tokens(2))
        world.book.slow = asyncio.Event()
        looking = asyncio.ensure_future(world.figures(year))
        stream = stream_of(WHO["organization"])
        while not await client_in(world).keys("gw:{acme}:c:tokens:year:*"):  # noqa: ASYNC110
            await asyncio.sleep(0)
        await world.settle("open", tokens(4))
        await world.posts()
        assert await client_in(world).xlen(stream) == 0
        world.book.slow.set()
        assert await looking == (7, 0)
        await ledger_of(world).recount("acme", NOW)
        assert await world.figures(year) == (7, 0)

    played(play)


def test_a_charge_while_a_counter_is_recounted_leaves_no_correction_out() -> None:
    async def play(world: World) -> None:
        await world.reserve("a", tokens(10), DAILY)
        await world.settle("a", tokens(10))
        await world.posts()
        correction = Post("c", NOW, WHO, tokens(-4), "correction")
        world.book.post([correction])
        world.book.slow = asyncio.Event()
        recounting = asyncio.ensure_future(ledger_of(world).recount("acme", NOW))
        counter = (await client_in(world).keys("gw:{acme}:c:tokens:day:*"))[0]
        while not await client_in(world).hexists(counter, "count"):  # noqa: ASYNC110
            await asyncio.sleep(0)
        world.owe("b", tokens(3), DAILY)
        await paid(world)
        world.book.slow.set()
        await recounting
        assert await world.figures(DAILY) == (9, 0)

    played(play)


def test_a_recount_that_joins_an_older_one_sees_what_was_posted_since() -> None:
    async def play(world: World) -> None:
        await world.reserve("a", tokens(10), DAILY)
        await world.settle("a", tokens(10))
        await world.posts()
        async with another(world) as other:
            asked, go_on = asyncio.Event(), asyncio.Event()
            spent = other._book.spent

            async def slow(*words: Any) -> Amounts:
                sums = await spent(*words)
                asked.set()
                await go_on.wait()
                return sums

            other._rebuild._book.spent = slow  # type: ignore[method-assign]
            older = asyncio.ensure_future(other.recount("acme", NOW))
            await asked.wait()
            world.book.post([Post("c", NOW, WHO, tokens(-4), "correction")])
            newer = asyncio.ensure_future(ledger_of(world).recount("acme", NOW))
            go_on.set()
            await asyncio.gather(older, newer)
        assert await world.figures(DAILY) == (6, 0)

    played(play)


def test_what_was_reserved_unheard_and_abandoned_since_is_not_charged_as_well() -> None:
    async def play(world: World) -> None:
        await world.figures(DAILY)
        client_in(world).breaks = "after"
        with pytest.raises(errors.Unavailable):
            await world.reserve("a", tokens(50), DAILY, expires_after=60)
        client_in(world).breaks = "before"
        world.owe("a", tokens(20), DAILY)
        async with another(world) as other:
            assert await other.sweep(NOW + 61) == 1
        client_in(world).breaks = ""
        await paid(world)
        assert await world.figures(DAILY) == (50, 0)
        assert [(post.id, post.outcome) for post in await world.posts()] == [("a", "abandoned")]

    played(play)


def test_what_was_reserved_unheard_is_settled_when_it_is_charged() -> None:
    async def play(world: World) -> None:
        async with another(world) as other:
            await world.reserve("a", tokens(50), DAILY)
            asked = world.reservations["a"]
            other.owe(asked, tokens(20), world.post_of("a", tokens(20), "settled"), NOW)
            other.start()
            while other.owed():  # noqa: ASYNC110
                await asyncio.sleep(0)
            await other.aclose()
        assert await world.figures(DAILY) == (20, 0)
        assert [post.outcome for post in await world.posts()] == ["settled"]

    played(play)


def test_while_an_unheard_reservation_is_not_taken_back_none_of_its_id_is_made() -> None:
    async def play(world: World) -> None:
        await world.figures(DAILY)
        client_in(world).breaks = "before"
        with pytest.raises(errors.Unavailable):
            await world.reserve("a", tokens(50), DAILY)
        client_in(world).breaks = ""
        with pytest.raises(errors.Unavailable):  # or what takes the first one back would take it
            await world.reserve("a", tokens(50), DAILY)
        await paid(world)
        assert await world.figures(DAILY) == (0, 0)

    played(play)


def test_a_settlement_that_its_stream_refuses_leaves_the_reservation_whole() -> None:
    async def play(world: World) -> None:
        await world.reserve("a", tokens(50), DAILY)
        stream = stream_of(WHO["organization"])
        await client_in(world).set(stream, "no stream")
        assert await world.settle("a", tokens(20)) == ()
        assert await world.figures(DAILY) == (0, 50)
        await client_in(world).delete(stream)
        await paid(world)
        assert await world.figures(DAILY) == (20, 0)
        assert [post.id for post in await world.posts()] == ["a"]

    played(play)


def test_a_row_that_is_no_entry_keeps_no_counter_from_being_read() -> None:
    async def play(world: World) -> None:
        stream = stream_of(WHO["organization"])
        await world.reserve("a", tokens(5), DAILY)
        await world.settle("a", tokens(5))
        for entry in ("{", "[]", '{"id": 1}'):
            await client_in(world).xadd(stream, {"entry": entry, "time": "1"})
        await client_in(world).xadd(stream, {"other": "field"})
        year = limit_of(Measure.TOKENS, 100, Window.YEAR)
        assert await world.figures(year) == (5, 0)
        await client_in(world).xtrim(stream, maxlen=0)

    played(play)


def test_amounts_near_ten_to_the_eighteenth_are_exact() -> None:
    async def play(world: World) -> None:
        for window in (Window.YEAR, Window.HOUR):
            await world.begin()
            limit = limit_of(Measure.MONEY, BIG, window, level=Level.ORGANIZATION)
            bound = Amounts(cost_nano=BIG - 1)
            assert (await world.reserve(f"a-{window}", bound, limit)).granted
            over = await world.reserve(f"b-{window}", Amounts(cost_nano=2), limit)
            assert not over.granted
            assert over.standings[0].remaining == 1
            assert (await world.reserve(f"c-{window}", Amounts(cost_nano=1), limit)).granted
            await world.settle(f"a-{window}", Amounts(cost_nano=BIG - 3))
            assert await world.figures(limit) == (BIG - 3, 1)

    played(play)


def test_redis_own_clock_decides_and_its_window_is_found() -> None:
    async def play(world: World) -> None:
        async with client_of(server()) as client:
            own = RedisLedger(client, PostedBook(world.book), encode)
            seconds, micros = await client.time()
            asked = world.asking("a", tokens(5), DAILY, MINUTELY, now=12345.0)
            verdict = await own.reserve(asked, 12345.0)  # this process' clock is far off
            assert verdict.granted
            assert 0 <= verdict.now - (seconds + micros / 1e6) < 60
            day = verdict.standings[0].resets_at
            assert day is not None
            assert day - 86400 <= verdict.now < day
            assert await own.sweep(NOW * 2) == 0

    played(play)


@pytest.fixture(scope="module")
def link() -> Any:
    with blocking.Redis.from_url(server().url) as link:
        yield link


NUMBERS = st.one_of(st.integers(0, 10**30), st.sampled_from([0, 1, 10**7 - 1, 10**7, 10**14]))


@settings(max_examples=200, deadline=None)
@given(a=NUMBERS, b=NUMBERS)
def test_numbers_of_any_size_are_as_pythons(link: Any, a: int, b: int) -> None:
    text = (resources.files("gateway.backends") / "lua/bignum.lua").read_text()
    text += """
    local a, b = big.of(ARGV[1]), big.of(ARGV[2])
    return { big.text(big.add(a, b)), big.text(big.over(a, b)), big.text(big.mul(a, b)),
      big.less(a, b) and 1 or 0, big.text(big.least(a, b)) }"""
    answer = [int(value) for value in link.eval(text, 0, str(a), str(b))]
    assert answer == [a + b, max(0, a - b), a * b, a < b, min(a, b)]


def test_a_redis_that_is_full_is_away_although_it_can_be_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def play(world: World) -> None:
        await world.reserve("a", tokens(10), DAILY)
        client, ledger = client_in(world), ledger_of(world)
        ledger.start()
        await ledger.sweep(NOW)
        await client.config_set("maxmemory", 1)
        try:
            assert await world.settle("a", tokens(5)) == ()
            for _ in range(3):
                with pytest.raises(errors.Unavailable):
                    await ledger.sweep(NOW)
                await asyncio.sleep(RETRY_SECONDS)
            with pytest.raises(errors.Unavailable):
                await ledger.generation()
        finally:
            await client.config_set("maxmemory", 0)
        await ledger.sweep(NOW)
        await ledger.generation()
        await paid(world)
        assert await world.figures(DAILY) == (5, 0)
        said = [record.getMessage() for record in caplog.records if "gateway" in record.name]
        assert said == [
            "Redis is out of memory; raise its maxmemory.", "Redis takes writes again."
        ]  # fmt: skip

    played(play)
