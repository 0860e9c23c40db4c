"""The Ledger in this process' memory: exact for one process, rebuilt from the book at a start.

No lock: a verb first awaits what it must read from the book, and then decides and books in one
synchronous step, which nothing can come between on one event loop. A reservation is made durable
after that; until it is, its room is taken, but nobody can settle it and no sweep sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from gateway.backends.memory_counters import TOLD_AS_LEDGER, Counters
from gateway.backends.memory_seats import Place, Seat, Seated
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
from gateway.quota.limit import NOTHING, ORDER, Amounts

MICRO_DIGITS = 6
"""Times are whole microseconds, as in the book: else one could lie in two windows."""


@dataclass(slots=True, eq=False)
class _Open:
    """`booked` are counters beside those of its claims: of limits that were there before, or that
    are new since."""

    reservation: Reservation
    at: float
    seated: Seated
    booked: tuple[tuple[Counter, int], ...]
    is_durable: bool = False


_Question = tuple[Seat, int, int, bool, float | None]
"""One claim's question to its counter, answered before anything is booked: its seat, the amount and
what is asked of it, whether that fits, and else when it will."""

_standing: Callable[[tuple[Claim, int, int, int, int, bool, float | None, float | None]], Standing]
_standing = partial(tuple.__new__, Standing)  # as its constructor, but that is a call of Python


class MemoryLedger:
    """Implements gateway.quota.ledger.Ledger."""

    settles_at_once = True

    def __init__(self, book: Book) -> None:
        self._book = book
        self._counters = Counters(book, self._hold_what_is_open)
        self._open = _OpenOnes()

    async def reserve(self, reservation: Reservation, now: float) -> Verdict:
        """Raises ValueError where a reservation of this id is open."""
        now = round(now, MICRO_DIGITS)
        claims = reservation.claims
        seated = self._counters.seated(claims, now) or await self._counters.seats(claims, now)
        # From here on nothing is awaited: all claims, or none.
        if reservation.id in self._open.by_id:
            raise ValueError(f"reservation {reservation.id} is open already")
        asks = _questions(seated, reservation.bound, now)
        opened = self._hold(reservation, seated, now) if _is_granted(asks) else None
        standings = _answers(asks, now)
        self._counters.forget(now)
        if opened is not None:
            await self._make_durable(opened)
        return Verdict(opened is not None, standings, self._counters.access, now)

    async def settle(
        self, reservation: Reservation, used: Amounts, record: Record, now: float
    ) -> tuple[Standing, ...]:
        opened = self._close(reservation.id, used, now)
        self._book.append(record)
        return _standings(opened.seated, now)

    async def release(
        self, reservation: Reservation, record: Record | None, now: float
    ) -> tuple[Standing, ...]:
        opened = self._close(reservation.id, NOTHING, now)
        if record is None:
            self._book.forget(reservation.id)
        else:
            self._book.append(record)
        return _standings(opened.seated, now)

    def owe(self, reservation: Reservation, used: Amounts, record: Record, now: float) -> None:
        """Counters that are not known yet find the record in the book when they are read."""
        self._book.append(record)
        at = round(record.time, MICRO_DIGITS)
        places = {self._counters.place(claim, at) for claim in reservation.claims}
        found = [(self._counters.known(place, now), ORDER[place.measure]) for place in places]
        counters = {counter: order for counter, order in found if counter is not None}
        counters |= dict(self._counters.others(reservation.whose, counters, at))
        amounts = used.in_order()
        for counter, order in counters.items():
            counter.hold(reservation.id, 0, now)
            counter.resolve(reservation.id, 0, amounts[order], now)

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
        standings = _answers(asks, now)
        self._counters.forget(now)
        return Verdict(_is_granted(asks), standings, self._counters.access, now)

    async def has_room(self, claims: Sequence[Claim], now: float, asked: Amounts) -> bool:
        now = round(now, MICRO_DIGITS)
        seated = await self._counters.seats(claims, now)
        amounts = asked.in_order()
        return all(
            seat.counter.fits(seat.amount, amounts[seat.at], now)
            for seat in seated.seats
            if seat.is_enforced
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

    def _hold(self, reservation: Reservation, seated: Seated, now: float) -> _Open:
        """Book each counter once, however many of the claims are about it. What the last window
        left is not forgotten while somebody may ask how much that was."""
        id, bound = reservation.id, reservation.bound.in_order()
        for counter, at in seated.booked:
            counter.hold(id, bound[at], now)
        for before in seated.befores:
            before.open += 1
        others = tuple(self._counters.others(reservation.whose, seated.counters, now))
        for counter, at in others:
            counter.hold(id, bound[at], now)
        opened = _Open(reservation, now, seated, others)
        self._open.add(opened)
        return opened

    async def _make_durable(self, opened: _Open) -> None:
        """Raises errors.Unavailable (ledger_unavailable); then, and when it is cancelled, nothing
        is reserved any more."""
        try:
            with TOLD_AS_LEDGER:
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
        id, seated = opened.reservation.id, opened.seated
        bound, amounts = opened.reservation.bound.in_order(), used.in_order()
        for counter, at in (*seated.booked, *opened.booked):
            counter.resolve(id, bound[at], amounts[at], now)
        for before in seated.befores:
            before.open -= 1

    def _hold_what_is_open(self, place: Place, counter: Counter, now: float) -> None:
        """A new counter, perhaps of a new limit, sees requests that were admitted before it."""
        for opened in self._open.of(place.subject):
            if place.span.holds(opened.at):
                reservation = opened.reservation
                counter.hold(reservation.id, reservation.bound.of(place.measure), now)
                opened.booked += ((counter, ORDER[place.measure]),)


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


def _questions(seated: Seated, bound: Amounts, now: float) -> list[_Question]:
    amounts = bound.in_order()
    questions = []
    for seat in seated.seats:
        counter, asked = seat.counter, amounts[seat.at]
        amount = seat.claim.limit.amount if seat.before is None else seat.amount
        fits = counter.fits(amount, asked, now)
        room_at = None if fits else counter.room_at(amount, asked, now)
        questions.append((seat, amount, asked, fits, room_at))
    return questions


def _is_granted(asks: Iterable[_Question]) -> bool:
    return not [1 for seat, _, _, fits, _ in asks if not fits and seat.is_enforced]


def _answers(asks: Iterable[_Question], now: float) -> tuple[Standing, ...]:
    """How the claims stand now that what they asked for is held, or refused."""
    standings = []
    for seat, amount, asked, fits, room_at in asks:
        used, reserved, resets_at = seat.counter.stands(amount, now)
        one = (seat.claim, amount, used, reserved, asked, not fits, resets_at, room_at)
        standings.append(_standing(one))
    return tuple(standings)


def _standings(seated: Seated, now: float) -> tuple[Standing, ...]:
    """Who asks nothing is never refused."""
    standings = []
    for seat in seated.seats:
        amount = seat.claim.limit.amount if seat.before is None else seat.amount
        used, reserved, resets_at = seat.counter.stands(amount, now)
        one = (seat.claim, amount, used, reserved, 0, False, resets_at, None)
        standings.append(_standing(one))
    return tuple(standings)
