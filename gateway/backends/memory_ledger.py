"""The Ledger in this process' memory: exact for one process, rebuilt from the book at a start.

No lock: a verb first awaits what it must read from the book, and then decides and books in one
synchronous step, which nothing can come between on one event loop. A reservation is made durable
after that; until it is, its room is taken, but nobody can settle it and no sweep sees it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gateway.backends.memory_counters import Counters, Place, Seat, told_as_ledger
from gateway.quota.counter import Counter
from gateway.quota.ledger import (
    AlreadyResolved,
    Book,
    Claim,
    CounterState,
    Record,
    Reservation,
    Standing,
    Subject,
    Verdict,
)
from gateway.quota.limit import NOTHING, Amounts, Measure, Mode

MICRO_DIGITS = 6
"""Times are whole microseconds, as in the book: else one could lie in two windows."""


@dataclass(slots=True, eq=False)
class _Open:
    """`booked` are all counters that hold it: those of its claims, and those made since for limits
    that are new."""

    reservation: Reservation
    at: float
    seats: list[Seat]
    booked: dict[Counter, Measure]
    is_durable: bool = False


class _Question(NamedTuple):
    """One claim's question to its counter, answered before anything is booked."""

    seat: Seat
    asked: int
    fits: bool
    room_at: float | None

    def standing(self, now: float) -> Standing:
        """As it is when this is called."""
        return _standing(self.seat, now, self.asked, not self.fits, self.room_at)


class MemoryLedger:
    """Implements gateway.quota.ledger.Ledger."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._counters = Counters(book, self._hold_what_is_open)
        self._open = _OpenOnes()

    async def reserve(self, reservation: Reservation, now: float) -> Verdict:
        """Raises ValueError where a reservation of this id is open."""
        now = round(now, MICRO_DIGITS)
        seats = await self._counters.seats(reservation.claims, now)
        # From here on nothing is awaited: all claims, or none.
        if reservation.id in self._open.by_id:
            raise ValueError(f"reservation {reservation.id} is open already")
        asks = _questions(seats, reservation.bound, now)
        opened = self._hold(reservation, seats, now) if _is_granted(asks) else None
        standings = tuple([ask.standing(now) for ask in asks])
        self._counters.forget(now)
        if opened is not None:
            await self._make_durable(opened)
        return Verdict(opened is not None, standings, self._counters.access, now)

    async def settle(
        self, reservation: Reservation, used: Amounts, record: Record, now: float
    ) -> tuple[Standing, ...]:
        opened = self._close(reservation.id, used, now)
        self._book.append(record)
        return _standings(opened.seats, now)

    async def release(
        self, reservation: Reservation, record: Record | None, now: float
    ) -> tuple[Standing, ...]:
        opened = self._close(reservation.id, NOTHING, now)
        if record is None:
            self._book.forget(reservation.id)
        else:
            self._book.append(record)
        return _standings(opened.seats, now)

    def owe(self, reservation: Reservation, used: Amounts, record: Record, now: float) -> None:
        """Counters that are not known yet find the record in the book when they are read."""
        self._book.append(record)
        at = round(record.time, MICRO_DIGITS)
        for place in {self._counters.place(claim, at) for claim in reservation.claims}:
            if counter := self._counters.known(place, now):
                counter.hold(reservation.id, 0, now)
                counter.resolve(reservation.id, 0, used.of(place.measure), now)

    async def sweep(self, now: float) -> int:
        expired = [
            opened.reservation
            for opened in self._open.by_id.values()
            if opened.is_durable and opened.reservation.expires_at <= now
        ]
        for reservation in expired:
            await self.settle(reservation, reservation.bound, reservation.record, now)
        return len(expired)

    async def look(self, claims: Sequence[Claim], now: float, asked: Amounts = NOTHING) -> Verdict:
        now = round(now, MICRO_DIGITS)
        asks = _questions(await self._counters.seats(claims, now), asked, now)
        standings = tuple(ask.standing(now) for ask in asks)
        self._counters.forget(now)
        return Verdict(_is_granted(asks), standings, self._counters.access, now)

    async def has_room(self, claims: Sequence[Claim], now: float, asked: Amounts) -> bool:
        now = round(now, MICRO_DIGITS)
        seats = await self._counters.seats(claims, now)
        return all(
            seat.counter.fits(seat.amount, asked.of(seat.claim.limit.measure), now)
            for seat in seats
            if seat.claim.limit.mode is Mode.ENFORCE
        )

    async def generation(self) -> int:
        await self._counters.ask_generations()
        return self._counters.access

    async def counters(self) -> Sequence[CounterState]:
        return [
            CounterState(
                subject=place.subject,
                measure=place.measure,
                window=place.window,
                since=place.span.start,
                until=place.span.end,
                used=budget.used,
                reserved=budget.reserved,
            )
            for place, budget in await self._counters.budgets()
        ]

    def owed(self) -> int:
        """Whatever waits, waits in the book."""
        return 0

    def _hold(self, reservation: Reservation, seats: list[Seat], now: float) -> _Open:
        """Book each counter once, however many of the claims are about it. What the last window
        left is not forgotten while somebody may ask how much that was."""
        booked = {seat.counter: seat.claim.limit.measure for seat in seats}
        for counter, measure in booked.items():
            counter.hold(reservation.id, reservation.bound.of(measure), now)
        for seat in seats:
            if seat.before is not None:
                seat.before.open += 1
        opened = _Open(reservation, now, seats, booked)
        self._open.add(opened)
        return opened

    async def _make_durable(self, opened: _Open) -> None:
        """Raises errors.Unavailable (ledger_unavailable); then, and when it is cancelled, nothing
        is reserved any more."""
        try:
            with told_as_ledger():
                self._counters.learn(await self._book.hold(opened.reservation))
            opened.is_durable = True
        finally:
            if not opened.is_durable:
                self._undo(opened, NOTHING, opened.at)

    def _close(self, id: str, used: Amounts, now: float) -> _Open:
        """Synchronous, so that counters and book move in one step."""
        opened = self._open.by_id.get(id)
        if opened is None or not opened.is_durable:
            raise AlreadyResolved(f"reservation {id} is not open")
        self._undo(opened, used, now)
        return opened

    def _undo(self, opened: _Open, used: Amounts, now: float) -> None:
        """Replace what is held by what was used."""
        self._open.remove(opened)
        reservation = opened.reservation
        for counter, measure in opened.booked.items():
            counter.resolve(reservation.id, reservation.bound.of(measure), used.of(measure), now)
        for seat in opened.seats:
            if seat.before is not None:
                seat.before.open -= 1

    def _hold_what_is_open(self, place: Place, counter: Counter, now: float) -> None:
        """A new counter, perhaps of a new limit, sees requests that were admitted before it."""
        for opened in self._open.of(place.subject):
            if place.span.holds(opened.at):
                reservation = opened.reservation
                counter.hold(reservation.id, reservation.bound.of(place.measure), now)
                opened.booked[counter] = place.measure


class _OpenOnes:
    """What is open, by id and by whose it is; the oldest first."""

    def __init__(self) -> None:
        self.by_id: dict[str, _Open] = {}
        self._by_field: dict[tuple[str, str], dict[str, _Open]] = {}

    def add(self, opened: _Open) -> None:
        self.by_id[opened.reservation.id] = opened
        for field in opened.reservation.whose:
            self._by_field.setdefault(field, {})[opened.reservation.id] = opened

    def remove(self, opened: _Open) -> None:
        del self.by_id[opened.reservation.id]
        for field in opened.reservation.whose:
            ids = self._by_field[field]
            del ids[opened.reservation.id]
            if not ids:
                del self._by_field[field]

    def of(self, subject: Subject) -> Iterable[_Open]:
        """Those that the subject counts."""
        fewest = min((self._by_field.get(field, {}) for field in subject), key=len, default={})
        return [one for one in fewest.values() if set(subject) <= set(one.reservation.whose)]


def _questions(seats: Sequence[Seat], bound: Amounts, now: float) -> list[_Question]:
    questions = []
    for seat in seats:
        asked, amount = bound.of(seat.claim.limit.measure), seat.amount
        fits = seat.counter.fits(amount, asked, now)
        room_at = None if fits else seat.counter.room_at(amount, asked, now)
        questions.append(_Question(seat, asked, fits, room_at))
    return questions


def _is_granted(asks: Iterable[_Question]) -> bool:
    return not any(not ask.fits and ask.seat.claim.limit.mode is Mode.ENFORCE for ask in asks)


def _standing(
    seat: Seat, now: float, asked: int = 0, refused: bool = False, room_at: float | None = None
) -> Standing:
    amount = seat.amount
    used, reserved, resets_at = seat.counter.stands(amount, now)
    return Standing(seat.claim, amount, used, reserved, asked, refused, resets_at, room_at)


def _standings(seats: Sequence[Seat], now: float) -> tuple[Standing, ...]:
    """Who asks nothing is never refused."""
    return tuple([_standing(seat, now) for seat in seats])
