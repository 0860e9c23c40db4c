"""The Ledger in this process' memory: exact for one process, rebuilt from the book at a start.

No lock: a verb first awaits what it must read from the book, and then decides and books in one
synchronous step, which nothing can come between on one event loop. A reservation is made durable
after that; until it is, its room is taken, but nobody can settle it and no sweep sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from gateway import errors
from gateway.backends.memory_counters import Counters, as_ledger
from gateway.backends.memory_seats import Place, Row, Seated, whole_micros
from gateway.quota.counter import Counter
from gateway.quota.ledger import (
    AlreadyResolved,
    Book,
    Claim,
    CounterState,
    Record,
    Reservation,
    Standing,
    Standings,
    Subject,
    Verdict,
)
from gateway.quota.limit import NOTHING, ORDER, Amounts, Mode


class _Open:
    """`held` is the reservation's bound, by ORDER. `booked` are counters beside those of its
    claims: of limits that were there before, or that are new since."""

    __slots__ = ("at", "booked", "held", "id", "is_durable", "reservation", "seated")

    def __init__(
        self,
        reservation: Reservation,
        held: tuple[int, ...],
        at: float,
        seated: Seated,
        booked: Sequence[tuple[Counter, int]],
    ) -> None:
        self.id = reservation.id
        self.reservation, self.held, self.at = reservation, held, at
        self.seated, self.booked = seated, booked
        self.is_durable = False


_NOTHING_ASKED = NOTHING.in_order()

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
        """Raises ValueError where a reservation of this id is open, and errors.Unavailable
        (ledger_unavailable)."""
        now = whole_micros(now)
        counters, claims = self._counters, reservation.claims
        seated = counters.seated(claims, now) or await counters.seats(claims, now)
        # From here on nothing is awaited: all claims, or none.
        if reservation.id in self._open.by_id:
            raise ValueError(f"reservation {reservation.id} is open already")
        rows, amounts = seated.rows(), reservation.bound.in_order()
        refused = _refused(rows, amounts, now)
        opened = None
        if not refused or _is_granted(rows, refused):
            opened = self._hold(reservation, seated, amounts, now)
        standings = _answers(rows, amounts, refused, now)
        counters.forget(now)
        if opened is None:
            return Verdict(False, standings, counters.access, now)
        try:
            counters.learn(await self._book.hold(reservation))
            opened.is_durable = True
        except errors.Unavailable as outage:
            raise as_ledger() from outage
        finally:
            if not opened.is_durable:  # also where it is cancelled: nothing is reserved any more
                self._undo(opened, NOTHING, now)
        return Verdict(True, standings, counters.access, now)

    async def settle(
        self, reservation: Reservation, used: Amounts, record: Record, now: float
    ) -> Standings:
        opened = self._close(reservation.id, used, now)
        self._book.append(record)
        return partial(_standings, opened.seated, now)

    async def release(
        self, reservation: Reservation, record: Record | None, now: float
    ) -> Standings:
        opened = self._close(reservation.id, NOTHING, now)
        if record is None:
            self._book.forget(reservation.id)
        else:
            self._book.append(record)
        return partial(_standings, opened.seated, now)

    def owe(self, reservation: Reservation, used: Amounts, record: Record, now: float) -> None:
        """Counters that are not known yet find the record in the book when they are read."""
        self._book.append(record)
        at = whole_micros(record.time)
        places = {self._counters.places.of(claim, at) for claim in reservation.claims}
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
        now = whole_micros(now)
        rows = (await self._counters.seats(claims, now)).rows()
        amounts = asked.in_order()
        refused = _refused(rows, amounts, now)
        standings = _answers(rows, amounts, refused, now)
        self._counters.forget(now)
        return Verdict(_is_granted(rows, refused), standings, self._counters.access, now)

    async def has_room(self, claims: Sequence[Claim], now: float, asked: Amounts) -> bool:
        now = whole_micros(now)
        rows = (await self._counters.seats(claims, now)).rows()
        amounts = asked.in_order()
        return all(
            counter.fits(amount, amounts[at], now)
            for claim, counter, at, amount in rows
            if claim.limit.mode is Mode.ENFORCE
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

    def _hold(
        self, reservation: Reservation, seated: Seated, amounts: tuple[int, ...], now: float
    ) -> _Open:
        """Book each counter once, however many of the claims are about it. What the last window
        left is not forgotten while somebody may ask how much that was."""
        id = reservation.id
        for counter, at in seated.booked:
            counter.hold(id, amounts[at], now)
        for before in seated.befores:
            before.open += 1
        others = self._counters.others_beside(seated, reservation.whose, now)
        for counter, at in others:
            counter.hold(id, amounts[at], now)
        opened = _Open(reservation, amounts, now, seated, others)
        self._open.add(opened)
        return opened

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
        id, seated, held, amounts = opened.id, opened.seated, opened.held, used.in_order()
        for counter, at in seated.booked:
            counter.resolve(id, held[at], amounts[at], now)
        for counter, at in opened.booked:
            counter.resolve(id, held[at], amounts[at], now)
        for before in seated.befores:
            before.open -= 1

    def _hold_what_is_open(self, place: Place, counter: Counter, now: float) -> None:
        """A new counter, perhaps of a new limit, sees requests that were admitted before it."""
        for opened in self._open.of(place.subject):
            if place.span.holds(opened.at):
                at = ORDER[place.measure]
                counter.hold(opened.id, opened.held[at], now)
                opened.booked = (*opened.booked, (counter, at))


class _OpenOnes:
    """What is open, by id and by whose it is; the oldest first.

    Most are over before anybody asks whose they are: they are sorted by that when somebody does."""

    def __init__(self) -> None:
        self.by_id: dict[str, _Open] = {}
        self._unsorted: dict[str, _Open] = {}
        self._by_field: dict[tuple[str, str], dict[str, _Open]] = {}

    def add(self, opened: _Open) -> None:
        self.by_id[opened.id] = self._unsorted[opened.id] = opened

    def remove(self, opened: _Open) -> None:
        id = opened.id
        del self.by_id[id]
        if self._unsorted.pop(id, None) is not None:
            return
        for field in opened.reservation.whose:
            ids = self._by_field[field]
            del ids[id]
            if not ids:
                del self._by_field[field]

    def of(self, subject: Subject) -> Iterable[_Open]:
        """Those that the subject counts."""
        for id, opened in self._unsorted.items():
            for field in opened.reservation.whose:
                self._by_field.setdefault(field, {})[id] = opened
        self._unsorted.clear()
        fewest = min((self._by_field.get(field, {}) for field in subject), key=len, default={})
        return [one for one in fewest.values() if set(subject) <= set(one.reservation.whose)]


def _refused(rows: Sequence[Row], amounts: tuple[int, ...], now: float) -> dict[int, float | None]:
    """Which of the rows have no room for what is asked of them, and when they will. Asked before
    anything is booked."""
    refused: dict[int, float | None] = {}
    for place, (_, counter, at, amount) in enumerate(rows):
        if not counter.fits(amount, amounts[at], now):
            refused[place] = counter.room_at(amount, amounts[at], now)
    return refused


def _is_granted(rows: Sequence[Row], refused: Iterable[int]) -> bool:
    return not [1 for place in refused if rows[place][0].limit.mode is Mode.ENFORCE]


def _answers(
    rows: Sequence[Row],
    amounts: tuple[int, ...],
    refused: Mapping[int, float | None],
    now: float,
) -> tuple[Standing, ...]:
    """How the claims stand now that what they asked for is held, or refused. Who asks nothing is
    never refused."""
    standings = [
        _standing((claim, amount, used, reserved, amounts[at], False, resets_at, None))
        for claim, counter, at, amount in rows
        for used, reserved, resets_at in [counter.stands(amount, now)]
    ]
    if refused:
        standings = _with_refused(standings, refused)
    return tuple(standings)


def _standings(seated: Seated, now: float) -> tuple[Standing, ...]:
    """How its claims stand at `now`, or since."""
    return _answers(seated.rows(), _NOTHING_ASKED, {}, now)


def _with_refused(standings: list[Standing], refused: Mapping[int, float | None]) -> list[Standing]:
    for place, room_at in refused.items():
        standings[place] = standings[place]._replace(refused=True, room_at=room_at)
    return standings
