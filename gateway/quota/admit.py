"""The verb admit: reserve every claim of a request, or say why not.

What a refusal tells, and which headers go with it, is how the official clients act on a 429: they
retry by themselves, unless told `x-should-retry: false`; see docs/guides/quotas.md.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from gateway import errors
from gateway.quota.ledger import Claim, Ledger, Reservation, Standing, Verdict
from gateway.quota.limit import NOTHING, Amounts, Measure, Mode
from gateway.quota.wording import (
    WAIT_SECONDS_MAX,
    duration,
    frees_up,
    is_rate,
    is_too_large,
    told,
    whole_milliseconds,
)

CAP_MAX = 10**9
"""No model writes more tokens in one answer."""

LEAST = Amounts(requests=1, input_tokens=1, concurrency=1)
"""Every request is one, and says something; it may be free, and answered without output."""

_KINDS = {
    Measure.REQUESTS: "requests",
    Measure.TOKENS: "tokens",
    Measure.INPUT_TOKENS: "tokens",
    Measure.OUTPUT_TOKENS: "tokens",
}
"""Which headers tell of a measure."""

_HEADERS = {
    kind: tuple(f"x-ratelimit-{what}-{kind}" for what in ("limit", "remaining", "reset"))
    for kind in ("requests", "tokens")
}

_ENFORCE, _SOFT = Mode.ENFORCE, Mode.SOFT  # as an enum's member, each use is a look-up in its class


class Refusal(errors.LimitReached):
    """A LimitReached that also carries how all limits of the request stand, for its headers:
    `rate_headers(error.standings, now) + retry_headers(error)`."""

    standings: tuple[Standing, ...] = ()


class Priced(Protocol):
    """A price: the most that so many tokens can cost, in nano units; more never cost less."""

    def bound_nano(self, input_tokens: int, output_tokens: int) -> int: ...


@dataclass(frozen=True, slots=True)
class Crossing:
    """Use passed `share` of the limit's amount, by what was just booked."""

    standing: Standing
    share: float


async def admit(ledger: Ledger, reservation: Reservation, now: float, currency: str) -> Verdict:
    """Reserve, or raise Refusal. `now` is unix seconds; `currency` is what money limits are in.

    Raises errors.Unavailable (ledger_unavailable) where the ledger cannot tell."""
    verdict = await ledger.reserve(reservation, now)
    if not verdict.granted:
        raise refusal_of(verdict.standings, now, currency, reservation.bound)
    return verdict


async def check_open(
    ledger: Ledger,
    claims: Sequence[Claim],
    now: float,
    currency: str,
    least: Amounts = LEAST,
) -> None:
    """Raise Refusal where it is known already that a request will not fit, before anything costly.

    `least` is the least that it can come to. Reserves nothing: that there is room now does not say
    that `admit` will find it. Raises errors.Unavailable as `admit`."""
    if await ledger.has_room(claims, now, least):
        return
    verdict = await ledger.look(claims, now, least)
    if not verdict.granted:
        raise refusal_of(verdict.standings, now, currency)


async def check_least(
    ledger: Ledger, refusal: Refusal, least: Amounts, now: float, currency: str, bound: Amounts
) -> None:
    """Raise the refusal of a request that no cap makes fit; return where one would fit by now.

    A limit that clamps had not to hold all of `bound`, but only `least`, the request with the least
    cap: that is what it tells of, and when there is room for it."""
    if not any(standing.claim.limit.clamp for standing in _refused(refusal.standings)):
        raise refusal
    try:
        seen = await ledger.look([one.claim for one in refusal.standings], now, least)
    except errors.Unavailable:
        raise refusal from None
    both = zip(seen.standings, refusal.standings, strict=True)
    standings = [small if small.claim.limit.clamp else full for small, full in both]
    if _refused(standings):
        raise refusal_of(standings, now, currency, bound)


def refusal_of(
    standings: Sequence[Standing], now: float, currency: str, bound: Amounts = NOTHING
) -> Refusal:
    """The refusal to report: a request that can never fit first, then the longest wait.

    `bound` is what the request wanted to reserve, to say so where its output cap is the reason."""
    refused = _refused(standings)
    worst = max(refused, key=lambda standing: _severity(standing, now))
    wait = None if worst.room_at is None else max(0.0, worst.room_at - now)
    is_capped = all(_may_fit_smaller(standing, bound) for standing in refused)
    message = told(worst, now, currency, bound.output_tokens if is_capped else None)
    if others := len(refused) - 1:
        message += f" {others} other limit{'s' * (others > 1)} had no room either."
    type, code = _kind(worst)
    may_retry = frees_up(worst) or (wait is not None and wait <= WAIT_SECONDS_MAX)
    refusal = Refusal(
        message,
        type=type,
        code=code,
        retry_after_seconds=wait,
        retry=None if may_retry else False,
    )
    refusal.standings = tuple(standings)
    return refusal


def clamp_to(
    standings: Sequence[Standing],
    input_tokens: int,
    answers: int,
    price: Priced | None,
    uncapped_output: int = 0,
) -> int | None:
    """The largest output cap for each of `answers` answers with which the refused request fits.

    `uncapped_output` is how much output it reserves whatever the cap. None where a limit refused
    that does not clamp, or where no cap helps."""
    bound_of: dict[Measure, Callable[[int, int], int]] = {
        Measure.TOKENS: lambda input, output: input + output,
        Measure.OUTPUT_TOKENS: lambda _, output: output,
    }
    if price is not None:
        bound_of[Measure.MONEY] = price.bound_nano
    refused = _refused(standings)
    if any(not s.claim.limit.clamp or s.claim.limit.measure not in bound_of for s in refused):
        return None

    def largest(standing: Standing) -> int:
        """How many caps of 1, 2, 3, … fit."""
        bound = bound_of[standing.claim.limit.measure]
        return bisect_right(
            range(1, CAP_MAX + 1),
            standing.remaining,
            key=lambda cap: bound(input_tokens, uncapped_output + cap * answers),
        )

    return min(map(largest, refused), default=0) or None


def warnings_of(standings: Sequence[Standing], used: Amounts) -> list[Crossing]:
    """What `warn_at` asks to be told of, now that `used` was booked and the limits stand so.

    Of all requests that are booked exactly one crosses a share, so nothing has to be remembered."""
    crossings = []
    for standing in standings:
        if not standing.claim.limit.warn_at:
            continue
        before = standing.used - used.of(standing.claim.limit.measure)
        for share in standing.claim.limit.warn_at:
            if before < math.ceil(Fraction(str(share)) * standing.amount) <= standing.used:
                crossings.append(Crossing(standing, share))
    return crossings


def soft_headers(standings: Sequence[Standing]) -> list[tuple[str, str]]:
    """`x-gateway-limit-exceeded`: the names of the soft limits that had no room."""
    refused = _refused(standings, _SOFT)
    names = ", ".join([standing.claim.limit.name for standing in refused]) if refused else ""
    return [("x-gateway-limit-exceeded", names)] if names else []


def rate_headers(standings: Sequence[Standing], now: float) -> list[tuple[str, str]]:
    """`x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, each from the enforced limit with
    the least room; none where nothing limits requests or tokens, no reset where there is none."""
    requests: Standing | None = None
    tokens: Standing | None = None
    requests_left = tokens_left = 0
    for standing in standings:
        (limit, _), amount, used, reserved, _, _, _, _ = standing
        kind = _KINDS.get(limit.measure)
        if kind is None or limit.mode is not _ENFORCE:
            continue
        left = amount - used - reserved
        left = left if left > 0 else 0
        if kind == "tokens":
            if (
                tokens is None
                or left < tokens_left
                or (left == tokens_left and _resets_later(standing, tokens))
            ):
                tokens, tokens_left = standing, left
        elif (
            requests is None
            or left < requests_left
            or (left == requests_left and _resets_later(standing, requests))
        ):
            requests, requests_left = standing, left
    headers: list[tuple[str, str]] = []
    if requests is not None:
        _tell(headers, "requests", requests, requests_left, now)
    if tokens is not None:
        _tell(headers, "tokens", tokens, tokens_left, now)
    return headers


def _resets_later(one: Standing, other: Standing) -> bool:
    return (one.resets_at or math.inf) > (other.resets_at or math.inf)


def _tell(
    headers: list[tuple[str, str]], kind: str, tightest: Standing, left: int, now: float
) -> None:
    of_limit, of_rest, of_reset = _HEADERS[kind]
    headers.append((of_limit, str(tightest.amount)))
    headers.append((of_rest, str(left)))
    if tightest.resets_at is not None:
        headers.append((of_reset, duration(tightest.resets_at - now)))


def retry_headers(error: errors.ApiError) -> list[tuple[str, str]]:
    """`retry-after` (whole seconds) and `retry-after-ms`, both rounded up, and `x-should-retry`.

    The milliseconds are left out where nobody should retry: clients prefer them."""
    headers = []
    if error.retry_after_seconds is not None:
        wait = max(0.0, error.retry_after_seconds)
        headers.append(("retry-after", str(max(1, math.ceil(wait)))))
        if error.retry is not False:
            headers.append(("retry-after-ms", str(max(1, whole_milliseconds(wait)))))
    if error.retry is not None:
        headers.append(("x-should-retry", "true" if error.retry else "false"))
    return headers


def _refused(standings: Sequence[Standing], mode: Mode = _ENFORCE) -> list[Standing]:
    return [one for one in standings if one.refused and one.claim.limit.mode is mode]


def _may_fit_smaller(standing: Standing, bound: Amounts) -> bool:
    """There is room for more than the prompt; of money, whose price is not known here, for some.
    Not where a limit clamps: it was asked for the smallest."""
    if standing.claim.limit.clamp:
        return False
    beside = {Measure.TOKENS: bound.input_tokens, Measure.OUTPUT_TOKENS: 0, Measure.MONEY: 0}
    taken = beside.get(standing.claim.limit.measure)
    return taken is not None and bound.output_tokens > 1 and standing.remaining > taken


def _severity(standing: Standing, now: float) -> tuple[bool, float]:
    if frees_up(standing):
        wait = 0.0  # unknown, but likely soon
    else:
        wait = math.inf if standing.room_at is None else standing.room_at - now
    return is_too_large(standing), wait


def _kind(standing: Standing) -> tuple[str, str]:
    """OpenAI's `type` and `code`."""
    limit = standing.claim.limit
    if is_too_large(standing):
        return "tokens", "rate_limit_exceeded"
    if not is_rate(limit):
        return "insufficient_quota", "insufficient_quota"
    by_request = limit.measure in (Measure.REQUESTS, Measure.CONCURRENCY)
    return "requests" if by_request else "tokens", "rate_limit_exceeded"
