"""The port Ledger: who may still use how much.

Modelled on two-phase transfers (TigerBeetle's pending → post | void | expire): a reservation takes
every claim of a request in one atomic step or none, and is resolved exactly once.

    reserve ──granted──▶ open ──settle──▶ settled   (used replaces reserved, the record is appended)
       │                  ├────release──▶ released  (nothing was used; the record is appended)
    refused               └──expires──▶ abandoned   (sweep: booked at its bound)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.quota.limit import NOTHING, Amounts, Limit

Subject = tuple[tuple[str, str], ...]
"""Whom a counter counts, as (field of a usage entry, value) pairs in the order organization,
project, key_id, end_user, model; only those that the limit looks at."""


class Record(Protocol):
    """What is posted to the journal when a reservation is resolved; opaque to the ledger."""

    @property
    def id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Claim:
    """One limit, for one subject."""

    limit: Limit
    subject: Subject


@dataclass(frozen=True, slots=True)
class Reservation:
    """All claims of one request, its upper bound, and the record to post should nobody come back.

    `expires_at` is unix seconds; after it, `sweep` books the bound."""

    id: str
    claims: tuple[Claim, ...]
    bound: Amounts
    record: Record
    expires_at: float


@dataclass(frozen=True, slots=True)
class Standing:
    """How one claim stands after a verdict, in the measure's unit.

    `asked` is what the request wanted to reserve; a claim that asks nothing is never refused.
    Of a bucket, `used` and `reserved` are what has not drained yet. `resets_at` (unix seconds) is
    when the limit is whole again: a bucket full, a calendar window over; None where time does not
    help. `room_at` is when the refused request would fit, None if not by waiting (more than the
    limit, prepaid) or if nobody knows (concurrency); None also where it was not refused."""

    claim: Claim
    used: int
    reserved: int
    asked: int
    refused: bool
    resets_at: float | None
    room_at: float | None = None

    @property
    def remaining(self) -> int:
        return max(0, self.claim.limit.amount - self.used - self.reserved)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`standings` are in the order of the claims. A claim in observe mode may be `refused`
    (it would have been) while the verdict is granted."""

    granted: bool
    standings: tuple[Standing, ...]


class AlreadyResolved(Exception):
    """The reservation was settled, released or abandoned before, or never existed."""


class Book(Protocol):
    """The journal, as the ledger sees it: where records go, and what counters are rebuilt from.

    A record's time must be the `now` with which its request was reserved: that is the window that
    the ledger books it into, also when it is settled in a later one."""

    def append(self, record: Record) -> None:
        """Take the record; never raises."""
        ...

    async def spent(self, subject: Subject, since: float) -> Amounts:
        """Σ of all records of the subject with time ≥ since, those not yet written included.

        Raises `errors.Unavailable` where the book cannot be read."""
        ...


class Ledger(Protocol):
    """Raises `errors.Unavailable` (code ledger_unavailable) where the store cannot be reached.

    `now` is unix seconds; a ledger with a clock of its own (Redis) may use that instead."""

    async def reserve(self, reservation: Reservation, now: float) -> Verdict:
        """All claims, or none. Counters that are not known yet are rebuilt from the book first."""
        ...

    async def settle(self, id: str, used: Amounts, record: Record, now: float) -> None:
        """Move reserved to used and append the record, in one step. Raises AlreadyResolved."""
        ...

    async def release(self, id: str, record: Record, now: float) -> None:
        """Give everything back and append the record, in one step. Raises AlreadyResolved."""
        ...

    async def sweep(self, now: float) -> int:
        """Book expired reservations at their bound; how many there were."""
        ...

    async def standings(
        self, claims: Sequence[Claim], now: float, asked: Amounts = NOTHING
    ) -> tuple[Standing, ...]:
        """How the claims stand, and would do so for a request of this size; reserves nothing."""
        ...
