"""Counters, the token bucket above all: exact, never forgiving, and giving back what it can."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from gateway.quota.counter import IDLE_SECONDS, MICRO, Budget, Rate, Slots
from gateway.quota.window import Span

NOW = 1_900_000_000.0
MINUTE = 60


def rate(used: int = 0, seconds: int = MINUTE) -> Rate:
    return Rate(seconds, used, absent_is_whole_from=NOW + seconds, now=NOW)


def taken(counter: Rate, amount: int, now: float) -> int:
    used, reserved, _ = counter.stands(amount, now)
    return used + reserved


def test_a_bucket_lets_its_amount_through_at_once_and_then_as_it_drains() -> None:
    bucket = rate()
    for number in range(60):
        assert bucket.fits(60, 1, NOW)
        bucket.hold(str(number), 1, NOW)
    assert not bucket.fits(60, 1, NOW)
    assert bucket.room_at(60, 1, NOW) == NOW + 1
    assert not bucket.fits(60, 1, NOW + 0.999)
    assert bucket.fits(60, 1, NOW + 1)
    assert not bucket.fits(60, 2, NOW + 1)


def test_a_reservation_drains_while_it_is_open() -> None:
    bucket = rate(seconds=1)
    admitted = 0
    for tick in range(101):  # ten seconds, nobody ever settles
        now = NOW + tick / 10
        while bucket.fits(5, 1, now):
            bucket.hold(f"{admitted}", 1, now)
            admitted += 1
    assert admitted == 5 + 10 * 5


def test_what_was_not_used_returns_at_once() -> None:
    bucket = rate()
    bucket.fits(100, 90, NOW)
    bucket.hold("a", 90, NOW)
    bucket.resolve("a", 90, 10, NOW)
    assert bucket.stands(100, NOW) == (10, 0, NOW + 6)


def test_what_has_drained_already_does_not_return_again() -> None:
    """a's 50 drained while it was open; giving them back would forgive what b took."""
    bucket = rate()
    bucket.fits(100, 50, NOW)
    bucket.hold("a", 50, NOW)
    bucket.hold("b", 50, NOW + 30)
    bucket.resolve("a", 50, 0, NOW + 30)
    assert taken(bucket, 100, NOW + 30) == 50


def test_the_oldest_reservation_drains_first_and_then_the_next() -> None:
    bucket = rate()
    bucket.fits(60, 20, NOW)
    bucket.hold("a", 10, NOW)
    bucket.hold("b", 10, NOW)
    bucket.hold("c", 10, NOW)
    bucket.resolve("b", 10, 8, NOW + 15)  # a's 10 and 5 of b's have drained
    assert bucket.stands(60, NOW + 15)[:2] == (3, 10)
    bucket.resolve("a", 10, 0, NOW + 15)
    bucket.resolve("c", 10, 0, NOW + 15)
    assert bucket.stands(60, NOW + 15)[:2] == (3, 0)


def test_use_that_has_drained_is_not_charged_again() -> None:
    bucket = rate()
    bucket.fits(100, 100, NOW)
    bucket.hold("a", 100, NOW)
    bucket.resolve("a", 100, 40, NOW + 30)
    assert taken(bucket, 100, NOW + 30) == 0


def test_more_used_than_reserved_goes_into_debt_and_has_to_drain() -> None:
    bucket = rate()
    bucket.fits(60, 10, NOW)
    bucket.hold("a", 10, NOW)
    bucket.resolve("a", 10, 180, NOW)
    assert bucket.stands(60, NOW) == (180, 0, NOW + 180)
    assert bucket.room_at(60, 1, NOW) == NOW + 121
    assert bucket.fits(60, 0, NOW)


def test_time_that_runs_backwards_neither_drains_nor_adds() -> None:
    bucket = rate()
    bucket.fits(60, 10, NOW + 5)
    bucket.hold("a", 10, NOW + 5)
    assert taken(bucket, 60, NOW) == 10
    assert bucket.stands(60, NOW + 5) == (0, 10, NOW + 15)


def test_two_amounts_are_booked_alike_and_drain_each_at_its_own_pace() -> None:
    bucket = rate()
    assert bucket.fits(60, 30, NOW)
    assert bucket.fits(6, 30, NOW) is False  # a tighter limit on trial
    bucket.hold("a", 30, NOW)
    assert taken(bucket, 60, NOW + 10) == 20
    assert taken(bucket, 6, NOW + 10) == 29
    bucket.resolve("a", 30, 15, NOW + 10)
    assert taken(bucket, 60, NOW + 10) == 5
    assert taken(bucket, 6, NOW + 10) == 14


def test_a_changed_amount_goes_on_with_the_debt() -> None:
    bucket = rate()
    bucket.fits(100, 80, NOW)
    bucket.hold("a", 80, NOW)
    assert not bucket.fits(50, 1, NOW)
    assert bucket.fits(200, 120, NOW)
    assert not bucket.fits(200, 121, NOW)
    bucket.resolve("a", 80, 0, NOW)
    assert [taken(bucket, amount, NOW) for amount in (50, 100, 200)] == [0, 0, 0]


def test_amounts_of_old_policies_are_not_kept() -> None:
    bucket = rate()
    for amount in range(100, 200):
        bucket.fits(amount, 1, NOW + amount * 61)
    assert len(bucket._buckets) == 1


def test_an_amount_of_zero_admits_only_what_asks_nothing() -> None:
    bucket = rate()
    assert not bucket.fits(0, 1, NOW)
    assert bucket.fits(0, 0, NOW)
    assert bucket.room_at(0, 1, NOW) is None
    assert bucket.stands(0, NOW) == (0, 0, None)
    bucket.hold("observed", 1, NOW)
    bucket.resolve("observed", 1, 1, NOW)
    assert bucket.forgettable(NOW + MINUTE)


def test_a_bucket_is_forgotten_only_when_it_is_whole_and_a_missing_one_counts_as_whole() -> None:
    bucket = rate()
    bucket.fits(60, 59, NOW + 30)
    bucket.hold("a", 59, NOW + 30)
    assert not bucket.forgettable(NOW + 89)
    bucket.resolve("a", 59, 59, NOW + 30)
    assert not bucket.forgettable(NOW + 88)
    assert bucket.forgettable(NOW + 89)
    young = rate()
    young.fits(60, 0, NOW)
    assert not young.forgettable(NOW + 59)


def test_a_loaded_bucket_that_nobody_asked_is_kept_until_its_load_is_over() -> None:
    bucket = Rate(MINUTE, 60, absent_is_whole_from=NOW + 1, now=NOW)
    assert not bucket.forgettable(NOW + 59)
    assert bucket.forgettable(NOW + 60)


def test_what_is_held_before_anybody_asks_for_an_amount_is_held_in_each() -> None:
    bucket = rate(used=10)
    bucket.hold("a", 20, NOW)
    bucket.hold("b", 5, NOW)
    bucket.resolve("b", 5, 2, NOW)
    assert bucket.stands(100, NOW)[:2] == (12, 20)
    assert bucket.stands(60, NOW + 12)[:2] == (0, 12)
    bucket.resolve("a", 20, 1, NOW + 12)
    assert bucket.stands(60, NOW + 12)[:2] == (0, 0)  # 8 of its 20 drained already


def test_what_was_used_before_anybody_asked_for_an_amount_is_owed() -> None:
    bucket = rate()
    bucket.hold("a", 0, NOW)
    bucket.resolve("a", 0, 90, NOW)
    assert not bucket.forgettable(NOW + 59)
    assert bucket.stands(60, NOW + 20)[:2] == (70, 0)


def test_a_budget_that_somebody_looks_at_is_kept() -> None:
    budget = Budget(Span(NOW - 86400, NOW), 5, NOW)
    budget.touch(NOW + 3000)
    assert not budget.forgettable(NOW + IDLE_SECONDS)
    assert budget.forgettable(NOW + 3000 + IDLE_SECONDS)


def test_a_budget_is_forgotten_when_it_is_idle_and_nothing_is_open() -> None:
    budget = Budget(Span(NOW, NOW + 86400), 5, NOW)
    assert not budget.forgettable(NOW + 1)
    assert budget.forgettable(NOW + IDLE_SECONDS)
    budget.hold("a", 1, NOW)
    assert not budget.forgettable(NOW + 86400)
    budget.resolve("a", 1, 1, NOW + 90000)
    assert budget.forgettable(NOW + 90000)


def test_slots_count_only_what_is_open() -> None:
    slots = Slots(NOW)
    slots.hold("a", 1, NOW)
    assert not slots.fits(1, 1, NOW)
    assert slots.room_at(1, 1, NOW) is None
    slots.resolve("a", 1, 1, NOW)
    assert slots.stands(1, NOW) == (0, 0, None)
    assert slots.forgettable(NOW)


AMOUNTS = st.integers(min_value=1, max_value=50)
STEPS = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=20_000_000),  # microseconds on
        st.integers(min_value=1, max_value=60),  # a bound
        st.integers(min_value=0, max_value=60),  # a use
        st.booleans(),  # reserve, or settle the oldest
    ),
    max_size=40,
)


@given(amount=AMOUNTS, steps=STEPS)
def test_no_stretch_of_time_uses_more_than_the_amount_and_what_drained_in_it(
    amount: int, steps: list[tuple[int, int, int, bool]]
) -> None:
    bucket, at = rate(), round(NOW * MICRO)
    waiting: list[tuple[int, str, int, int]] = []
    uses: list[tuple[int, int]] = []
    for number, (wait, bound, use, reserve) in enumerate(steps):
        at += wait
        if reserve and bucket.fits(amount, bound, at / MICRO):
            bucket.hold(str(number), bound, at / MICRO)
            waiting.append((at, str(number), bound, min(use, bound)))
        elif waiting:
            since, id, bound, use = waiting.pop(0)
            bucket.resolve(id, bound, use, at / MICRO)
            uses.append((since, use))
        assert 0 <= taken(bucket, amount, at / MICRO) <= amount
        assert min(bucket.stands(amount, at / MICRO)[:2]) >= 0
    uses += [(since, use) for since, _, _, use in waiting]
    uses.sort()
    for first, (start, _) in enumerate(uses):
        sums = accumulate(use for _, use in uses[first:])
        for (end, _), used in zip(uses[first:], sums, strict=True):
            assert used * MINUTE * MICRO <= amount * MINUTE * MICRO + amount * (end - start)


@given(amount=AMOUNTS, steps=STEPS)
def test_with_no_time_between_a_bucket_counts_like_a_budget(
    amount: int, steps: list[tuple[int, int, int, bool]]
) -> None:
    bucket, budget = rate(), Budget(Span(NOW, None), 0, NOW)
    waiting: list[tuple[str, int, int]] = []
    for number, (_, bound, use, reserve) in enumerate(steps):
        assert bucket.fits(amount, bound, NOW) == budget.fits(amount, bound, NOW)
        if reserve and budget.fits(amount, bound, NOW):
            bucket.hold(str(number), bound, NOW)
            budget.hold(str(number), bound, NOW)
            waiting.append((str(number), bound, use))
        elif waiting:
            id, bound, use = waiting.pop(0)
            bucket.resolve(id, bound, use, NOW)
            budget.resolve(id, bound, use, NOW)
        assert bucket.stands(amount, NOW)[:2] == budget.stands(amount, NOW)[:2]


@given(amount=AMOUNTS, debt=st.integers(0, 200), asked=st.integers(0, 60))
def test_room_is_at_the_first_microsecond_at_which_it_fits(
    amount: int, debt: int, asked: int
) -> None:
    bucket = rate(used=debt)
    room_at = bucket.room_at(amount, asked, NOW)
    if asked > amount:
        assert room_at is None
        return
    assert room_at is not None
    if room_at > NOW and asked > 0:
        assert not bucket.fits(amount, asked, room_at - 2 / MICRO)
    assert bucket.fits(amount, asked, room_at)


@given(amount=AMOUNTS, debt=st.integers(0, 200), after=st.floats(0, 300))
def test_what_remains_is_the_most_that_fits(amount: int, debt: int, after: float) -> None:
    bucket = rate(used=debt)
    bucket.fits(amount, 0, NOW)
    remaining = max(0, amount - taken(bucket, amount, NOW + after))
    assert bucket.fits(amount, remaining, NOW + after)
    assert not bucket.fits(amount, remaining + 1, NOW + after)
