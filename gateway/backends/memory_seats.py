"""Where the claims of a request are counted: looked up once, and kept while they stay the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from gateway.quota.counter import Budget, Counter
from gateway.quota.ledger import Claim, Subject
from gateway.quota.limit import ORDER, Measure, Mode, Window
from gateway.quota.window import BUCKET_SECONDS, Span


class Place(NamedTuple):
    """Which counter a claim is about: its identity, whatever the limit's name or amount."""

    subject: Subject
    measure: Measure
    window: Window
    span: Span

    @property
    def is_calendar(self) -> bool:
        return self.window not in BUCKET_SECONDS and self.measure is not Measure.CONCURRENCY


class Seat(NamedTuple):
    """Where a claim is counted, its measure's place in ORDER, and the counter of the last window
    where some of that is carried over into this one."""

    claim: Claim
    counter: Counter
    before: Budget | None
    at: int
    is_enforced: bool

    @property
    def amount(self) -> int:
        """What may be used in all, as it is when this is asked."""
        limit = self.claim.limit
        if self.before is None:
            return limit.amount
        left = limit.amount - self.before.used - self.before.reserved
        return limit.amount + min(limit.rollover, max(0, left))


def seat_of(claim: Claim, counter: Counter, before: Budget | None) -> Seat:
    limit = claim.limit
    return Seat(claim, counter, before, ORDER[limit.measure], limit.mode is Mode.ENFORCE)


class Seated:
    """The seats of all claims of a request. `claims` are held, so that no others can have their
    identity; `booked` are their counters, each once, with its measure's place in ORDER, and
    `befores` those of last windows."""

    __slots__ = (
        "_ends", "_generation", "_starts", "befores", "booked", "claims", "counters", "seats",
    )  # fmt: skip

    def __init__(
        self, claims: Sequence[Claim], seats: list[Seat], spans: Sequence[Span], generation: int
    ) -> None:
        self.claims, self.seats = claims, seats
        self.booked = tuple({seat.counter: seat.at for seat in seats}.items())
        self.counters = frozenset([seat.counter for seat in seats])
        self.befores = tuple([seat.before for seat in seats if seat.before is not None])
        self._starts = max((span.start for span in spans), default=0.0)
        self._ends = min((s.end for s in spans if s.end is not None), default=math.inf)
        self._generation = generation

    def holds(self, now: float, generation: int) -> bool:
        """Whether they would be the same ones. Budgets of the last window are asked about anew."""
        if generation != self._generation or not self._starts <= now < self._ends:
            return False
        for counter, _ in self.booked:
            if counter.gone:
                return False
        for before in self.befores:
            if before.gone:
                return False
            before.touch(now)
        return True
