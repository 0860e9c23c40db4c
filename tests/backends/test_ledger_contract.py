"""What every Ledger does, over each one of ledger_world.LEDGERS."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from ledger_world import LEDGERS, NOW, WHO, Open, Post, World, claim_of, limit_of, scenario, tokens

from gateway import errors
from gateway.quota.ledger import AlreadyResolved
from gateway.quota.limit import Amounts, Level, Measure, Mode, Window

MIDNIGHT = NOW + 6 * 3600
DECEMBER = MIDNIGHT + 7 * 86400

ONE = tokens(0)
DAILY = limit_of(Measure.TOKENS, 100, Window.DAY)
MINUTELY = limit_of(Measure.TOKENS, 60, Window.MINUTE)


@pytest.fixture(params=LEDGERS)
def open_ledger(request: pytest.FixtureRequest) -> Open:
    return LEDGERS[request.param]


@scenario
async def test_a_hundred_at_once_with_room_for_twenty_are_exactly_twenty(world: World) -> None:
    for window in Window:
        await world.begin()
        limit = limit_of(Measure.REQUESTS, 20, window)
        verdicts = await asyncio.gather(
            *(world.reserve(f"{window}-{number}", ONE, limit) for number in range(100))
        )
        assert sum(verdict.granted for verdict in verdicts) == 20
        assert await world.figures(limit) == (0, 20)
        for number, verdict in enumerate(verdicts):
            if verdict.granted:
                await world.settle(f"{window}-{number}", ONE)
        assert await world.figures(limit) == (20, 0)


@scenario
async def test_all_claims_or_none(world: World) -> None:
    small = limit_of(Measure.REQUESTS, 1, Window.MONTH, level=Level.ORGANIZATION)
    slots = limit_of(Measure.CONCURRENCY, 9, Window.NONE)
    assert (await world.reserve("a", tokens(10), DAILY, MINUTELY, slots, small)).granted
    verdict = await world.reserve("b", tokens(10), DAILY, MINUTELY, slots, small)
    assert not verdict.granted
    assert [standing.refused for standing in verdict.standings] == [False, False, False, True]
    for limit, held in ((DAILY, 10), (MINUTELY, 10), (slots, 1), (small, 1)):
        assert await world.figures(limit) == (0, held)
    with pytest.raises(AlreadyResolved):
        await world.settle("b", tokens(1))
    assert world.book.posts == []


@scenario
async def test_settling_returns_what_was_not_used_and_appends_the_record(world: World) -> None:
    await world.reserve("a", tokens(50), DAILY, MINUTELY)
    verdict = await world.reserve("b", tokens(60), DAILY, MINUTELY)
    assert not verdict.granted
    await world.settle("a", tokens(7))
    assert await world.figures(DAILY) == (7, 0)
    assert await world.figures(MINUTELY) == (7, 0)
    assert [(post.id, post.used) for post in world.book.posts] == [("a", tokens(7))]
    assert (await world.reserve("c", tokens(53), DAILY, MINUTELY)).granted


@scenario
async def test_releasing_returns_everything_and_appends_the_record(world: World) -> None:
    await world.reserve("a", tokens(60), DAILY, MINUTELY)
    await world.release("a")
    assert await world.figures(DAILY) == (0, 0)
    assert await world.figures(MINUTELY) == (0, 0)
    assert [(post.id, post.outcome) for post in world.book.posts] == [("a", "released")]


@scenario
async def test_a_reservation_is_resolved_once(world: World) -> None:
    for id, first in (("a", world.settle("a", tokens(5))), ("b", world.release("b"))):
        await world.reserve(id, tokens(10), DAILY)
        await first
        with pytest.raises(AlreadyResolved):
            await world.settle(id, tokens(5))
        with pytest.raises(AlreadyResolved):
            await world.release(id)
    world._reserved["never"] = NOW
    with pytest.raises(AlreadyResolved):
        await world.settle("never", tokens(5))
    assert await world.figures(DAILY) == (5, 0)
    assert [post.id for post in world.book.posts] == ["a", "b"]


@scenario
async def test_of_many_settlements_at_once_one_is_booked(world: World) -> None:
    await world.reserve("a", tokens(10), DAILY)
    results = await asyncio.gather(
        *(world.settle("a", tokens(5)) for _ in range(20)), return_exceptions=True
    )
    assert results.count(None) == 1
    assert sum(isinstance(result, AlreadyResolved) for result in results) == 19
    assert await world.figures(DAILY) == (5, 0)
    assert len(world.book.posts) == 1


@scenario
async def test_sweeping_books_at_its_bound_what_nobody_came_back_for(world: World) -> None:
    slots = limit_of(Measure.CONCURRENCY, 2, Window.NONE)
    await world.reserve("lost", tokens(30), DAILY, slots, expires_after=60)
    await world.reserve("alive", tokens(10), DAILY, slots, expires_after=61)
    assert await world.ledger.sweep(NOW + 59.9) == 0
    assert await world.ledger.sweep(NOW + 60) == 1
    assert await world.figures(DAILY) == (30, 10)
    assert await world.figures(slots) == (0, 1)
    assert [(p.id, p.used, p.outcome) for p in world.book.posts] == [
        ("lost", tokens(30), "abandoned")
    ]
    with pytest.raises(AlreadyResolved):
        await world.settle("lost", tokens(1))
    await world.settle("alive", tokens(10))
    assert await world.ledger.sweep(NOW + 9999) == 0


@scenario
async def test_an_observed_limit_is_counted_and_reported_and_lets_pass(world: World) -> None:
    for window in (Window.DAY, Window.MINUTE):
        await world.begin()
        trial = limit_of(Measure.INPUT_TOKENS, 10, window, mode=Mode.OBSERVE)
        verdict = await world.reserve(f"{window}", tokens(25), trial)
        assert verdict.granted
        (standing,) = verdict.standings
        assert (standing.refused, standing.used, standing.reserved) == (True, 0, 25)
        assert standing.remaining == 0
        await world.settle(f"{window}", tokens(20))
        assert await world.figures(trial) == (20, 0)


@scenario
async def test_a_limit_on_trial_beside_an_enforced_one_is_booked_once(world: World) -> None:
    for measure, window in (
        (Measure.TOKENS, Window.DAY),
        (Measure.TOKENS, Window.MINUTE),
        (Measure.CONCURRENCY, Window.NONE),
    ):
        real = limit_of(measure, 60, window)
        trial = replace(real, name="tighter", amount=6, mode=Mode.OBSERVE)
        bound = Amounts(input_tokens=20, concurrency=20)
        verdict = await world.reserve(f"{measure}-{window}", bound, real, trial)
        assert verdict.granted
        assert [standing.refused for standing in verdict.standings] == [False, True]
        assert [standing.reserved for standing in verdict.standings] == [20, 20]


@pytest.mark.parametrize("window", Window)
def test_a_restart_forgives_nothing(window: Window, open_ledger: Open) -> None:
    limits = [
        limit_of(measure, amount, window)
        for measure, amount in (
            (Measure.REQUESTS, 2),
            (Measure.TOKENS, 100),
            (Measure.OUTPUT_TOKENS, 50),
            (Measure.MONEY, 1000),
        )
    ]
    used = Amounts(requests=1, input_tokens=30, output_tokens=40, cost_nano=900)

    @scenario
    async def play(world: World) -> None:
        await world.reserve("a", used, *limits)
        await world.settle("a", used)
        before = [await world.figures(limit) for limit in limits]
        await world.restart()
        assert [await world.figures(limit) for limit in limits] == before
        verdict = await world.reserve("b", used, *limits)
        assert [standing.refused for standing in verdict.standings] == [False, True, True, True]

    play(open_ledger)


@scenario
async def test_a_restart_frees_the_slots_of_the_dead(world: World) -> None:
    slots = limit_of(Measure.CONCURRENCY, 1, Window.DAY)
    await world.reserve("a", ONE, slots)
    assert not (await world.reserve("b", ONE, slots)).granted
    await world.settle("a", ONE)
    assert await world.figures(slots) == (0, 0)
    await world.restart()
    assert (await world.reserve("c", ONE, slots)).granted


@scenario
async def test_a_changed_amount_and_a_new_name_hold_from_the_next_request(world: World) -> None:
    for limit in (DAILY, MINUTELY):
        await world.begin()
        await world.reserve("a", tokens(20), limit)
        await world.reserve("b", tokens(20), limit)
        await world.settle("b", tokens(20))
        lower, higher = replace(limit, amount=40, name="l"), replace(limit, amount=140, name="h")
        assert not (await world.reserve("c", tokens(1), lower)).granted
        assert (await world.reserve("d", tokens(100), higher)).granted
        assert not (await world.reserve("e", tokens(1), higher)).granted
        await world.settle("a", tokens(0))
        await world.release("d")
        assert await world.figures(lower) == (20, 0)


@scenario
async def test_a_window_that_ends_leaves_the_next_one_empty(world: World) -> None:
    berlin = replace(DAILY, zone="Europe/Berlin")
    for limit, midnight in ((DAILY, MIDNIGHT), (berlin, MIDNIGHT - 3600)):
        await world.begin()
        await world.reserve("a", tokens(100), limit)
        await world.settle("a", tokens(100))
        verdict = await world.reserve("b", tokens(1), limit, now=midnight - 1)
        assert not verdict.granted
        assert (await world.stands(limit, midnight)).used == 0


@scenario
async def test_a_late_settlement_belongs_to_the_window_of_its_reservation(world: World) -> None:
    await world.reserve("a", tokens(100), DAILY, now=MIDNIGHT - 1)
    assert (await world.reserve("b", tokens(100), DAILY, now=MIDNIGHT + 1)).granted
    await world.settle("a", tokens(90), now=MIDNIGHT + 2)
    assert await world.figures(DAILY, MIDNIGHT + 3) == (0, 100)
    await world.settle("b", tokens(60), now=MIDNIGHT + 4)
    for _ in range(2):
        assert await world.figures(DAILY, MIDNIGHT + 5) == (60, 0)
        await world.restart()


@scenario
async def test_more_used_than_reserved_is_booked_as_it_is(world: World) -> None:
    await world.reserve("a", tokens(10), DAILY, MINUTELY)
    await world.settle("a", tokens(130))
    assert await world.figures(DAILY) == (130, 0)
    assert await world.figures(MINUTELY) == (130, 0)
    verdict = await world.reserve("b", tokens(1), DAILY, MINUTELY)
    day, minute = verdict.standings
    assert (day.refused, day.remaining, day.room_at) == (True, 0, MIDNIGHT)
    assert (minute.refused, minute.remaining, minute.room_at) == (True, 0, NOW + 71)


@scenario
async def test_asking_nothing_is_granted_even_where_all_is_spent(world: World) -> None:
    await world.reserve("a", tokens(60), DAILY, MINUTELY)
    await world.settle("a", tokens(500))
    assert (await world.reserve("b", ONE, DAILY, MINUTELY)).granted


@scenario
async def test_a_limit_of_nothing_refuses_everything_that_asks(world: World) -> None:
    for window in Window:
        for measure in (Measure.REQUESTS, Measure.CONCURRENCY):
            limit = limit_of(measure, 0, window)
            verdict = await world.reserve("a", ONE, limit)
            assert not verdict.granted
            assert verdict.standings[0].room_at is None


@scenario
async def test_a_refusal_knows_when_there_is_room(world: World) -> None:
    month = limit_of(Measure.TOKENS, 100, Window.MONTH)
    prepaid = limit_of(Measure.TOKENS, 100, Window.NONE)
    slots = limit_of(Measure.CONCURRENCY, 1, Window.NONE)
    limits = (DAILY, MINUTELY, month, prepaid, slots)
    await world.reserve("a", tokens(60), *limits)
    verdict = await world.reserve("b", tokens(50), *limits)
    assert [s.refused for s in verdict.standings] == [True] * 5
    assert [s.room_at for s in verdict.standings] == [MIDNIGHT, NOW + 50, DECEMBER, None, None]
    assert [s.resets_at for s in verdict.standings] == [MIDNIGHT, NOW + 60, DECEMBER, None, None]
    verdict = await world.reserve("c", tokens(101), *limits)
    assert [s.room_at for s in verdict.standings] == [None] * 5
    await world.settle("a", tokens(60))
    assert not (await world.reserve("d", tokens(50), MINUTELY, now=NOW + 49.9)).granted
    assert (await world.reserve("e", tokens(50), MINUTELY, now=NOW + 50)).granted


@scenario
async def test_subjects_and_measures_have_counters_of_their_own(world: World) -> None:
    limits = [limit_of(m, 100, Window.DAY, level=Level.KEY) for m in Measure]
    bound = Amounts(requests=1, input_tokens=2, output_tokens=4, cost_nano=8, concurrency=16)
    verdict = await world.reserve("a", bound, *limits)
    assert [s.reserved for s in verdict.standings] == [bound.of(measure) for measure in Measure]
    other = {**WHO, "key_id": "key_2"}
    verdict = await world.reserve("b", bound, *limits, who=other)
    assert [s.reserved for s in verdict.standings] == [bound.of(measure) for measure in Measure]


@scenario
async def test_standings_ask_for_nothing(world: World) -> None:
    world.book.append(Post("old", NOW - 5, WHO, tokens(33)))
    for _ in range(2):
        standing = await world.stands(DAILY)
        assert (standing.used, standing.reserved, standing.asked) == (33, 0, 0)
        assert (standing.refused, standing.room_at, standing.remaining) == (False, None, 67)


@scenario
async def test_standings_tell_whether_a_request_of_some_size_would_fit(world: World) -> None:
    await world.reserve("a", tokens(50), DAILY, MINUTELY)
    claims = [claim_of(limit, WHO) for limit in (DAILY, MINUTELY)]
    for _ in range(2):
        day, minute = await world.ledger.standings(claims, NOW, tokens(20))
        assert (day.asked, day.refused, day.room_at, day.reserved) == (20, False, None, 50)
        assert (minute.asked, minute.refused, minute.room_at) == (20, True, NOW + 10)
        assert minute.reserved == 50


@scenario
async def test_a_book_that_cannot_be_read_is_an_outage_and_reserves_nothing(world: World) -> None:
    await world.reserve("a", tokens(10), DAILY)
    world.book.broken = True
    month = limit_of(Measure.TOKENS, 100, Window.MONTH)
    for _ in range(2):
        with pytest.raises(errors.Unavailable) as caught:
            await world.reserve("b", tokens(10), DAILY, month)
        assert caught.value.code == "ledger_unavailable"
    assert await world.figures(DAILY) == (0, 10)
    world.book.broken = False
    assert (await world.reserve("b", tokens(10), DAILY, month)).granted


@scenario
async def test_leaving_while_the_book_is_read_reserves_nothing(world: World) -> None:
    world.book.slow = asyncio.Event()
    leaving = asyncio.ensure_future(world.reserve("a", tokens(40), DAILY, MINUTELY))
    staying = asyncio.ensure_future(world.reserve("b", tokens(30), DAILY, MINUTELY))
    for _ in range(3):
        await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    world.book.slow.set()
    assert (await staying).granted
    assert await world.figures(DAILY) == (0, 30)
    assert (await world.reserve("a", tokens(20), DAILY, MINUTELY)).granted
    assert await world.figures(MINUTELY) == (0, 50)
