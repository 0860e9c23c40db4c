"""What every Ledger does, over each one of ledger_world.PLACES."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from ledger_world import NOW, PLACES, WHO, Open, Post, World, limit_of, scenario, tokens

from gateway import errors
from gateway.quota.ledger import AlreadyResolved
from gateway.quota.limit import Amounts, Level, Measure, Mode, Window

MIDNIGHT = NOW + 6 * 3600
DECEMBER = MIDNIGHT + 7 * 86400

ONE = tokens(0)
DAILY = limit_of(Measure.TOKENS, 100, Window.DAY)
MINUTELY = limit_of(Measure.TOKENS, 60, Window.MINUTE)


@pytest.fixture(params=PLACES)
def open_ledger(request: pytest.FixtureRequest) -> Open:
    return PLACES[request.param]


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
    assert await world.posts() == []


@scenario
async def test_settling_returns_what_was_not_used_and_appends_the_record(world: World) -> None:
    await world.reserve("a", tokens(50), DAILY, MINUTELY)
    verdict = await world.reserve("b", tokens(60), DAILY, MINUTELY)
    assert not verdict.granted
    await world.settle("a", tokens(7))
    assert await world.figures(DAILY) == (7, 0)
    assert await world.figures(MINUTELY) == (7, 0)
    assert [(post.id, post.used) for post in await world.posts()] == [("a", tokens(7))]
    assert (await world.reserve("c", tokens(53), DAILY, MINUTELY)).granted


@scenario
async def test_releasing_returns_everything_and_appends_the_record(world: World) -> None:
    await world.reserve("a", tokens(60), DAILY, MINUTELY)
    await world.release("a")
    assert await world.figures(DAILY) == (0, 0)
    assert await world.figures(MINUTELY) == (0, 0)
    assert [(post.id, post.outcome) for post in await world.posts()] == [("a", "released")]


@scenario
async def test_a_reservation_is_resolved_once(world: World) -> None:
    for id, first in (("a", world.settle("a", tokens(5))), ("b", world.release("b"))):
        await world.reserve(id, tokens(10), DAILY)
        await first
        with pytest.raises(AlreadyResolved):
            await world.settle(id, tokens(5))
        with pytest.raises(AlreadyResolved):
            await world.release(id)
    world.asking("never", tokens(5), DAILY)
    with pytest.raises(AlreadyResolved):
        await world.settle("never", tokens(5))
    assert await world.figures(DAILY) == (5, 0)
    assert [post.id for post in await world.posts()] == ["a", "b"]


@scenario
async def test_of_many_settlements_at_once_one_is_booked(world: World) -> None:
    await world.reserve("a", tokens(10), DAILY)
    results = await asyncio.gather(
        *(world.settle("a", tokens(5)) for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(result, tuple) for result in results) == 1
    assert sum(isinstance(result, AlreadyResolved) for result in results) == 19
    assert await world.figures(DAILY) == (5, 0)
    assert len(await world.posts()) == 1


@scenario
async def test_sweeping_books_at_its_bound_what_nobody_came_back_for(world: World) -> None:
    slots = limit_of(Measure.CONCURRENCY, 2, Window.NONE)
    await world.reserve("lost", tokens(30), DAILY, slots, expires_after=60)
    await world.reserve("alive", tokens(10), DAILY, slots, expires_after=61)
    assert await world.ledger.sweep(NOW + 59.9) == 0
    assert await world.ledger.sweep(NOW + 60) == 1
    assert await world.figures(DAILY) == (30, 10)
    assert await world.figures(slots) == (0, 1)
    assert [(p.id, p.used, p.outcome) for p in await world.posts()] == [
        ("lost", tokens(30), "abandoned")
    ]
    with pytest.raises(AlreadyResolved):
        await world.settle("lost", tokens(1))
    await world.settle("alive", tokens(10))
    assert await world.ledger.sweep(NOW + 9999) == 0


@scenario
async def test_a_soft_limit_is_counted_and_reported_and_lets_pass(world: World) -> None:
    soft = limit_of(Measure.TOKENS, 10, Window.DAY, mode=Mode.SOFT)
    for verdict in (
        await world.look(soft, asked=tokens(11)),
        await world.reserve("a", tokens(11), soft),
    ):
        assert verdict.granted
        assert verdict.standings[0].refused
    assert await world.figures(soft) == (0, 11)


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
        await world.begin()
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
async def test_looking_asks_for_nothing(world: World) -> None:
    world.book.append(Post("old", NOW - 5, WHO, tokens(33)))
    for _ in range(2):
        standing = await world.stands(DAILY)
        assert (standing.used, standing.reserved, standing.asked) == (33, 0, 0)
        assert (standing.refused, standing.room_at, standing.remaining) == (False, None, 67)


@scenario
async def test_looking_tells_whether_a_request_of_some_size_would_fit(world: World) -> None:
    await world.reserve("a", tokens(50), DAILY, MINUTELY)
    for _ in range(2):
        verdict = await world.look(DAILY, MINUTELY, asked=tokens(20))
        assert not verdict.granted
        day, minute = verdict.standings
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
    assert (await world.reserve("c", tokens(20), DAILY, MINUTELY)).granted
    assert await world.figures(MINUTELY) == (0, 50)


@scenario
async def test_resolving_tells_how_the_claims_stand_after_it(world: World) -> None:
    await world.reserve("a", tokens(50), DAILY, MINUTELY)
    await world.reserve("b", tokens(10), MINUTELY, DAILY)
    day, minute = await world.settle("a", tokens(7))
    assert (day.claim.limit, day.amount, day.used, day.reserved) == (DAILY, 100, 7, 10)
    assert (minute.claim.limit, minute.used, minute.reserved) == (MINUTELY, 7, 10)
    assert (day.asked, day.refused, day.room_at, day.resets_at) == (0, False, None, MIDNIGHT)
    standings = await world.release("b")
    assert [(one.used, one.reserved) for one in standings] == [(7, 0), (7, 0)]


@scenario
async def test_of_settlements_at_once_exactly_one_passes_a_threshold(world: World) -> None:
    for number in range(10):
        await world.reserve(f"r{number}", tokens(10), DAILY)
    answers = await asyncio.gather(*(world.settle(f"r{n}", tokens(10)) for n in range(10)))
    after = [standing.used for (standing,) in answers]
    assert sum(used - 10 < 80 <= used for used in after) == 1


@scenario
async def test_a_release_without_a_record_leaves_no_trace(world: World) -> None:
    await world.reserve("a", tokens(60), DAILY, MINUTELY)
    for standing in await world.vanish("a"):
        assert (standing.used, standing.reserved) == (0, 0)
    assert await world.posts() == []
    with pytest.raises(AlreadyResolved):
        await world.settle("a", tokens(1))
    assert (await world.reserve("a", tokens(60), DAILY, MINUTELY)).granted
    await world.settle("a", tokens(60))
    assert [post.id for post in await world.posts()] == ["a"]


@scenario
async def test_a_verdict_tells_the_time_that_it_is_booked_at(world: World) -> None:
    assert (await world.reserve("a", ONE, DAILY, now=NOW + 0.25)).now == NOW + 0.25
    assert (await world.look(DAILY, now=NOW + 0.5)).now == NOW + 0.5


@scenario
async def test_every_grant_carries_the_generation_of_keys_as_it_is_then(world: World) -> None:
    await world.change(access=3)
    assert (await world.reserve("a", ONE, DAILY)).generation == 3
    assert (await world.look(DAILY)).generation == 3
    await world.change(access=1)
    assert (await world.reserve("b", ONE, DAILY)).generation == 4
    await world.change(access=1)
    assert await world.ledger.generation() == 5


@scenario
async def test_looking_is_granted_and_refused_like_a_reservation(world: World) -> None:
    await world.reserve("a", tokens(70), DAILY)
    trial = replace(DAILY, mode=Mode.OBSERVE, amount=1)
    for count, fits in ((30, True), (31, False)):
        looked = await world.look(DAILY, trial, asked=tokens(count))
        asked = await world.reserve(f"r{count}", tokens(count), DAILY, trial)
        assert looked.granted is asked.granted is fits
        assert [s.refused for s in looked.standings] == [s.refused for s in asked.standings]
        if asked.granted:
            await world.release(f"r{count}")


@scenario
async def test_what_is_owed_is_booked_once_and_seen_by_the_next_request(world: World) -> None:
    slots = limit_of(Measure.CONCURRENCY, 1, Window.NONE)
    for known in (True, False):
        await world.begin()
        if known:
            await world.reserve("a", tokens(0), DAILY, MINUTELY)
            await world.vanish("a")
        world.owe("debt", tokens(59), DAILY, MINUTELY, slots)
        await world.posts()
        assert [post.id for post in await world.posts()] == ["debt"]
        with pytest.raises(AlreadyResolved):
            await world.settle("debt", tokens(59))
        assert await world.figures(DAILY) == (59, 0)
        assert await world.figures(MINUTELY) == (59, 0)
        assert await world.figures(slots) == (0, 0)
        assert not (await world.reserve("b", tokens(2), MINUTELY)).granted
        await world.restart()
        assert await world.figures(DAILY) == (59, 0)


@scenario
async def test_a_bucket_of_an_old_ledger_that_nobody_asked_about_owes_too(world: World) -> None:
    await world.reserve("a", tokens(0), DAILY)
    later = NOW + 3600
    world.owe("debt", tokens(60), MINUTELY, now=later)
    await world.posts()
    assert await world.figures(MINUTELY, later + 10) == (50, 0)


@scenario
async def test_a_debt_may_go_beyond_the_limit_and_is_not_hidden(world: World) -> None:
    await world.reserve("a", tokens(90), DAILY)
    world.owe("debt", tokens(40), DAILY)
    await world.posts()
    assert await world.figures(DAILY) == (40, 90)
    assert not (await world.reserve("b", tokens(1), DAILY)).granted
    await world.settle("a", tokens(10))
    assert await world.figures(DAILY) == (50, 0)


@pytest.mark.parametrize("window", Window)
def test_a_new_limit_sees_what_is_open(window: Window, open_ledger: Open) -> None:
    limits = [
        limit_of(Measure.TOKENS, 100, window, level=Level.ORGANIZATION),
        limit_of(Measure.REQUESTS, 3, window, model="gpt"),
        limit_of(Measure.CONCURRENCY, 2, window, level=Level.KEY),
    ]

    @scenario
    async def play(world: World) -> None:
        old = limit_of(Measure.MONEY, 10**9, Window.YEAR)
        await world.reserve("a", tokens(60), old)
        await world.reserve("b", tokens(30), old, who={**WHO, "key_id": "key_2", "model": "other"})
        await world.reserve("c", tokens(99), old, who={**WHO, "organization": "other"})
        found = [(s.used, s.reserved) for s in (await world.look(*limits)).standings]
        assert found == [(0, 90), (0, 1), (0, 1)]
        assert not (await world.reserve("d", tokens(11), *limits)).granted
        assert (await world.reserve("e", tokens(10), *limits)).granted
        for id in ("a", "e"):
            await world.settle(id, tokens(5))
        await world.release("b")
        found = [(s.used, s.reserved) for s in (await world.look(*limits)).standings]
        assert found == [(10, 0), (2, 0), (0, 0)]

    play(open_ledger)


@scenario
async def test_a_correction_that_others_post_is_seen_and_what_is_open_stays(world: World) -> None:
    limits = [limit_of(Measure.TOKENS, 100, window) for window in (Window.DAY, Window.NONE)]
    await world.reserve("a", tokens(20), *limits)
    await world.settle("a", tokens(20))
    await world.reserve("b", tokens(30), *limits)
    await world.correct("more", tokens(5))
    await world.ledger.generation()
    assert [await world.figures(limit) for limit in limits] == [(25, 30), (25, 30)]
    await world.settle("b", tokens(10))
    await world.correct("less", Amounts(input_tokens=-15))
    await world.ledger.generation()
    assert [await world.figures(limit) for limit in limits] == [(20, 0), (20, 0)]
    assert (await world.reserve("c", tokens(80), *limits)).granted


@scenario
async def test_counters_are_those_of_calendar_windows_as_they_are_in_the_book(world: World) -> None:
    month = limit_of(Measure.REQUESTS, 100, Window.MONTH, level=Level.KEY)
    prepaid = limit_of(Measure.MONEY, 100, Window.NONE)
    slots = limit_of(Measure.CONCURRENCY, 9, Window.NONE)
    await world.reserve("a", tokens(20), DAILY, month, prepaid, MINUTELY, slots)
    await world.settle("a", tokens(10))
    await world.reserve("b", tokens(30), DAILY, MINUTELY)
    await world.correct("more", tokens(1))
    found = {state.measure: state for state in await world.ledger.counters()}
    assert set(found) == {Measure.TOKENS, Measure.REQUESTS, Measure.MONEY}
    day = found[Measure.TOKENS]
    assert (day.window, day.since, day.until) == (Window.DAY, MIDNIGHT - 86400, MIDNIGHT)
    assert (day.subject, day.used, day.reserved) == (
        (("organization", "acme"), ("project", "demo")),
        11,
        30,
    )
    assert (found[Measure.REQUESTS].used, found[Measure.MONEY].until) == (2, None)
