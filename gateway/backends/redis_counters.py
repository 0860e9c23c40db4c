"""Claims and reservations as the scripts want them, and standings from what they answer. Pure.

Amounts and times (microseconds) are decimal strings there: what reads JSON in Lua knows doubles
only. A counter's key says all of its identity, so that it can be read back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from gateway.backends.redis_keys import key_of
from gateway.backends.tables import micros, seconds
from gateway.quota.ledger import Claim, Standing, Subject
from gateway.quota.limit import Amounts, Limit, Measure, Mode, Window
from gateway.quota.window import BUCKET_SECONDS, Span, before, span_of

_ALWAYS = Span(0.0, None)
MICRO = 1_000_000


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


def question(organization: str, claims: Sequence[Claim], asked: Amounts, now: float) -> Any:
    """What reserve.lua and look.lua want to know of claims, and the places by their keys (each with
    the amount of the first claim on it)."""
    lines: list[dict[str, Any]] = []
    places: dict[str, tuple[Place, int]] = {}
    since, until = 0.0, None
    for claim in claims:
        place = place_of(claim, now)
        last = place_before(claim, place)
        since = max(since, place.span.start)
        if place.span.end is not None:
            until = place.span.end if until is None else min(until, place.span.end)
        for one in filter(None, (place, last)):
            places.setdefault(one.key(organization), (one, claim.limit.amount))
        line = {
            "key": place.key(organization),
            "kind": place.kind,
            "measure": place.measure,
            "amount": str(claim.limit.amount),
            "asked": str(asked.of(place.measure)),
            "unit": str(place.unit),
            "enforced": claim.limit.mode is Mode.ENFORCE,
        }
        if last is not None:
            line |= {"previous": last.key(organization), "rollover": str(claim.limit.rollover)}
        lines.append(line)
    request = {"claims": lines, "since": str(micros(since))}
    if until is not None:
        request["until"] = str(micros(until))
    return request, places


def by_measure(amounts: Amounts) -> dict[str, str]:
    return {measure.value: str(amounts.of(measure)) for measure in Measure}


def whose_lines(whose: Subject) -> str:
    """Each pair a line of its own, whatever its value holds: to be searched for `lines_of`."""
    return "\n" + "".join(f"{line}\n" for line in _lines(whose))


def lines_of(subject: Subject) -> list[str]:
    return [f"\n{line}\n" for line in _lines(subject)]


def standings_of(
    claims: Sequence[Claim], answer: Any, asked: Amounts, held: bool
) -> tuple[Standing, ...]:
    """None where the answer has no states. `held`: these hold already what was asked."""
    if not answer.get("states"):
        return ()
    return tuple(
        _STANDINGS[place.kind](claim, place, state, asked.of(place.measure), held)
        for claim, state, place in zip(
            claims, answer["states"], map(place_of_key, answer["keys"]), strict=True
        )
    )


def _budget_standing(
    claim: Claim, place: Place, state: Sequence[str], asked: int, held: bool
) -> Standing:
    used, reserved, carried = map(int, state)
    amount = claim.limit.amount + carried
    asked_before = 0 if held else asked
    refused = asked > 0 and used + reserved + asked_before > amount
    end = place.span.end
    room_at = end if refused and asked <= amount else None
    return Standing(claim, amount, used, reserved, asked, refused, end, room_at)


def _rate_standing(
    claim: Claim, place: Place, state: Sequence[str], asked: int, held: bool
) -> Standing:
    """Rounded so that what remains is the largest whole number that fits, as counter.Rate does."""
    settled, held_ticks, at = map(int, state)
    amount, unit = claim.limit.amount, place.unit
    debt = settled + held_ticks
    excess = debt + (0 if held else asked * unit) - amount * unit
    refused = asked > 0 and excess > 0
    total = _ceil(debt, unit)
    reserved = min(total, _ceil(held_ticks, unit))
    whole_at = (at + _ceil(debt, amount)) / MICRO if amount > 0 else None
    room_at = (at + _ceil(excess, amount)) / MICRO if refused and asked <= amount else None
    return Standing(claim, amount, total - reserved, reserved, asked, refused, whole_at, room_at)


_STANDINGS = {"budget": _budget_standing, "slots": _budget_standing, "rate": _rate_standing}


def _lines(subject: Subject) -> list[str]:
    return [f"{name}={quote(value, safe='')}" for name, value in subject]


def _year(limit: Limit) -> tuple[int, int]:
    return limit.month_starts_on, limit.year_starts_in


def _ceil(value: int, by: int) -> int:
    return -(-value // by)
