"""The port Ledger: who may still use how much.

Modelled on two-phase transfers (TigerBeetle's pending → post | void | expire): a reservation takes
every claim of a request in one atomic step or none, and is resolved exactly once.

    reserve ──granted──▶ open ──settle──▶ settled   (used replaces reserved, the record is appended)
       │                  ├────release──▶ released  (nothing was used; the record is appended)
    refused               └──expires──▶ abandoned   (sweep: booked at its bound)

A granted reservation is durable: it outlives this process, and is booked at its bound should nobody
come back for it. docs/internals/ledger.md says when, and where.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

from gateway.quota.limit import NOTHING, Amounts, Limit, Measure, Window

Subject = tuple[tuple[str, str], ...]
"""Whom a counter counts, as (field of a usage entry, value) pairs in the order organization,
project, key_id, end_user, model; only those that the limit looks at."""


@lru_cache(4096)  # each request asks for the same few ten times
def home_of(subject: Subject) -> tuple[str, str]:
    """Its organization and project, "" where it has none: they come first, if at all."""
    organization = subject[0][1] if subject and subject[0][0] == "organization" else ""
    project = subject[1][1] if len(subject) > 1 and subject[1][0] == "project" else ""
    return organization, project


class Record(Protocol):
    """What is posted to the journal when a reservation is resolved. `time` is unix seconds."""

    @property
    def id(self) -> str: ...

    @property
    def time(self) -> float: ...


class Claim(NamedTuple):
    """One limit, for one subject."""

    limit: Limit
    subject: Subject


class Reservation(NamedTuple):
    """All claims of one request, its upper bound, and the record to post should nobody come back.

    `whose` is all five fields of a Subject, of this request: a counter that is made while the
    reservation is open, for a limit that is new, holds it too. `expires_at` is unix seconds; after
    it, `sweep` books the bound."""

    id: str
    claims: tuple[Claim, ...]
    whose: Subject
    bound: Amounts
    record: Record
    expires_at: float


class Standing(NamedTuple):
    """How one claim stands after a verdict, in the measure's unit.

    `amount` is what may be used in all: the limit's own, and what was carried over into this
    window. `asked` is what the request wanted to reserve; a claim that asks nothing is never
    refused. Of a bucket, `used` and `reserved` are what has not drained yet. `resets_at` (unix
    seconds) is when the limit is whole again: a bucket full, a calendar window over; None where
    time does not help. `room_at` is when the refused request would fit, None if not by waiting
    (more than the limit, prepaid) or if nobody knows (concurrency); None also where it was not
    refused."""

    claim: Claim
    amount: int
    used: int
    reserved: int
    asked: int
    refused: bool
    resets_at: float | None
    room_at: float | None = None

    @property
    def remaining(self) -> int:
        return max(0, self.amount - self.used - self.reserved)


class Verdict(NamedTuple):
    """`standings` are in the order of the claims. A claim that is not in mode enforce may be
    `refused` (it would have been) while the verdict is granted.

    `generation` is that of keys and grants when the verdict was made: who knows an older one must
    read them again before anything is sent. `now` is the time that it was booked at, unix seconds;
    the record's time must be that."""

    granted: bool
    standings: tuple[Standing, ...]
    generation: int
    now: float


@dataclass(frozen=True, slots=True)
class CounterState:
    """A calendar counter as it is, to be held against the book. `since` and `until` are its window
    (unix seconds, None: no end)."""

    subject: Subject
    measure: Measure
    window: Window
    since: float
    until: float | None
    used: int
    reserved: int


class AlreadyResolved(Exception):
    """The reservation was settled, released or abandoned before, or never existed."""


class Generations(NamedTuple):
    """`access` grows whenever a key or a grant changes, `book` whenever entries were posted by
    somebody else than the ledger (a correction): then counters are read again."""

    access: int = 0
    book: int = 0


class Book(Protocol):
    """The journal, as the ledger sees it: where records go, and what counters are rebuilt from.

    A record's time must be the `now` with which its request was reserved: that is the window that
    the ledger books it into, also when it is settled in a later one."""

    async def hold(self, reservation: Reservation) -> Generations:
        """Return when the reservation is durable: from then on its record is posted, whatever
        happens to this process, unless `append` or `forget` says otherwise first.

        Raises `errors.Unavailable` where that cannot be said; then it is held by nobody. If it is
        cancelled, the reservation is held by nobody either."""
        ...

    def append(self, record: Record) -> None:
        """Take the record, which takes the place of what is held under its id, in one step; never
        raises."""
        ...

    def forget(self, id: str) -> None:
        """What is held under the id is to leave no trace; never raises."""
        ...

    async def generations(self) -> Generations:
        """As they are now. Raises `errors.Unavailable`."""
        ...

    async def spent(self, subject: Subject, since: float, until: float | None = None) -> Amounts:
        """Σ of all records of the subject with since ≤ time < until, those not yet written
        included.

        Raises `errors.Unavailable` where the book cannot be read."""
        ...


Standings = Callable[[], tuple[Standing, ...]]
"""How claims stand, worked out when it is asked for: of most requests nobody does."""


class Ledger(Protocol):
    """Raises `errors.Unavailable` (code ledger_unavailable) where the store cannot be reached.

    `now` is unix seconds; a ledger with a clock of its own (Redis) may use that instead.
    `settles_at_once`: its settle and release await nothing."""

    @property
    def settles_at_once(self) -> bool: ...

    async def reserve(self, reservation: Reservation, now: float) -> Verdict:
        """All claims, or none. Counters that are not known yet are rebuilt from the book first.

        When it returns granted, the reservation is durable. When it is cancelled or raises, nothing
        is reserved."""
        ...

    async def settle(
        self, reservation: Reservation, used: Amounts, record: Record, now: float
    ) -> Standings:
        """Move reserved to used and append the record, in one step; how the claims stand then, or
        when it is asked for.

        Raises AlreadyResolved. A store that cannot be reached is no error here, and the answer is
        empty then: the record is kept and booked as soon as it can be."""
        ...

    async def release(
        self, reservation: Reservation, record: Record | None, now: float
    ) -> Standings:
        """Give everything back and append the record (None: no record), in one step. Answer and
        errors as of settle."""
        ...

    def owe(self, reservation: Reservation, used: Amounts, record: Record, now: float) -> None:
        """Take what was used without a reservation, while the ledger could not be asked: it is
        booked, with its record, as soon as it can be, into the windows of the record's time. Never
        raises."""
        ...

    async def sweep(self, now: float) -> int:
        """Book expired reservations at their bound; how many there were."""
        ...

    async def look(self, claims: Sequence[Claim], now: float, asked: Amounts = NOTHING) -> Verdict:
        """What `reserve` would say to a request of this size; reserves nothing."""
        ...

    async def has_room(self, claims: Sequence[Claim], now: float, asked: Amounts) -> bool:
        """Whether `look` would say granted, for those who need no more: most do not."""
        ...

    async def generation(self) -> int:
        """Of keys and grants, as it is now: `Generations.access`."""
        ...

    async def counters(self) -> Sequence[CounterState]:
        """Every calendar counter that there is, as it is now."""
        ...

    def owed(self) -> int:
        """Records that wait for the store to come back."""
        ...
