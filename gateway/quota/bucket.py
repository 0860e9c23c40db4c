"""The token bucket behind a rate (counter.py, which says why it drains as it does). Pure."""

from __future__ import annotations


class Bucket:
    """Debt (`settled` + `held`) in ticks at a time in microseconds; counter.py says how
    it drains.

    An amount of 0 never drains and admits nothing, so it remembers only what is open."""

    __slots__ = ("_holds", "amount", "asked_at", "at", "held", "settled")

    def __init__(self, amount: int, settled: int, at: int) -> None:
        self.amount = amount
        self.at = at
        self.asked_at = at
        self.held = 0
        self.settled = settled if amount > 0 else 0
        self._holds: dict[str, int] = {}  # by age; only those that are not drained

    def with_amount(self, amount: int) -> Bucket:
        other = Bucket(amount, self.settled, self.at)
        other.held = self.held
        other._holds = dict(self._holds)
        return other

    def drain(self, at: int) -> None:
        """Time never runs backwards here: an earlier `at` changes nothing."""
        if at <= self.at:
            return
        ticks = (at - self.at) * self.amount
        self.at = at
        if ticks < self.settled:
            self.settled -= ticks
            return
        ticks -= self.settled
        self.settled = 0
        if ticks >= self.held:
            if self.held:
                self.held = 0
                self._holds.clear()
            return
        self.held -= ticks
        while ticks > 0:
            oldest = next(iter(self._holds))
            left = self._holds[oldest] - ticks
            if left > 0:
                self._holds[oldest] = left
                return
            del self._holds[oldest]
            ticks = -left

    def hold(self, id: str, ticks: int) -> None:
        """`ticks` above 0."""
        self._holds[id] = ticks
        self.held += ticks

    def resolve(self, id: str, asked: int, used: int) -> None:
        left = self._holds.pop(id, 0)
        self.held -= left
        if self.amount > 0:
            self.settled += max(0, used - (asked - left))
