"""What a refused caller is told, and the headers of every answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors
from gateway.quota.admit import (
    Refusal,
    admit,
    check_least,
    check_open,
    rate_headers,
    refusal_of,
    retry_headers,
    soft_headers,
    warnings_of,
)
from gateway.quota.ledger import Claim, Reservation, Standing, Verdict
from gateway.quota.limit import NOTHING, Amounts, Level, Limit, Measure, Mode, Window

NOW = 1_795_456_800.0  # 2026-11-23T18:00:00Z


@dataclass(frozen=True)
class Posted:
    id: str = "r1"
    time: float = NOW


def stands(
    measure: Measure = Measure.TOKENS,
    window: Window = Window.MINUTE,
    amount: int = 1000,
    used: int = 600,
    reserved: int = 300,
    asked: int = 200,
    wait: float | None = 6.0,
    resets: float | None = 54.0,
    refused: bool = True,
    mode: Mode = Mode.ENFORCE,
    level: Level = Level.PROJECT,
    model: str | None = None,
    name: str = "team",
    carried: int = 0,
    clamp: bool = False,
    warn_at: tuple[float, ...] = (),
) -> Standing:
    limit = Limit(
        name,
        measure,
        amount,
        window,
        level,
        "Europe/Berlin",
        model,
        mode,
        clamp=clamp,
        warn_at=warn_at,
    )
    subject = (("organization", "acme"), ("project", "demo"), ("key_id", "key_1"))
    room_at = None if wait is None or not refused else NOW + wait
    resets_at = None if resets is None else NOW + resets
    claim = Claim(limit, subject)
    return Standing(claim, amount + carried, used, reserved, asked, refused, resets_at, room_at)


def refusal(*standings: Standing) -> Refusal:
    return refusal_of(standings, NOW, "EUR")


@dataclass
class Fixed:
    """A ledger with one verdict."""

    verdict: Verdict
    asked: Reservation | None = None
    least: Amounts | None = None

    async def reserve(self, reservation: Reservation, now: float) -> Verdict:
        self.asked = reservation
        return self.verdict

    async def look(self, claims: Sequence[Claim], now: float, asked: Amounts = NOTHING) -> Verdict:
        self.least = asked
        return self.verdict

    async def has_room(self, claims: Sequence[Claim], now: float, asked: Amounts) -> bool:
        return (await self.look(claims, now, asked)).granted


def fixed(verdict: Verdict) -> Any:
    """The two verbs of the port that a request is admitted by."""
    return Fixed(verdict)


def verdict(granted: bool, *standings: Standing) -> Verdict:
    return Verdict(granted, standings, generation=0, now=NOW)


BOUND = Amounts(requests=1, input_tokens=40, output_tokens=160, concurrency=1)
RESERVATION = Reservation("r1", (), (), BOUND, Posted(), NOW + 60)


def test_what_is_granted_is_returned() -> None:
    granted = verdict(True, stands(refused=False))
    ledger = fixed(granted)
    assert asyncio.run(admit(ledger, RESERVATION, NOW, "EUR")) is granted
    assert ledger.asked is RESERVATION


def test_what_is_refused_is_raised_with_all_standings() -> None:
    refused = verdict(False, stands(refused=False), stands())
    with pytest.raises(errors.LimitReached) as caught:
        asyncio.run(admit(fixed(refused), RESERVATION, NOW, "EUR"))
    assert isinstance(caught.value, Refusal)
    assert caught.value.standings == refused.standings
    assert caught.value.status == 429


def test_what_is_shut_for_any_request_is_refused_before_work_is_done() -> None:
    shut = fixed(verdict(False, stands(refused=False), stands(used=1000, asked=1)))
    with pytest.raises(Refusal, match="Requested 1"):
        asyncio.run(check_open(shut, (), NOW, "EUR"))
    assert shut.least == Amounts(requests=1, input_tokens=1, concurrency=1)
    assert shut.asked is None


def test_a_refusal_stays_as_it_is_where_the_least_cannot_be_asked_about() -> None:
    class Away(Fixed):
        async def look(
            self, claims: Sequence[Claim], now: float, asked: Amounts = NOTHING
        ) -> Verdict:
            raise errors.Unavailable("away", code="ledger_unavailable")

    for clamp in (True, False):  # that which does not clamp is not even asked about
        first = refusal(stands(clamp=clamp))
        ledger: Any = Away(verdict(True))
        with pytest.raises(Refusal) as caught:
            asyncio.run(check_least(ledger, first, BOUND, NOW, "EUR", BOUND))
        assert caught.value is first


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.SOFT])
def test_only_enforced_limits_refuse(mode: Mode) -> None:
    watched = verdict(True, stands(mode=mode))
    asyncio.run(check_open(fixed(watched), (), NOW, "EUR"))
    assert asyncio.run(admit(fixed(watched), RESERVATION, NOW, "EUR")) is watched


def test_a_rate_says_everything_and_lets_clients_retry() -> None:
    error = refusal(stands())
    assert error.message == (
        "Rate limit reached for limit team (project demo) on tokens per minute: Limit 1000, "
        "Used 600, Reserved 300, Requested 200. Please try again in 6s."
    )
    assert error.body()["error"] == {
        "message": error.message,
        "type": "tokens",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert retry_headers(error) == [("retry-after", "6"), ("retry-after-ms", "6000")]


@pytest.mark.parametrize(
    ("measure", "window", "type", "code"),
    [
        (Measure.REQUESTS, Window.SECOND, "requests", "rate_limit_exceeded"),
        (Measure.REQUESTS, Window.HOUR, "requests", "rate_limit_exceeded"),
        (Measure.CONCURRENCY, Window.NONE, "requests", "rate_limit_exceeded"),
        (Measure.TOKENS, Window.MINUTE, "tokens", "rate_limit_exceeded"),
        (Measure.INPUT_TOKENS, Window.MINUTE, "tokens", "rate_limit_exceeded"),
        (Measure.OUTPUT_TOKENS, Window.HOUR, "tokens", "rate_limit_exceeded"),
        (Measure.MONEY, Window.HOUR, "tokens", "rate_limit_exceeded"),
        (Measure.REQUESTS, Window.DAY, "insufficient_quota", "insufficient_quota"),
        (Measure.TOKENS, Window.WEEK, "insufficient_quota", "insufficient_quota"),
        (Measure.MONEY, Window.MONTH, "insufficient_quota", "insufficient_quota"),
        (Measure.MONEY, Window.NONE, "insufficient_quota", "insufficient_quota"),
    ],
)
def test_type_and_code_follow_measure_and_window(
    measure: Measure, window: Window, type: str, code: str
) -> None:
    error = refusal(stands(measure, window))
    assert (error.type, error.code) == (type, code)


def test_a_request_larger_than_the_limit_can_never_fit() -> None:
    error = refusal(stands(asked=4096, wait=None))
    assert error.message.startswith(
        "Request too large for limit team (project demo) on tokens per minute: "
        "Limit 1000, Requested 4096."
    )
    assert (error.type, error.code, error.retry) == ("tokens", "rate_limit_exceeded", False)
    assert retry_headers(error) == [("x-should-retry", "false")]


def test_too_large_for_a_limit_that_clamps_is_the_prompt_alone() -> None:
    assert refusal(stands(asked=4096, wait=None, clamp=True)).message.endswith(
        "Make the prompt shorter; waiting does not help."
    )


def test_too_large_is_tokens_also_for_a_budget() -> None:
    error = refusal(stands(Measure.MONEY, Window.MONTH, asked=1001, wait=None))
    assert (error.type, error.code) == ("tokens", "rate_limit_exceeded")


def test_a_budget_says_when_there_is_room_in_its_zone_and_stops_retries() -> None:
    error = refusal(
        stands(
            Measure.MONEY,
            Window.MONTH,
            amount=50_000_000_000,
            used=49_990_000_000,
            reserved=5_000_001,
            asked=20_000_000,
            wait=622_800.0,
        )
    )
    assert error.message == (
        "You exceeded your current quota, limit team (project demo) on money per month: "
        "Limit 50.00 EUR, Used 49.99 EUR, Reserved 0.005000001 EUR, Requested 0.02 EUR. "
        "There is room again at 2026-12-01T00:00:00+01:00 (in 173h0m0s)."
    )
    assert retry_headers(error) == [("retry-after", "622800"), ("x-should-retry", "false")]


def test_a_prepaid_budget_says_that_waiting_does_not_help() -> None:
    error = refusal(stands(Measure.MONEY, Window.NONE, wait=None, resets=None))
    assert error.message == (
        "The prepaid balance is too small for this request, limit team (project demo) on money in "
        "all: Limit 0.000001 EUR, Used 0.0000006 EUR, Reserved 0.0000003 EUR, Requested 0.0000002 "
        "EUR. Waiting does not help; ask an administrator to top it up."
    )
    assert (error.retry_after_seconds, error.retry) == (None, False)


@pytest.mark.parametrize(("amount", "used"), [(0, 0), (1000, 1000), (1000, 1200)])
def test_a_prepaid_balance_that_is_used_up_says_so(amount: int, used: int) -> None:
    error = refusal(
        stands(window=Window.NONE, amount=amount, used=used, reserved=0, wait=None, asked=5000)
    )
    assert error.message.startswith(
        "The prepaid balance is used up, limit team (project demo) on tokens in all: "
        f"Limit {amount}, Used {used}, Reserved 0, Requested 5000."
    )
    assert (error.type, error.retry) == ("insufficient_quota", False)


def test_what_was_carried_over_counts_as_part_of_the_limit() -> None:
    error = refusal(stands(window=Window.DAY, carried=500, used=1400, asked=200))
    assert "Limit 1500, Used 1400" in error.message
    assert "too large" not in refusal(stands(carried=500, asked=1400)).message
    headers = dict(rate_headers([stands(carried=500, used=600, reserved=300)], NOW))
    assert headers["x-ratelimit-limit-tokens"] == "1500"
    assert headers["x-ratelimit-remaining-tokens"] == "600"


def test_a_refusal_by_the_output_cap_says_which_cap_and_what_helps() -> None:
    bound = Amounts(requests=1, input_tokens=99, output_tokens=16384)
    told = (
        "16384 output tokens were to be reserved, by the request's cap or the model's default; "
        "a smaller max_tokens or, in the policy, `clamp: true` for this limit may make it fit."
    )
    large = stands(asked=16483, wait=None)  # 100 remain
    assert refusal_of([large], NOW, "EUR", bound).message.endswith(
        f"Requested 16483. Waiting does not help. {told}"
    )
    rate = refusal_of([stands(asked=800)], NOW, "EUR", bound).message
    assert rate.endswith(f"Please try again in 6s. {told}")
    clamps = refusal_of([stands(asked=800, clamp=True)], NOW, "EUR", bound).message
    assert clamps.endswith("Please try again in 6s.")  # it was asked for the least already
    prepaid = stands(Measure.MONEY, Window.NONE, asked=800, wait=None)
    assert told in refusal_of([prepaid], NOW, "EUR", bound).message


@pytest.mark.parametrize(
    "standing",
    [
        stands(asked=200, used=601),  # 99 remain: the prompt alone takes them
        stands(Measure.INPUT_TOKENS, asked=200),
        stands(Measure.OUTPUT_TOKENS, asked=200, used=700),
        stands(Measure.MONEY, asked=200, used=700),
        stands(Measure.REQUESTS, asked=1, used=700),
    ],
)
def test_a_smaller_cap_is_not_proposed_where_it_does_not_help(standing: Standing) -> None:
    bound = Amounts(requests=1, input_tokens=99, output_tokens=16384)
    assert "max_tokens" not in refusal_of([standing], NOW, "EUR", bound).message
    both = refusal_of([standing, stands(asked=800)], NOW, "EUR", bound).message
    assert "max_tokens" not in both
    assert "max_tokens" not in refusal(stands(asked=800)).message  # the bound is not known


def test_concurrency_lets_clients_back_off_by_themselves() -> None:
    error = refusal(
        stands(Measure.CONCURRENCY, Window.NONE, 5, used=0, reserved=5, asked=1, wait=None)
    )
    assert error.message == (
        "Too many requests at the same time for limit team (project demo) on requests in work: "
        "Limit 5, Used 0, Reserved 5, Requested 1. Try again when one of them is done."
    )
    assert retry_headers(error) == []


@pytest.mark.parametrize("measure", [Measure.CONCURRENCY, Measure.REQUESTS, Measure.MONEY])
def test_a_limit_of_nothing_is_no_matter_of_size_or_of_waiting(measure: Measure) -> None:
    for window in (Window.MINUTE, Window.MONTH, Window.NONE):
        error = refusal(stands(measure, window, 0, used=0, reserved=0, asked=1, wait=None))
        assert "too large" not in error.message
        assert "Waiting does not help" in error.message
        assert error.retry is False


@pytest.mark.parametrize(("wait", "retry"), [(60.0, None), (60.1, False), (3000.0, False)])
def test_a_wait_of_a_minute_is_worth_a_retry_and_a_longer_one_is_not(
    wait: float, retry: bool | None
) -> None:
    error = refusal(stands(Measure.REQUESTS, Window.HOUR, wait=wait))
    assert error.retry is retry
    assert error.retry_after_seconds == pytest.approx(wait)


def test_of_several_refusals_the_longest_wait_is_told_and_the_others_are_counted() -> None:
    minute = stands(name="minute", wait=6)
    hour = stands(name="hour", window=Window.HOUR, wait=90)
    slots = stands(Measure.CONCURRENCY, Window.NONE, name="slots", asked=1, wait=None)
    prepaid = stands(Measure.MONEY, Window.NONE, name="prepaid", wait=None)
    large = stands(name="large", asked=5000, wait=None)
    watched = stands(name="watched", wait=9999, mode=Mode.OBSERVE)
    fits = stands(name="fits", refused=False)
    order = [slots, minute, hour, prepaid, large]
    for count in range(1, len(order) + 1):
        error = refusal(watched, fits, *order[:count])
        assert f"limit {order[count - 1].claim.limit.name} " in error.message
        tail = {1: "", 2: " 1 other limit had no room either."}
        expected = tail.get(count, f" {count - 1} other limits had no room either.")
        assert error.message.endswith(expected)
        assert ("either" in error.message) == (count > 1)


def test_a_message_names_the_model_but_never_an_end_user() -> None:
    standing = stands(level=Level.END_USER, model="gpt-4o")
    claim = Claim(standing.claim.limit, (("organization", "acme"), ("end_user", "Eve Adams")))
    error = refusal(Standing(claim, 1000, 1000, 0, 200, True, None, NOW + 1))
    assert "(end user, model gpt-4o)" in error.message
    assert "Eve" not in error.message


def test_headers_are_of_the_tightest_enforced_limits() -> None:
    headers = rate_headers(
        [
            stands(Measure.REQUESTS, amount=100, used=10, reserved=5, resets=9.0),
            stands(Measure.REQUESTS, Window.DAY, amount=1000, used=990, reserved=0, resets=3723.0),
            stands(Measure.TOKENS, amount=5000, used=4000, reserved=900, resets=0.012),
            stands(Measure.OUTPUT_TOKENS, amount=500, used=0, reserved=0),
            stands(Measure.TOKENS, amount=1, mode=Mode.OBSERVE),
            stands(Measure.MONEY, amount=1),
            stands(Measure.CONCURRENCY, Window.NONE, amount=1, resets=None),
        ],
        NOW,
    )
    assert headers == [
        ("x-ratelimit-limit-requests", "1000"),
        ("x-ratelimit-remaining-requests", "10"),
        ("x-ratelimit-reset-requests", "1h2m3s"),
        ("x-ratelimit-limit-tokens", "5000"),
        ("x-ratelimit-remaining-tokens", "100"),
        ("x-ratelimit-reset-tokens", "12ms"),
    ]


def test_a_limit_that_time_does_not_reset_has_no_reset_header() -> None:
    headers = dict(rate_headers([stands(Measure.REQUESTS, Window.NONE, resets=None)], NOW))
    assert set(headers) == {"x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"}


def test_no_limits_no_headers() -> None:
    assert rate_headers([], NOW) == []
    assert retry_headers(errors.BadRequest("not JSON")) == []


def test_soft_limits_without_room_are_named_in_a_header() -> None:
    assert soft_headers([]) == []
    fits = stands(refused=False, mode=Mode.SOFT, name="fits")
    assert soft_headers([fits, stands(mode=Mode.OBSERVE), stands()]) == []
    over = [stands(mode=Mode.SOFT, name="daily"), fits, stands(mode=Mode.SOFT, name="monthly")]
    assert soft_headers(over) == [("x-gateway-limit-exceeded", "daily, monthly")]


@pytest.mark.parametrize(
    ("used", "booked", "shares"),
    [
        (799, 100, []),
        (800, 1, [0.8]),
        (800, 0, []),
        (949, 149, []),  # it was at 800 before
        (950, 151, [0.8, 0.95]),
        (1000, 50, [1.0]),
        (1300, 1300, [0.8, 0.95, 1.0]),
        (1300, 300, []),
    ],
)
def test_each_share_is_told_of_by_the_request_that_passes_it(
    used: int, booked: int, shares: list[float]
) -> None:
    standing = stands(window=Window.DAY, used=used, warn_at=(0.8, 0.95, 1.0), refused=False)
    crossed = warnings_of([standing], Amounts(input_tokens=booked))
    assert [(one.standing, one.share) for one in crossed] == [(standing, s) for s in shares]


def test_shares_are_of_what_may_be_used_in_all_and_in_the_limit_s_own_measure() -> None:
    carried = stands(window=Window.DAY, carried=1000, used=1600, warn_at=(0.8,))
    assert [one.share for one in warnings_of([carried], Amounts(output_tokens=1))] == [0.8]
    money = stands(Measure.MONEY, Window.DAY, used=800, warn_at=(0.8,))
    assert warnings_of([money], Amounts(input_tokens=800)) == []
    assert [one.share for one in warnings_of([money], Amounts(cost_nano=1))] == [0.8]
    no_balance = stands(Measure.MONEY, Window.NONE, amount=0, used=5, warn_at=(0.8,))
    assert warnings_of([no_balance], Amounts(cost_nano=5)) == []


@given(
    amount=st.integers(1, 10**18),
    share=st.integers(1, 100).map(lambda percent: percent / 100),
    bookings=st.lists(st.integers(0, 3 * 10**17), max_size=12),
)
def test_a_share_is_crossed_once_at_its_exact_amount(
    amount: int, share: float, bookings: list[int]
) -> None:
    used, crossed_at = 0, []
    for booked in bookings:
        used += booked
        standing = stands(Measure.MONEY, Window.DAY, amount=amount, used=used, warn_at=(share,))
        if warnings_of([standing], Amounts(cost_nano=booked)):
            crossed_at.append((used - booked, used))
    percent = round(share * 100)
    assert len(crossed_at) == (used * 100 >= amount * percent)
    for before, after in crossed_at:
        assert before * 100 < amount * percent <= after * 100


@pytest.mark.parametrize(
    ("seconds", "whole", "milliseconds"),
    [(0.0, "1", "1"), (0.3, "1", "300"), (1.2, "2", "1200"), (1.0005, "2", "1001")],
)
def test_retry_headers_are_rounded_up(seconds: float, whole: str, milliseconds: str) -> None:
    error = errors.LimitReached("", retry_after_seconds=seconds)
    assert retry_headers(error) == [("retry-after", whole), ("retry-after-ms", milliseconds)]
