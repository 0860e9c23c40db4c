"""Claims and reservations as the scripts want them, and standings from what they answer. Pure.

Amounts and times (microseconds) are decimal strings there: what reads JSON in Lua knows doubles
only. A counter's key says all of its identity, so that it can be read back.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote

from gateway.backends.redis_keys import key_of
from gateway.backends.tables import micros, seconds
from gateway.quota.ledger import Claim, Standing, Subject
from gateway.quota.limit import ORDER, Amounts, Limit, Measure, Window
from gateway.quota.window import BUCKET_SECONDS, Span, before, span_of

_ALWAYS = Span(0.0, None)
MICRO = 1_000_000
_BY_MEASURE = "{" + ",".join(f'"{measure.value}":"%d"' for measure in ORDER) + "}"


class Place(NamedTuple):
    """Which counter a claim is about: its identity, whatever the limit's name or amount."""

    subject: Subject
    measure: Measure
    window: Window
    span: Span

    @property
    def kind(self) -> str:
        if self.measure is Measure.CONCURRENCY:
            return "slots"
        return "rate" if self.window in BUCKET_SECONDS else "budget"

    @property
    def unit(self) -> int:
        """Ticks of a bucket's unit; of other counters 0."""
        return BUCKET_SECONDS.get(self.window, 0) * MICRO if self.kind == "rate" else 0

    @property
    def since(self) -> str:
        return str(micros(self.span.start))

    @property
    def until(self) -> str | None:
        return None if self.span.end is None else str(micros(self.span.end))

    def key(self, organization: str) -> str:
        whom = "&".join(_lines(self.subject))
        parts = (self.measure, self.window, self.since, self.until or "", whom)
        return key_of(organization, "c", *parts)


def place_of_key(key: str) -> Place:
    *_, measure, window, since, until, whom = key.split(":")
    pairs = (pair.split("=") for pair in whom.split("&"))
    subject = tuple((name, unquote(value)) for name, value in pairs)
    span = Span(seconds(int(since)), seconds(int(until)) if until else None)
    return Place(subject, Measure(measure), Window(window), span)


def place_of(claim: Claim, now: float) -> Place:
    limit = claim.limit
    if limit.measure is Measure.CONCURRENCY:
        return Place(claim.subject, limit.measure, Window.NONE, _ALWAYS)
    if limit.window in BUCKET_SECONDS:
        return Place(claim.subject, limit.measure, limit.window, _ALWAYS)
    span = span_of(limit.window, limit.zone, now, *_year(limit))
    return Place(claim.subject, limit.measure, limit.window, span)


def place_before(claim: Claim, place: Place) -> Place | None:
    """Where something is carried over from."""
    limit = claim.limit
    if limit.rollover <= 0 or place.kind != "budget" or limit.window is Window.NONE:
        return None
    return place._replace(span=before(limit.window, limit.zone, place.span, *_year(limit)))


def by_measure(amounts: Amounts) -> dict[str, str]:
    return {measure.value: str(amounts.of(measure)) for measure in Measure}


def text_by_measure(amounts: Amounts) -> str:
    """`by_measure` as JSON: in one step, as each request needs it twice."""
    return _BY_MEASURE % amounts.in_order()


@lru_cache(4096)  # of a key, the same with each request
def whose_lines(whose: Subject) -> str:
    """Each pair a line of its own, whatever its value holds: to be searched for `lines_of`."""
    return "\n" + "".join(f"{line}\n" for line in _lines(whose))


def lines_of(subject: Subject) -> list[str]:
    return [f"\n{line}\n" for line in _lines(subject)]


def budget_standing(
    claim: Claim, end: float | None, state: Sequence[str], asked: int, held: bool
) -> Standing:
    """`state` is what a script tells of the counter. `held`: it holds already what was asked."""
    used, reserved, carried = map(int, state)
    amount = claim.limit.amount + carried
    asked_before = 0 if held else asked
    refused = asked > 0 and used + reserved + asked_before > amount
    room_at = end if refused and asked <= amount else None
    return Standing(claim, amount, used, reserved, asked, refused, end, room_at)


def rate_standing(
    claim: Claim, unit: int, state: Sequence[str], asked: int, held: bool
) -> Standing:
    """The same of a bucket. Rounded so that what remains is the largest whole number that fits, as
    counter.Rate does."""
    settled, held_ticks, at = map(int, state)
    amount = claim.limit.amount
    debt = settled + held_ticks
    excess = debt + (0 if held else asked * unit) - amount * unit
    refused = asked > 0 and excess > 0
    total = _ceil(debt, unit)
    reserved = min(total, _ceil(held_ticks, unit))
    whole_at = (at + _ceil(debt, amount)) / MICRO if amount > 0 else None
    room_at = (at + _ceil(excess, amount)) / MICRO if refused and asked <= amount else None
    return Standing(claim, amount, total - reserved, reserved, asked, refused, whole_at, room_at)


def _lines(subject: Subject) -> list[str]:
    return [f"{name}={quote(value, safe='')}" for name, value in subject]


def _year(limit: Limit) -> tuple[int, int]:
    return limit.month_starts_on, limit.year_starts_in


def _ceil(value: int, by: int) -> int:
    return -(-value // by)
