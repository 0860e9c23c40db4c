"""Counters: what one subject has used and reserved of one measure in one window. Pure.

Counter
├── Budget   a calendar window, or none: used + reserved ≤ amount
├── Slots    concurrency: only what is open counts
└── Rate     second, minute, hour: a token bucket for each amount that is asked for

A counter knows no limit: the amount comes with each question, so a changed one holds at once, and
two limits on the same thing (one of them on trial, say) share a counter that is booked once.
A claim that asks nothing always fits: it cannot make things worse, even where the limit is
overdrawn.

The bucket. Debt is what was taken and has not drained; it drains by `amount` a window, and `amount`
is the most that may be owed at an admission. A reservation is taken when it is made, and drains
from then on like anything else: ten requests a second stay ten a second, however long one runs.
Drained first is what is settled, then the oldest reservation. When a reservation is resolved, what
it has drained counts towards its use: the rest of its use becomes settled debt, the rest of the
reservation returns at once. No order of draining can admit more than a bucket that had known the
use beforehand, since drained reservations that turn out unused only ever delay the rest.
Debt is counted in ticks, a unit being as many ticks as its window has microseconds, so that a
bucket drains `amount` ticks a microsecond: exact integers, whatever the amount.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from gateway.quota.bucket import Bucket
from gateway.quota.window import Span

MICRO = 1_000_000
IDLE_SECONDS = 3600.0
"""A budget that nothing is open on is forgotten after that; the book still knows it."""


class Counter(ABC):
    """`asked`, `used` and `reserved` are in the measure's unit, times in unix seconds."""

    __slots__ = ("gone", "open")

    def __init__(self) -> None:
        self.open = 0
        self.gone = False  # forgotten: a new one has taken, or will take, its place

    @abstractmethod
    def fits(self, amount: int, asked: int, now: float) -> bool: ...

    @abstractmethod
    def room_at(self, amount: int, asked: int, now: float) -> float | None:
        """When `asked` will fit, if nothing else is asked for; None: not by waiting, or unknown."""

    @abstractmethod
    def stands(self, amount: int, now: float) -> tuple[int, int, float | None]:
        """(used, reserved, when it is whole again; None: time does not help)."""

    @abstractmethod
    def hold(self, id: str, asked: int, now: float) -> None: ...

    @abstractmethod
    def resolve(self, id: str, asked: int, used: int, now: float) -> None:
        """Replace what `id` holds (`asked`) by what it used."""

    @abstractmethod
    def forgettable(self, now: float) -> bool:
        """A new counter, loaded as the ledger loads it, would stand as this one does."""


class Budget(Counter):
    """A calendar window's use. A late settlement belongs to the window that it was reserved in.

    `read_at` is the generation of the book in which `used` was read."""

    __slots__ = ("_end", "_touched", "read_at", "reserved", "used")

    def __init__(self, span: Span, used: int, now: float) -> None:
        super().__init__()
        self._end = span.end
        self._touched = now
        self.used = used
        self.reserved = 0
        self.read_at = 0

    def touch(self, now: float) -> None:
        """Somebody wanted to know it."""
        self._touched = now

    def fits(self, amount: int, asked: int, now: float) -> bool:
        self._touched = now
        return asked == 0 or self.used + self.reserved + asked <= amount

    def room_at(self, amount: int, asked: int, now: float) -> float | None:
        return self._end if asked <= amount else None

    def stands(self, amount: int, now: float) -> tuple[int, int, float | None]:
        return self.used, self.reserved, self._end

    def hold(self, id: str, asked: int, now: float) -> None:
        self.reserved += asked
        self.open += 1

    def resolve(self, id: str, asked: int, used: int, now: float) -> None:
        self.reserved -= asked
        self.used += used
        self.open -= 1

    def forgettable(self, now: float) -> bool:
        """Also one whose window is over is still asked about, for what it left unused."""
        return self.open == 0 and now >= self._touched + IDLE_SECONDS


class Slots(Budget):
    """Requests at the same time. Nobody knows when one of them ends."""

    __slots__ = ()

    def __init__(self, now: float) -> None:
        super().__init__(Span(0.0, None), 0, now)

    def resolve(self, id: str, asked: int, used: int, now: float) -> None:
        self.reserved -= asked
        self.open -= 1

    def forgettable(self, now: float) -> bool:
        return self.open == 0


class Rate(Counter):
    """The buckets of one subject, measure and window, by amount. All are booked alike; they differ
    in how fast they drain. A new amount goes on from the bucket whose amount is nearest.

    `used` is what is taken to be owed at first; it and what is held before anybody asks for an
    amount wait in a seed, which does not drain. `absent_is_whole_from` is the time from which a
    missing counter may be taken for a full bucket, so that a full one may be forgotten.

    A request asks some times at one moment, mostly for one amount: all buckets are drained to
    `_drained_at`, and `_last` is the one that was asked for last."""

    __slots__ = ("_absent_is_whole_from", "_buckets", "_drained_at", "_last", "_seed", "_unit")

    def __init__(self, seconds: int, used: int, absent_is_whole_from: float, now: float) -> None:
        super().__init__()
        self._unit = seconds * MICRO
        self._absent_is_whole_from = absent_is_whole_from
        self._seed = self._last = Bucket(1, used * self._unit, _micros(now))
        self._buckets: dict[int, Bucket] = {}
        self._drained_at: float | None = None

    def fits(self, amount: int, asked: int, now: float) -> bool:
        bucket = self._last
        if now != self._drained_at or amount != bucket.amount:
            bucket = self._bucket(amount, now)
        debt = bucket.settled + bucket.held
        return asked == 0 or debt + asked * self._unit <= amount * self._unit

    def room_at(self, amount: int, asked: int, now: float) -> float | None:
        if asked > amount:
            return None
        bucket = self._bucket(amount, now)
        excess = bucket.settled + bucket.held + (asked - amount) * self._unit
        return (bucket.at + _ceil(excess, amount)) / MICRO if excess > 0 else now

    def stands(self, amount: int, now: float) -> tuple[int, int, float | None]:
        """Rounded so that what remains is the largest whole number that fits."""
        bucket = self._last
        if now != self._drained_at or amount != bucket.amount:
            bucket = self._bucket(amount, now)
        bucket.asked_at = bucket.at
        unit, held = self._unit, bucket.held
        debt = bucket.settled + held
        total, reserved = -(-debt // unit), -(-held // unit)
        if reserved > total:
            reserved = total
        whole_at = (bucket.at - (-debt // amount)) / MICRO if amount > 0 else None
        return total - reserved, reserved, whole_at

    def hold(self, id: str, asked: int, now: float) -> None:
        self.open += 1
        if asked <= 0:
            return
        if now != self._drained_at:
            self._drain(now)
        ticks = asked * self._unit
        for bucket in self._buckets.values() or (self._seed,):
            bucket.hold(id, ticks)

    def resolve(self, id: str, asked: int, used: int, now: float) -> None:
        self.open -= 1
        if now != self._drained_at:
            self._drain(now)
        asked, used = asked * self._unit, used * self._unit
        for bucket in self._buckets.values() or (self._seed,):
            bucket.resolve(id, asked, used)

    def forgettable(self, now: float) -> bool:
        if self.open or now < self._absent_is_whole_from:
            return False
        if not self._buckets:  # loaded, and then nobody asked: what was loaded must be over
            return self._seed.at + self._unit <= _micros(now)
        self._drain(now)
        return not any(bucket.settled or bucket.held for bucket in self._buckets.values())

    def _drain(self, now: float) -> int:
        """All buckets to this moment; the moment in microseconds."""
        at = round(now * MICRO)
        for bucket in self._buckets.values():
            bucket.drain(at)
            self._drained_at = now
        return at

    def _bucket(self, amount: int, now: float) -> Bucket:
        at = self._drain(now)
        bucket = self._buckets.get(amount)
        if bucket is None:
            bucket = self._buckets[amount] = self._new_bucket(amount)
            bucket.drain(at)
        self._last = bucket
        bucket.asked_at = at
        if len(self._buckets) > 1:
            self._drop_old_amounts(at)
        return bucket

    def _new_bucket(self, amount: int) -> Bucket:
        if not self._buckets:
            return self._seed.with_amount(amount)
        nearest = min(self._buckets, key=lambda other: abs(other - amount))
        return self._buckets[nearest].with_amount(amount)

    def _drop_old_amounts(self, at: int) -> None:
        """An amount that nobody asked about for a whole window is not in the policy any more."""
        for amount, bucket in list(self._buckets.items()):
            if bucket.asked_at + self._unit < at:
                del self._buckets[amount]


def _micros(now: float) -> int:
    return round(now * MICRO)


def _ceil(value: int, by: int) -> int:
    return -(-value // by)
