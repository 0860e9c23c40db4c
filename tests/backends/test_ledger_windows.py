"""What every Ledger does about time: windows that end, late settlements, what is carried over."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ledger_world import LEDGERS, NOW, WHO, Open, Post, World, limit_of, scenario, tokens

from gateway.quota.limit import Measure, Window

MIDNIGHT = NOW + 6 * 3600
DECEMBER = MIDNIGHT + 7 * 86400

DAILY = limit_of(Measure.TOKENS, 100, Window.DAY)
MINUTELY = limit_of(Measure.TOKENS, 60, Window.MINUTE)
ROLLING = replace(DAILY, rollover=40)


@pytest.fixture(params=LEDGERS)
def open_ledger(request: pytest.FixtureRequest) -> Open:
    return LEDGERS[request.param]


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
async def test_a_late_settlement_tells_of_the_window_that_it_is_booked_in(world: World) -> None:
    await world.reserve("a", tokens(80), DAILY, now=MIDNIGHT - 1)
    await world.reserve("b", tokens(30), DAILY, now=MIDNIGHT + 1)
    (day,) = await world.settle("a", tokens(80), now=MIDNIGHT + 2)
    assert (day.used, day.reserved, day.resets_at) == (80, 0, MIDNIGHT)


@scenario
async def test_a_debt_of_yesterday_that_is_told_today_is_yesterdays(world: World) -> None:
    await world.reserve("a", tokens(0), DAILY, now=MIDNIGHT - 1)
    debt = world.asking("debt", tokens(30), DAILY, now=MIDNIGHT - 1)
    record = world.post_of("debt", tokens(30), "settled")
    await world.reserve("b", tokens(0), DAILY, now=MIDNIGHT)
    world.ledger.owe(debt, tokens(30), record, MIDNIGHT + 1)
    await world.posts()
    assert await world.figures(DAILY, MIDNIGHT + 1) == (0, 0)
    used = {state.since: state.used for state in await world.ledger.counters()}
    assert used == {MIDNIGHT - 86400: 30, MIDNIGHT: 0}


@scenario
async def test_a_new_limit_does_not_see_what_was_reserved_before_its_window(world: World) -> None:
    month = limit_of(Measure.TOKENS, 100, Window.MONTH)
    await world.reserve("a", tokens(50), MINUTELY, now=MIDNIGHT - 1)
    assert await world.figures(DAILY, MIDNIGHT + 1) == (0, 0)
    assert await world.figures(month, MIDNIGHT + 1) == (0, 50)
    await world.settle("a", tokens(40), now=MIDNIGHT + 2)
    assert await world.figures(DAILY, MIDNIGHT + 3) == (0, 0)
    assert await world.figures(month, MIDNIGHT + 3) == (40, 0)


@pytest.mark.parametrize(("used", "amount"), [(0, 140), (60, 140), (61, 139), (100, 100)])
def test_what_the_last_window_left_is_carried_over_up_to_a_most(
    used: int, amount: int, open_ledger: Open
) -> None:
    @scenario
    async def play(world: World) -> None:
        world.book.append(Post("old", MIDNIGHT - 1, WHO, tokens(used)))
        for _ in range(2):
            standing = await world.stands(ROLLING, MIDNIGHT)
            assert (standing.amount, standing.used, standing.remaining) == (amount, 0, amount)
            await world.restart()
        too_much = await world.reserve("a", tokens(amount + 1), ROLLING, now=MIDNIGHT)
        assert not too_much.granted
        assert too_much.standings[0].room_at is None
        assert (await world.reserve("b", tokens(amount), ROLLING, now=MIDNIGHT)).granted
        refused = await world.reserve("c", tokens(1), ROLLING, now=MIDNIGHT)
        assert (refused.granted, refused.standings[0].room_at) == (False, MIDNIGHT + 86400)

    play(open_ledger)


@scenario
async def test_what_was_carried_over_is_not_carried_on(world: World) -> None:
    third = MIDNIGHT + 86400
    await world.reserve("a", tokens(90), ROLLING, now=MIDNIGHT)
    await world.settle("a", tokens(90), now=MIDNIGHT)
    assert (await world.stands(ROLLING, MIDNIGHT)).amount == 140
    assert (await world.stands(ROLLING, third)).amount == 110


@scenario
async def test_what_is_open_in_the_last_window_is_not_carried_until_it_returns(
    world: World,
) -> None:
    await world.reserve("a", tokens(100), ROLLING, now=MIDNIGHT - 1)
    assert (await world.stands(ROLLING, MIDNIGHT)).amount == 100
    await world.reserve("b", tokens(1), ROLLING, now=MIDNIGHT)
    await world.settle("a", tokens(70), now=MIDNIGHT + 1)
    (standing,) = await world.settle("b", tokens(1), now=MIDNIGHT + 10_000)
    assert (standing.amount, standing.used, standing.reserved) == (130, 1, 0)
    assert (await world.stands(ROLLING, MIDNIGHT - 1)).used == 70


@scenario
async def test_only_calendar_windows_carry_over(world: World) -> None:
    for measure, window in (
        (Measure.TOKENS, Window.MINUTE),
        (Measure.TOKENS, Window.NONE),
        (Measure.CONCURRENCY, Window.DAY),
    ):
        assert (await world.stands(limit_of(measure, 10, window, rollover=5))).amount == 10


@scenario
async def test_a_fiscal_month_is_a_window_of_its_own(world: World) -> None:
    month = limit_of(Measure.TOKENS, 100, Window.MONTH)
    fiscal = replace(month, month_starts_on=24)
    await world.reserve("a", tokens(30), month, fiscal)
    await world.settle("a", tokens(30))
    assert await world.figures(month, MIDNIGHT) == (30, 0)
    assert await world.figures(fiscal, MIDNIGHT) == (0, 0)
    assert (await world.stands(fiscal)).resets_at == MIDNIGHT
    assert (await world.stands(month)).resets_at == DECEMBER
