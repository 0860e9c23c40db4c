"""What a refused caller is told: one limit and its figures, in plain sentences. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from gateway.quota.ledger import Standing
from gateway.quota.limit import Level, Limit, Measure, Window
from gateway.quota.window import BUCKET_SECONDS

WAIT_SECONDS_MAX = 60.0
"""A client may wait so long by itself; openai-python ignores longer waits and retries at once."""

_FIELDS = {
    Level.ORGANIZATION: "organization",
    Level.PROJECT: "project",
    Level.KEY: "key_id",
    Level.END_USER: "end_user",
}


def told(standing: Standing, now: float, currency: str, reserved_output: int | None) -> str:
    """Why the request was refused, with all figures, and what to do about it.

    `reserved_output` is how much output it wanted to reserve, in tokens, where less may fit."""
    if reserved_output is None:
        advice = _advice(standing, now)
    else:
        advice = f"{_when(standing, now)} {_smaller(reserved_output)}"
    return f"{_opening(standing)}: {_figures(standing, currency)}. {advice}"


def is_concurrency(standing: Standing) -> bool:
    return standing.claim.limit.measure is Measure.CONCURRENCY


def frees_up(standing: Standing) -> bool:
    """There is room when one of the requests in work is done: clients back off by themselves."""
    return is_concurrency(standing) and standing.amount > 0


def is_rate(limit: Limit) -> bool:
    return limit.window in BUCKET_SECONDS or limit.measure is Measure.CONCURRENCY


def is_prepaid(limit: Limit) -> bool:
    return limit.window is Window.NONE and limit.measure is not Measure.CONCURRENCY


def is_too_large(standing: Standing) -> bool:
    """Not a limit of 0: that is a budget of nothing, not a request that could be smaller. Nor a
    prepaid one: its amount is what was paid, and can become more."""
    return standing.asked > standing.amount > 0 and not is_prepaid(standing.claim.limit)


def duration(seconds: float) -> str:
    """As OpenAI writes resets: `12ms`, `1s`, `6m0s`, `1h2m3s`; rounded up."""
    milliseconds = whole_milliseconds(seconds) if seconds > 0 else 0
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    whole = -(-milliseconds // 1000)
    minutes, seconds_left = whole // 60, whole % 60
    hours, minutes_left = minutes // 60, minutes % 60
    if hours:
        return f"{hours}h{minutes_left}m{seconds_left}s"
    return f"{minutes}m{seconds_left}s" if minutes else f"{seconds_left}s"


def whole_milliseconds(seconds: float) -> int:
    """Rounded up from the microsecond, so that a float's noise is not a millisecond more."""
    return -(-round(seconds * 1_000_000) // 1000)


def _opening(standing: Standing) -> str:
    limit = standing.claim.limit
    name = f"limit {limit.name} ({_whom(standing)}) on {_what(limit)}"
    if is_too_large(standing):
        return f"Request too large for {name}"
    if is_concurrency(standing):
        return f"Too many requests at the same time for {name}"
    if is_rate(limit):
        return f"Rate limit reached for {name}"
    if is_prepaid(limit):
        is_left = "too small for this request" if standing.remaining else "used up"
        return f"The prepaid balance is {is_left}, {name}"
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
    pairs = [("Limit", standing.amount)]
    if not is_too_large(standing):
        pairs += [("Used", standing.used), ("Reserved", standing.reserved)]
    pairs.append(("Requested", standing.asked))
    measure = standing.claim.limit.measure
    return ", ".join(f"{name} {_amount(value, measure, currency)}" for name, value in pairs)


def _amount(value: int, measure: Measure, currency: str) -> str:
    if measure is not Measure.MONEY:
        return str(value)
    whole, nano = divmod(value, 1_000_000_000)
    return f"{whole}.{f'{nano:09d}'.rstrip('0').ljust(2, '0')} {currency}"


def _advice(standing: Standing, now: float) -> str:
    if is_too_large(standing):
        smaller = "" if standing.claim.limit.clamp else " or max_tokens smaller"
        return f"Make the prompt shorter{smaller}; waiting does not help."
    if standing.room_at is None and not frees_up(standing):
        ask = "to top it up" if is_prepaid(standing.claim.limit) else "for more"
        return f"Waiting does not help; ask an administrator {ask}."
    return _when(standing, now)


def _when(standing: Standing, now: float) -> str:
    if frees_up(standing):
        return "Try again when one of them is done."
    if standing.room_at is None:
        return "Waiting does not help."
    wait = standing.room_at - now
    if wait <= WAIT_SECONDS_MAX:
        return f"Please try again in {duration(wait)}."
    limit = standing.claim.limit
    zone = UTC if limit.window in BUCKET_SECONDS else ZoneInfo(limit.zone)
    at = datetime.fromtimestamp(math.ceil(standing.room_at), zone)
    return f"There is room again at {at.isoformat()} (in {duration(wait)})."


def _smaller(reserved_output: int) -> str:
    return (
        f"{reserved_output} output tokens were to be reserved, by the request's cap or the model's "
        "default; a smaller max_tokens or, in the policy, `clamp: true` for this limit may make it "
        "fit."
    )
