"""What entries should have cost by the prices of their time, and the corrections that say so. Pure.

An entry is never changed. Its true cost is its own and that of all corrections that name it, and a
correction lies in all the same groups as its original, so that sums over anything stay right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gateway.usage.entry import Entry, Outcome, Price, Source, Tokens


@dataclass(frozen=True, slots=True)
class Booked:
    """An entry, the sum of its corrections so far, and how many there are."""

    entry: Entry
    corrected_nano: int = 0
    corrections: int = 0

    @property
    def cost_nano(self) -> int:
        return self.entry.cost_nano + self.corrected_nano


Prices = Callable[[Entry], Price | str]
"""The price in force at the time of an entry, or in words why it is left as it is."""


@dataclass(frozen=True, slots=True)
class Sum:
    """Entries of one model and month (UTC), as 2026-11. `left` says why they are left as they
    are; then `new_nano` is `old_nano`. `changed` counts the entries whose cost is another."""

    model: str
    month: str
    currency: str
    left: str = ""
    entries: int = 0
    changed: int = 0
    old_nano: int = 0
    new_nano: int = 0


def new_cost(entry: Entry, price: Price) -> int:
    """What the entry costs by this price; one that was booked at its bound, what that costs."""
    if entry.outcome is Outcome.ABANDONED:
        return price.bound_nano(entry.tokens.input, entry.tokens.output)
    return price.cost_nano(entry.tokens)


def correction(booked: Booked, price: Price, policy_digest: str, by: str) -> Entry | None:
    """The entry that makes the true cost right; None where it is.

    Its id comes of the original's id, of how often that was corrected before, and of the new
    cost: the same correction is in the book once, however often it is posted."""
    entry, cost = booked.entry, new_cost(booked.entry, price)
    if cost == booked.cost_nano:
        return None
    seed = "\0".join((entry.id, str(booked.corrections), str(cost)))
    return replace(
        entry,
        id="cor_" + hashlib.sha256(seed.encode()).hexdigest()[:32],
        outcome=Outcome.CORRECTION,
        code=f"repriced by {by}",
        requests=0,
        tokens=Tokens(),
        source=Source.NONE,
        cost_nano=cost - booked.cost_nano,
        duration_ms=0,
        first_token_ms=None,
        redactions={},
        policy_digest=policy_digest,
        corrects=entry.id,
    )


class Tally:
    """Sums by model, month, currency and why some are left."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str, str, str], Sum] = {}

    def add(self, some: Iterable[Booked], prices: Prices) -> None:
        for booked in some:
            price = prices(booked.entry)
            old = booked.cost_nano
            new = old if isinstance(price, str) else new_cost(booked.entry, price)
            self._add(booked.entry, price if isinstance(price, str) else "", old, new)

    def _add(self, entry: Entry, left: str, old: int, new: int) -> None:
        month = f"{datetime.fromtimestamp(entry.time, UTC):%Y-%m}"
        whose = (entry.model, month, entry.currency, left)
        before = self._sums.get(whose, Sum(*whose))
        self._sums[whose] = replace(
            before,
            entries=before.entries + 1,
            changed=before.changed + (old != new),
            old_nano=before.old_nano + old,
            new_nano=before.new_nano + new,
        )

    def sums(self) -> list[Sum]:
        """In the order of model and month."""
        return [self._sums[whose] for whose in sorted(self._sums)]
