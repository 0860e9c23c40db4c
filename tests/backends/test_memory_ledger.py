"""What is particular to the ledger in memory: how it reads the book, and that it stays small."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from ledger_world import LEDGERS, NOW, WHO, FakeBook, Post, World, limit_of, tokens

from gateway import errors
from gateway.backends.memory_ledger import MemoryLedger
from gateway.quota.ledger import AlreadyResolved, Subject
from gateway.quota.limit import Amounts, Level, Measure, Mode, Window


class CountingBook(FakeBook):
    """Counts questions, and which of them are being answered."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[tuple[Subject, float]] = Counter()

    async def spent(
        self,
        subject: Subject,
        since: float,
        until: float | None = None,
        but: frozenset[str] = frozenset(),
    ) -> Amounts:
        self.asked[subject, since] += 1
        return await super().spent(subject, since, until, but)


def a_world() -> tuple[World, CountingBook]:
    world = World(LEDGERS["memory"], AsyncExitStack())
    book = CountingBook()
    world.book = book
    world.ledger = MemoryLedger(book)
    return world, book


def live_counters(world: World) -> int:
    assert isinstance(world.ledger, MemoryLedger)
    return len(world.ledger._counters._counters)


DAILY = [limit_of(measure, 10**9, Window.DAY) for measure in Measure]


def test_a_hundred_that_race_for_a_counter_ask_the_book_once_for_all_its_measures() -> None:
    world, book = a_world()

    async def play() -> None:
        book.slow = asyncio.Event()
        racing = [
            asyncio.ensure_future(world.reserve(f"r{number}", tokens(1), *DAILY))
            for number in range(100)
        ]
        await asyncio.sleep(0)
        book.slow.set()
        assert all(verdict.granted for verdict in await asyncio.gather(*racing))
        assert list(book.asked.values()) == [1]
        await world.reserve("later", tokens(1), *DAILY, now=NOW + 60)
        assert list(book.asked.values()) == [1]

    asyncio.run(play())


def test_a_load_outlives_the_request_that_began_it() -> None:
    world, book = a_world()

    async def play() -> None:
        book.slow = asyncio.Event()
        first = asyncio.ensure_future(world.reserve("a", tokens(1), *DAILY))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        book.slow.set()
        assert (await world.reserve("b", tokens(1), *DAILY)).granted
        assert list(book.asked.values()) == [1]

    asyncio.run(play())


def test_everyone_who_waits_for_a_book_that_breaks_is_told_and_the_next_one_asks_again() -> None:
    world, book = a_world()

    async def play() -> None:
        await world.ledger.generation()
        book.broken = True
        results = await asyncio.gather(
            *(world.reserve(f"r{number}", tokens(1), *DAILY) for number in range(5)),
            return_exceptions=True,
        )
        assert {type(result) for result in results} == {errors.Unavailable}
        assert len({id(result) for result in results}) == 5
        book.broken = False
        assert (await world.reserve("r0", tokens(1), *DAILY)).granted
        assert list(book.asked.values()) == [2]

    asyncio.run(play())


def test_a_reservation_cannot_be_made_twice() -> None:
    world, _ = a_world()

    async def play() -> None:
        results = await asyncio.gather(
            *(world.reserve("same", tokens(5), DAILY[1]) for _ in range(3)),
            return_exceptions=True,
        )
        assert [type(result) for result in results].count(ValueError) == 2
        assert await world.figures(DAILY[1]) == (0, 5)

    asyncio.run(play())


def test_a_young_ledger_asks_for_the_last_window_and_an_older_one_knows_it() -> None:
    world, book = a_world()
    book.append(Post("before", NOW - 50, WHO, tokens(7)))
    book.append(Post("long before", NOW - 60.5, WHO, tokens(900)))
    minute = limit_of(Measure.TOKENS, 10, Window.MINUTE)

    async def play() -> None:
        assert await world.figures(minute) == (7, 0)
        other = {**WHO, "project": "other"}
        await world.reserve("a", tokens(5), minute, now=NOW + 59, who=other)
        asked = sum(book.asked.values())
        fresh = {**WHO, "project": "fresh"}
        await world.reserve("b", tokens(5), minute, now=NOW + 60, who=fresh)
        assert sum(book.asked.values()) == asked == 2

    asyncio.run(play())


def test_a_bucket_that_filled_up_again_is_not_taken_for_used_by_looking_into_the_book() -> None:
    world, _ = a_world()
    minute = limit_of(Measure.TOKENS, 60, Window.MINUTE, level=Level.END_USER)

    async def play() -> None:
        now = NOW + 3600
        await world.reserve("z", tokens(1), minute, who={**WHO, "end_user": "first"})
        for number in range(200):  # enough other users for alice to be forgotten
            alice = {**WHO, "end_user": "alice"}
            verdict = await world.reserve(f"a{number}", tokens(60), minute, now=now, who=alice)
            assert verdict.granted
            await world.settle(f"a{number}", tokens(30), now=now)
            now += 30
            other = {**WHO, "end_user": f"other {number}"}
            await world.reserve(f"b{number}", tokens(1), minute, now=now, who=other)
            await world.release(f"b{number}", now=now)

    asyncio.run(play())


@pytest.mark.parametrize("window", [Window.SECOND, Window.MINUTE, Window.DAY, Window.NONE])
@pytest.mark.parametrize("mode", Mode)
def test_counters_of_end_users_do_not_pile_up(window: Window, mode: Mode) -> None:
    """A new one every ten seconds for hours; each is gone after an hour at the latest."""
    world, _ = a_world()
    limits = [
        limit_of(Measure.TOKENS, 100, window, level=Level.END_USER, mode=mode),
        limit_of(Measure.CONCURRENCY, 1, window, level=Level.END_USER, mode=mode),
    ]

    async def play() -> int:
        most = 0
        for number in range(1500):
            now = NOW + 10 * number
            who = {**WHO, "end_user": f"user {number}"}
            world.book.posts.clear()
            await world.reserve(f"r{number}", tokens(40), *limits, now=now, who=who)
            await world.settle(f"r{number}", tokens(40), now=now)
            most = max(most, live_counters(world))
        return most

    bound = 2 * 2 * 360 if window in (Window.DAY, Window.NONE) else 60
    assert asyncio.run(play()) <= bound


def test_what_is_open_is_never_forgotten() -> None:
    world, _ = a_world()
    limits = [limit_of(Measure.TOKENS, 50, window) for window in (Window.MINUTE, Window.DAY)]
    slots = limit_of(Measure.CONCURRENCY, 1, Window.NONE)
    passing = limit_of(Measure.TOKENS, 50, Window.SECOND, level=Level.END_USER)

    async def play() -> None:
        await world.reserve("open", tokens(50), *limits, slots)
        for number in range(500):
            who = {**WHO, "end_user": f"user {number}"}
            now = NOW + 20 * number
            await world.reserve(f"r{number}", tokens(1), passing, now=now, who=who)
            await world.release(f"r{number}", now=now)
        assert await world.figures(slots, NOW + 10_000) == (0, 1)
        assert await world.figures(limits[1], NOW + 10_000) == (0, 50)
        await world.settle("open", tokens(20), now=NOW + 10_000)
        assert await world.figures(limits[1], NOW + 10_000) == (20, 0)

    asyncio.run(play())


def test_an_idle_budget_comes_back_from_the_book_as_it_was() -> None:
    world, book = a_world()
    prepaid = limit_of(Measure.TOKENS, 100, Window.NONE)
    passing = limit_of(Measure.TOKENS, 50, Window.NONE, level=Level.END_USER)

    async def play() -> None:
        await world.reserve("a", tokens(90), prepaid)
        await world.settle("a", tokens(80))
        asked = sum(book.asked.values())
        for number in range(5):
            who = {**WHO, "project": "other", "end_user": f"user {number}"}
            await world.reserve(f"r{number}", tokens(1), passing, now=NOW + 3600, who=who)
            await world.release(f"r{number}", now=NOW + 3600)
        assert await world.figures(prepaid, NOW + 3600) == (80, 0)
        assert sum(book.asked.values()) == asked + 5 + 1

    asyncio.run(play())


DAY, MINUTE = DAILY[1], limit_of(Measure.TOKENS, 60, Window.MINUTE)
SLOTS = limit_of(Measure.CONCURRENCY, 1, Window.NONE)
EVERY = (DAY, MINUTE, SLOTS)


async def until_it_waits() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_room_that_is_being_made_durable_is_taken_but_cannot_be_resolved_yet() -> None:
    world, book = a_world()

    async def play() -> None:
        await world.look(*EVERY)
        book.slow_hold = asyncio.Event()
        going = asyncio.ensure_future(world.reserve("a", tokens(60), *EVERY))
        await until_it_waits()
        assert [(s.used, s.reserved) for s in (await world.look(*EVERY)).standings] == [
            (0, 60), (0, 60), (0, 1)
        ]  # fmt: skip
        assert not (await world.reserve("b", tokens(1), *EVERY)).granted
        with pytest.raises(AlreadyResolved):
            await world.settle("a", tokens(1))
        assert await world.ledger.sweep(NOW + 9999) == 0
        assert not going.done()
        book.slow_hold.set()
        assert (await going).granted
        assert list(book.held) == ["a"]
        assert await world.ledger.sweep(NOW + 9999) == 1
        assert [post.outcome for post in book.posts] == ["abandoned"]
        assert not book.held

    asyncio.run(play())


@pytest.mark.parametrize("why", ["cancelled", "broken"])
def test_a_reservation_that_does_not_become_durable_leaves_no_trace(why: str) -> None:
    world, book = a_world()
    week = limit_of(Measure.TOKENS, 100, Window.WEEK)

    async def play() -> None:
        await world.look(*EVERY)
        book.slow_hold = asyncio.Event()
        going = asyncio.ensure_future(world.reserve("a", tokens(60), *EVERY))
        await until_it_waits()
        assert await world.figures(week) == (0, 60)  # made while it is in flight
        if why == "cancelled":
            going.cancel()
            with pytest.raises(asyncio.CancelledError):
                await going
        else:
            book.broken = True
            book.slow_hold.set()
            with pytest.raises(errors.Unavailable) as caught:
                await going
            assert caught.value.code == "ledger_unavailable"
            book.broken = False
        standings = (await world.look(*EVERY, week)).standings
        assert [(s.used, s.reserved) for s in standings] == [(0, 0)] * 4
        assert (book.posts, book.held) == ([], {})
        with pytest.raises(AlreadyResolved):
            await world.settle("a", tokens(1))
        book.slow_hold.set()
        assert (await world.reserve("a", tokens(60), *EVERY)).granted

    asyncio.run(play())


def test_what_a_crash_left_open_is_booked_at_its_bound_before_the_next_request() -> None:
    world, book = a_world()

    async def play() -> None:
        await world.reserve("lost", tokens(60), *EVERY)
        await world.restart()
        assert [(post.id, post.outcome) for post in book.posts] == [("lost", "abandoned")]
        assert [await world.figures(limit) for limit in EVERY] == [(60, 0), (60, 0), (0, 0)]

    asyncio.run(play())


def test_settling_while_counters_are_read_again_is_neither_lost_nor_doubled() -> None:
    world, book = a_world()

    async def play() -> None:
        for id in ("a", "b"):
            await world.reserve(id, tokens(20), DAY)
        await world.correct("more", tokens(5))
        await world.ledger.generation()
        book.slow = asyncio.Event()
        looking = asyncio.ensure_future(world.figures(DAY))
        await until_it_waits()
        await world.settle("a", tokens(7))
        world.owe("debt", tokens(3), DAY)
        book.slow.set()
        assert await looking == (15, 20)
        await world.settle("b", tokens(1))
        assert await world.figures(DAY) == (16, 0)

    asyncio.run(play())


def test_a_correction_while_counters_are_read_again_has_them_read_once_more() -> None:
    world, book = a_world()

    async def play() -> None:
        await world.look(DAY)
        await world.correct("one", tokens(5))
        await world.ledger.generation()
        book.slow = asyncio.Event()
        looking = asyncio.ensure_future(world.figures(DAY))
        await until_it_waits()
        await world.correct("two", tokens(6))
        await world.ledger.generation()
        book.slow.set()
        assert await looking == (11, 0)
        assert list(book.asked.values()) == [3]

    asyncio.run(play())


def test_counters_are_not_read_again_before_something_was_posted() -> None:
    world, book = a_world()

    async def play() -> None:
        await world.change(access=7, book=7)
        for number in range(3):
            verdict = await world.reserve(f"r{number}", tokens(1), DAY)
            assert verdict.generation == 7
        await world.change(access=1)
        await world.reserve("r4", tokens(1), DAY)
        assert list(book.asked.values()) == [1]

    asyncio.run(play())


def test_what_the_last_window_left_is_read_once_and_remembered() -> None:
    world, book = a_world()
    rolling = limit_of(Measure.TOKENS, 100, Window.DAY, rollover=50)
    passing = limit_of(Measure.TOKENS, 50, Window.SECOND, level=Level.END_USER)

    async def play() -> None:
        for number in range(200):
            who = {**WHO, "end_user": f"user {number}"}
            now = NOW + 60 * number
            await world.look(rolling, passing, now=now, who=who)
        yesterday, today = (key for key in book.asked if len(key[0]) == 2 and key[1] < NOW - 60)
        assert (book.asked[yesterday], book.asked[today]) == (1, 1)

    asyncio.run(play())


def test_a_slow_book_does_not_empty_a_bucket_that_did_not_need_it_any_more() -> None:
    world, book = a_world()
    second = limit_of(Measure.TOKENS, 10, Window.SECOND)

    async def play() -> None:
        await world.ledger.generation()
        book.slow = asyncio.Event()
        early = asyncio.ensure_future(world.figures(second))
        await until_it_waits()
        await world.reserve("a", tokens(10), second, now=NOW + 1)
        book.slow.set()
        await early
        assert await world.figures(second, NOW + 1) == (0, 10)
        await world.settle("a", tokens(4), now=NOW + 1)
        assert await world.figures(second, NOW + 1) == (4, 0)

    asyncio.run(play())


def test_a_time_is_booked_in_the_microsecond_that_the_book_keeps() -> None:
    world, _ = a_world()
    midnight = NOW + 6 * 3600

    async def play() -> None:
        verdict = await world.reserve("a", tokens(1), DAY, now=midnight - 2e-7)
        assert verdict.now == midnight
        assert await world.figures(DAY, midnight) == (0, 1)

    asyncio.run(play())


def test_what_the_last_window_left_is_the_same_to_old_and_new_requests() -> None:
    world, _ = a_world()
    midnight = NOW + 6 * 3600
    later = midnight + 4000
    rolling = limit_of(Measure.TOKENS, 100, Window.DAY, rollover=40)
    passing = limit_of(Measure.TOKENS, 50, Window.SECOND, level=Level.END_USER)

    async def play() -> None:
        await world.reserve("a", tokens(1), rolling, now=midnight)
        for number in range(5):
            who = {**WHO, "end_user": f"user {number}"}
            await world.look(passing, now=later, who=who)
        debt = world.asking("debt", tokens(90), rolling, now=midnight - 1)
        world.ledger.owe(debt, tokens(90), world.post_of("debt", tokens(90), "settled"), later)
        assert (await world.stands(rolling, later)).amount == 110
        (standing,) = await world.settle("a", tokens(1), now=later)
        assert standing.amount == 110

    asyncio.run(play())


def test_a_release_without_a_record_is_forgotten_by_the_book_too() -> None:
    world, book = a_world()

    async def play() -> None:
        await world.reserve("a", tokens(1), DAY)
        await world.vanish("a")
        assert (book.held, book.posts) == ({}, [])

    asyncio.run(play())
