"""Where the claims of a request are counted: looked up once, and kept while they stay the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from gateway.quota.counter import MICRO, Budget, Counter
from gateway.quota.ledger import Claim, Subject
from gateway.quota.limit import ORDER, Limit, Measure, Window
from gateway.quota.window import BUCKET_SECONDS, Span, span_of

_ALWAYS = Span(0.0, None)
_JUST_BEFORE_SECONDS = 0.001


def whole_micros(now: float) -> float:
    """Times are whole microseconds, and those of the book: else one could lie in two windows.
    (`round` to six digits writes and reads the number, five times as slow.)"""
    return round(now * MICRO) / MICRO


class Place(NamedTuple):
    """Which counter a claim is about: its identity, whatever the limit's name or amount."""

    subject: Subject
    measure: Measure
    window: Window
    span: Span

    @property
    def is_calendar(self) -> bool:
        return self.window not in BUCKET_SECONDS and self.measure is not Measure.CONCURRENCY


class Places:
    """Which counter a claim is about at a moment; calendar windows are kept until they are over."""

    def __init__(self) -> None:
        self._spans: dict[tuple[Window, str, int, int], tuple[Span, Span]] = {}

    def of(self, claim: Claim, now: float) -> Place:
        limit = claim.limit
        if limit.measure is Measure.CONCURRENCY:
            return Place(claim.subject, limit.measure, Window.NONE, _ALWAYS)
        if limit.window in BUCKET_SECONDS:
            return Place(claim.subject, limit.measure, limit.window, _ALWAYS)
        return Place(claim.subject, limit.measure, limit.window, self._spans_of(limit, now)[0])

    def before(self, claim: Claim, now: float) -> Place | None:
        limit = claim.limit
        if limit.rollover <= 0 or limit.window is Window.NONE:
            return None
        place = self.of(claim, now)
        return place._replace(span=self._spans_of(limit, now)[1]) if place.is_calendar else None

    def _spans_of(self, limit: Limit, now: float) -> tuple[Span, Span]:
        """The limit's calendar window, and the one before it."""
        year = (limit.month_starts_on, limit.year_starts_in)
        rule = (limit.window, limit.zone, *year)
        spans = self._spans.get(rule)
        if spans is None or not spans[0].holds(now):
            span = span_of(limit.window, limit.zone, now, *year)
            just_before = span.start - _JUST_BEFORE_SECONDS
            spans = span, span_of(limit.window, limit.zone, just_before, *year)
            self._spans[rule] = spans
        return spans


class Seat(NamedTuple):
    """Where a claim is counted, its measure's place in ORDER, and the counter of the last window
    where some of that is carried over into this one."""

    claim: Claim
    counter: Counter
    before: Budget | None
    at: int

    @property
    def amount(self) -> int:
        """What may be used in all, as it is when this is asked."""
        limit = self.claim.limit
        if self.before is None:
            return limit.amount
        left = limit.amount - self.before.used - self.before.reserved
        return limit.amount + min(limit.rollover, max(0, left))


Row = tuple[Claim, Counter, int, int]
"""A seat as a request needs it: its claim, its counter, its measure's place in ORDER, and what
may be used in all."""


def seat_of(claim: Claim, counter: Counter, before: Budget | None) -> Seat:
    return Seat(claim, counter, before, ORDER[claim.limit.measure])


class Others(NamedTuple):
    """Counters that a request counts for beside those that it is asked about, with their windows
    and their measures' places in ORDER. Found for these fields of a request, when there had been so
    many changes of counters."""

    whose: Subject
    changes: int
    found: Sequence[tuple[Span, Counter, int]]


class Seated:
    """The seats of all claims of a request. `claims` are held, so that no others can have their
    identity; `booked` are their counters, each once, with its measure's place in ORDER, and
    `befores` those of last windows. `others` are kept as they were last found."""

    __slots__ = (
        "_changes", "_ends", "_generation", "_rows", "_seats", "_starts", "befores", "booked",
        "claims", "counters", "others",
    )  # fmt: skip

    def __init__(
        self, claims: Sequence[Claim], seats: list[Seat], spans: Sequence[Span], generation: int
    ) -> None:
        self.claims, self._seats = claims, seats
        self.booked = tuple({seat.counter: seat.at for seat in seats}.items())
        self.counters = frozenset([seat.counter for seat in seats])
        self.befores = tuple([seat.before for seat in seats if seat.before is not None])
        self.others: Others | None = None
        self._rows = self._made_rows()
        self._starts = max((span.start for span in spans), default=0.0)
        self._ends = min((s.end for s in spans if s.end is not None), default=math.inf)
        self._generation = generation
        self._changes = -1  # of counters, when all of these were last seen to be there

    def rows(self) -> Sequence[Row]:
        """In the order of the claims. Only what is carried over can change an amount."""
        return self._made_rows() if self.befores else self._rows

    def _made_rows(self) -> Sequence[Row]:
        return [(seat.claim, seat.counter, seat.at, seat.amount) for seat in self._seats]

    def holds(self, now: float, generation: int, changes: int) -> bool:
        """Whether they would be the same ones. `changes`: of counters, so far; until one more comes
        or goes none of these does. Budgets of the last window are asked about anew."""
        if generation != self._generation or not self._starts <= now < self._ends:
            return False
        if changes != self._changes:
            if any(counter.gone for counter in (*self.counters, *self.befores)):
                return False
            self._changes = changes
        for before in self.befores:
            before.touch(now)
        return True
