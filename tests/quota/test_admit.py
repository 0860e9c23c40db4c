"""What a refused caller is told, and the headers of every answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from gateway import errors
from gateway.quota.admit import (
    Refusal,
    admit,
    check_open,
    duration,
    rate_headers,
    refusal_of,
    retry_headers,
)
from gateway.quota.ledger import Claim, Record, Reservation, Standing, Verdict
from gateway.quota.limit import NOTHING, Amounts, Level, Limit, Measure, Mode, Window

NOW = 1_795_456_800.0  # 2026-11-23T18:00:00Z


@dataclass(frozen=True)
class Posted:
    id: str = "r1"


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
) -> Standing:
    limit = Limit(name, measure, amount, window, level, "Europe/Berlin", model, mode)
    subject = (("organization", "acme"), ("project", "demo"), ("key_id", "key_1"))
    room_at = None if wait is None or not refused else NOW + wait
    resets_at = None if resets is None else NOW + resets
    return Standing(Claim(limit, subject), used, reserved, asked, refused, resets_at, room_at)


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

    async def settle(self, id: str, used: Amounts, record: Record, now: float) -> None: ...

    async def release(self, id: str, record: Record, now: float) -> None: ...

    async def sweep(self, now: float) -> int:
        return 0

    async def standings(
        self, claims: Sequence[Claim], now: float, asked: Amounts = NOTHING
    ) -> tuple[Standing, ...]:
        self.least = asked
        return self.verdict.standings


RESERVATION = Reservation("r1", (), Amounts(), Posted(), NOW + 60)


def test_what_is_granted_is_returned() -> None:
    verdict = Verdict(True, (stands(refused=False),))
    ledger = Fixed(verdict)
    assert asyncio.run(admit(ledger, RESERVATION, NOW, "EUR")) is verdict
    assert ledger.asked is RESERVATION


def test_what_is_refused_is_raised_with_all_standings() -> None:
    verdict = Verdict(False, (stands(refused=False), stands()))
    with pytest.raises(errors.LimitReached) as caught:
        asyncio.run(admit(Fixed(verdict), RESERVATION, NOW, "EUR"))
    assert isinstance(caught.value, Refusal)
    assert caught.value.standings == verdict.standings
    assert caught.value.status == 429


def test_what_is_shut_for_any_request_is_refused_before_work_is_done() -> None:
    shut = Fixed(Verdict(False, (stands(refused=False), stands(used=1000, asked=1))))
    with pytest.raises(Refusal, match="Requested 1"):
        asyncio.run(check_open(shut, (), NOW, "EUR"))
    assert shut.least == Amounts(requests=1, input_tokens=1, concurrency=1)
    assert shut.asked is None
    for standing in (stands(refused=False), stands(mode=Mode.OBSERVE)):
        asyncio.run(check_open(Fixed(Verdict(True, (standing,))), (), NOW, "EUR"))


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
    assert "on money in all" in error.message
    assert "Waiting does not help" in error.message
    assert (error.retry_after_seconds, error.retry) == (None, False)


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
    error = refusal(Standing(claim, 1000, 0, 200, True, None, NOW + 1))
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


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1.0, "0s"),
        (0.0, "0s"),
        (0.012, "12ms"),
        (0.0120001, "12ms"),
        (0.0121, "13ms"),
        (0.9995, "1s"),
        (1.0, "1s"),
        (1.001, "2s"),
        (59.5, "1m0s"),
        (360.0, "6m0s"),
        (3723.0, "1h2m3s"),
        (86400.0, "24h0m0s"),
    ],
)
def test_durations_are_written_as_openai_writes_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "whole", "milliseconds"),
    [(0.0, "1", "1"), (0.3, "1", "300"), (1.2, "2", "1200"), (1.0005, "2", "1001")],
)
def test_retry_headers_are_rounded_up(seconds: float, whole: str, milliseconds: str) -> None:
    error = errors.LimitReached("", retry_after_seconds=seconds)
    assert retry_headers(error) == [("retry-after", whole), ("retry-after-ms", milliseconds)]
