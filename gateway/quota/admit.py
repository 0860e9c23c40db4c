"""The verb admit: reserve every claim of a request, or say why not.

What a refusal tells, and which headers go with it, is how the official clients act on a 429: they
retry by themselves, unless told `x-should-retry: false`; see docs/guides/quotas.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from gateway import errors
from gateway.quota.ledger import Claim, Ledger, Reservation, Standing, Verdict
from gateway.quota.limit import Amounts, Level, Limit, Measure, Mode, Window
from gateway.quota.window import BUCKET_SECONDS

WAIT_SECONDS_MAX = 60.0
"""A client may wait so long by itself; openai-python ignores longer waits and retries at once."""

LEAST = Amounts(requests=1, input_tokens=1, concurrency=1)
"""Every request is one, and says something; it may be free, and answered without output."""

_TOKENS = (Measure.TOKENS, Measure.INPUT_TOKENS, Measure.OUTPUT_TOKENS)
_FIELDS = {
    Level.ORGANIZATION: "organization",
    Level.PROJECT: "project",
    Level.KEY: "key_id",
    Level.END_USER: "end_user",
}


class Refusal(errors.LimitReached):
    """A LimitReached that also carries how all limits of the request stand, for its headers:
    `rate_headers(error.standings, now) + retry_headers(error)`."""

    standings: tuple[Standing, ...] = ()


async def admit(ledger: Ledger, reservation: Reservation, now: float, currency: str) -> Verdict:
    """Reserve, or raise Refusal. `now` is unix seconds; `currency` is what money limits are in.

    Raises errors.Unavailable (ledger_unavailable) where the ledger cannot tell."""
    verdict = await ledger.reserve(reservation, now)
    if not verdict.granted:
        raise refusal_of(verdict.standings, now, currency)
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
    that `admit` will find it."""
    standings = await ledger.standings(claims, now, least)
    if any(one.refused and one.claim.limit.mode is Mode.ENFORCE for one in standings):
        raise refusal_of(standings, now, currency)


def refusal_of(standings: Sequence[Standing], now: float, currency: str) -> Refusal:
    """The refusal to report: a request that can never fit first, then the longest wait."""
    refused = [s for s in standings if s.refused and s.claim.limit.mode is Mode.ENFORCE]
    worst = max(refused, key=lambda standing: _severity(standing, now))
    wait = None if worst.room_at is None else max(0.0, worst.room_at - now)
    message = f"{_opening(worst)}: {_figures(worst, currency)}. {_advice(worst, now)}"
    if others := len(refused) - 1:
        message += f" {others} other limit{'s' * (others > 1)} had no room either."
    type, code = _kind(worst)
    may_retry = _frees_up(worst) or (wait is not None and wait <= WAIT_SECONDS_MAX)
    refusal = Refusal(
        message,
        type=type,
        code=code,
        retry_after_seconds=wait,
        retry=None if may_retry else False,
    )
    refusal.standings = tuple(standings)
    return refusal


def rate_headers(standings: Sequence[Standing], now: float) -> list[tuple[str, str]]:
    """`x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, each from the enforced limit with
    the least room; none where nothing limits requests or tokens, no reset where there is none."""
    headers = []
    for kind, measures in (("requests", (Measure.REQUESTS,)), ("tokens", _TOKENS)):
        tightest = min(
            (
                standing
                for standing in standings
                if standing.claim.limit.measure in measures
                and standing.claim.limit.mode is Mode.ENFORCE
            ),
            key=lambda standing: (standing.remaining, -(standing.resets_at or math.inf)),
            default=None,
        )
        if tightest is None:
            continue
        headers.append((f"x-ratelimit-limit-{kind}", str(tightest.claim.limit.amount)))
        headers.append((f"x-ratelimit-remaining-{kind}", str(tightest.remaining)))
        if tightest.resets_at is not None:
            reset = duration(tightest.resets_at - now)
            headers.append((f"x-ratelimit-reset-{kind}", reset))
    return headers


def retry_headers(error: errors.ApiError) -> list[tuple[str, str]]:
    """`retry-after` (whole seconds) and `retry-after-ms`, both rounded up, and `x-should-retry`.

    The milliseconds are left out where nobody should retry: clients prefer them."""
    headers = []
    if error.retry_after_seconds is not None:
        wait = max(0.0, error.retry_after_seconds)
        headers.append(("retry-after", str(max(1, math.ceil(wait)))))
        if error.retry is not False:
            headers.append(("retry-after-ms", str(max(1, _milliseconds(wait)))))
    if error.retry is not None:
        headers.append(("x-should-retry", "true" if error.retry else "false"))
    return headers


def duration(seconds: float) -> str:
    """As OpenAI writes resets: `12ms`, `1s`, `6m0s`, `1h2m3s`; rounded up."""
    milliseconds = max(0, _milliseconds(seconds))
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, seconds_left = divmod(-(-milliseconds // 1000), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes_left}m{seconds_left}s"
    return f"{minutes}m{seconds_left}s" if minutes else f"{seconds_left}s"


def _milliseconds(seconds: float) -> int:
    """Rounded up from the microsecond, so that a float's noise is not a millisecond more."""
    return -(-round(seconds * 1_000_000) // 1000)


def _is_concurrency(standing: Standing) -> bool:
    return standing.claim.limit.measure is Measure.CONCURRENCY


def _frees_up(standing: Standing) -> bool:
    """There is room when one of the requests in work is done: clients back off by themselves."""
    return _is_concurrency(standing) and standing.claim.limit.amount > 0


def _is_rate(limit: Limit) -> bool:
    return limit.window in BUCKET_SECONDS or limit.measure is Measure.CONCURRENCY


def _is_too_large(standing: Standing) -> bool:
    """Not a limit of 0: that is a budget of nothing, not a request that could be smaller."""
    return standing.asked > standing.claim.limit.amount > 0


def _severity(standing: Standing, now: float) -> tuple[bool, float]:
    if _frees_up(standing):
        wait = 0.0  # unknown, but likely soon
    else:
        wait = math.inf if standing.room_at is None else standing.room_at - now
    return _is_too_large(standing), wait


def _kind(standing: Standing) -> tuple[str, str]:
    """OpenAI's `type` and `code`."""
    limit = standing.claim.limit
    if _is_too_large(standing):
        return "tokens", "rate_limit_exceeded"
    if not _is_rate(limit):
        return "insufficient_quota", "insufficient_quota"
    by_request = limit.measure in (Measure.REQUESTS, Measure.CONCURRENCY)
    return "requests" if by_request else "tokens", "rate_limit_exceeded"


def _opening(standing: Standing) -> str:
    limit = standing.claim.limit
    name = f"limit {limit.name} ({_whom(standing)}) on {_what(limit)}"
    if _is_too_large(standing):
        return f"Request too large for {name}"
    if _is_concurrency(standing):
        return f"Too many requests at the same time for {name}"
    if _is_rate(limit):
        return f"Rate limit reached for {name}"
    return f"You exceeded your current quota, {name}"


def _whom(standing: Standing) -> str:
    """An end user is not named: that is the caller's own text, and a message may be logged."""
    limit, subject = standing.claim.limit, dict(standing.claim.subject)
    whom = limit.level.replace("_", " ")
    value = subject.get(_FIELDS[limit.level])
    if value and limit.level is not Level.END_USER:
        whom += f" {value}"
    return f"{whom}, model {limit.model}" if limit.model else whom


def _what(limit: Limit) -> str:
    measure = limit.measure.replace("_", " ")
    if limit.measure is Measure.CONCURRENCY:
        return "requests in work"
    return f"{measure} in all" if limit.window is Window.NONE else f"{measure} per {limit.window}"


def _figures(standing: Standing, currency: str) -> str:
    limit = standing.claim.limit
    pairs = [("Limit", limit.amount)]
    if not _is_too_large(standing):
        pairs += [("Used", standing.used), ("Reserved", standing.reserved)]
    pairs.append(("Requested", standing.asked))
    return ", ".join(f"{name} {_amount(value, limit, currency)}" for name, value in pairs)


def _amount(value: int, limit: Limit, currency: str) -> str:
    if limit.measure is not Measure.MONEY:
        return str(value)
    whole, nano = divmod(value, 1_000_000_000)
    return f"{whole}.{f'{nano:09d}'.rstrip('0').ljust(2, '0')} {currency}"


def _advice(standing: Standing, now: float) -> str:
    limit = standing.claim.limit
    if _is_too_large(standing):
        return "Make the prompt shorter or max_tokens smaller; waiting does not help."
    if _frees_up(standing):
        return "Try again when one of them is done."
    if standing.room_at is None:
        return "Waiting does not help; ask an administrator for more."
    wait = standing.room_at - now
    if wait <= WAIT_SECONDS_MAX:
        return f"Please try again in {duration(wait)}."
    zone = UTC if limit.window in BUCKET_SECONDS else ZoneInfo(limit.zone)
    at = datetime.fromtimestamp(math.ceil(standing.room_at), zone)
    return f"There is room again at {at.isoformat()} (in {duration(wait)})."
