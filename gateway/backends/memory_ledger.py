"""The Ledger in this process' memory: exact for one process, rebuilt from the book at a start.

No lock: a verb first awaits what it must read from the book, and then decides and books in one
synchronous step, which nothing can come between on one event loop. What it holds is bounded by
what is open and by what was used in the last hour.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gateway import errors
from gateway.quota.counter import Budget, Counter, Rate, Slots
from gateway.quota.ledger import (
    AlreadyResolved,
    Book,
    Claim,
    Record,
    Reservation,
    Standing,
    Subject,
    Verdict,
)
from gateway.quota.limit import NOTHING, Amounts, Measure, Mode, Window
from gateway.quota.window import BUCKET_SECONDS, Span, span_of

_ALWAYS = Span(0.0, None)


class _Place(NamedTuple):
    """Which counter a claim is about: its identity, whatever the limit's name or amount."""

    subject: Subject
    measure: Measure
    window: Window
    span: Span


@dataclass(frozen=True, slots=True)
class _Open:
    reservation: Reservation
    booked: dict[Counter, Measure]


@dataclass(frozen=True, slots=True)
class _Question:
    """One claim's question to its counter, answered before anything is booked."""

    claim: Claim
    counter: Counter
    asked: int
    fits: bool
    room_at: float | None

    @classmethod
    def of(cls, claim: Claim, counter: Counter, asked: int, now: float) -> _Question:
        amount = claim.limit.amount
        fits = counter.fits(amount, asked, now)
        return cls(
            claim, counter, asked, fits, None if fits else counter.room_at(amount, asked, now)
        )

    def standing(self, now: float) -> Standing:
        """As it is when this is called."""
        amount = self.claim.limit.amount
        used, reserved, resets_at = self.counter.stands(amount, now)
        return Standing(
            self.claim, used, reserved, self.asked, not self.fits, resets_at, self.room_at
        )


@dataclass(slots=True)
class _Load:
    """One question to the book, and all the counters that wait for its answer."""

    places: set[_Place]
    task: asyncio.Task[None]


class MemoryLedger:
    """Implements gateway.quota.ledger.Ledger."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._began: float | None = None  # the first `now`: what is older, only the book knows
        self._counters: OrderedDict[_Place, Counter] = OrderedDict()
        self._made = 0  # counters, since the last look at old ones
        self._loads: dict[tuple[Subject, Window, Span], _Load] = {}
        self._open: dict[str, _Open] = {}
        self._spans: dict[tuple[Window, str], Span] = {}

    async def reserve(self, reservation: Reservation, now: float) -> Verdict:
        """Raises ValueError where a reservation of this id is open."""
        counters = await self._counters_of(reservation.claims, now)
        # From here on nothing is awaited: all claims, or none.
        if reservation.id in self._open:
            raise ValueError(f"reservation {reservation.id} is open already")
        asks = [
            _Question.of(claim, counter, reservation.bound.of(claim.limit.measure), now)
            for claim, counter in zip(reservation.claims, counters, strict=True)
        ]
        granted = all(ask.fits or ask.claim.limit.mode is Mode.OBSERVE for ask in asks)
        if granted:
            self._hold(reservation, asks, now)
        verdict = Verdict(granted, tuple(ask.standing(now) for ask in asks))
        self._forget(now)
        return verdict

    async def settle(self, id: str, used: Amounts, record: Record, now: float) -> None:
        self._resolve(id, used, record, now)

    async def release(self, id: str, record: Record, now: float) -> None:
        self._resolve(id, NOTHING, record, now)

    async def sweep(self, now: float) -> int:
        expired = [
            opened.reservation
            for opened in self._open.values()
            if opened.reservation.expires_at <= now
        ]
        for reservation in expired:
            self._resolve(reservation.id, reservation.bound, reservation.record, now)
        return len(expired)

    async def standings(
        self, claims: Sequence[Claim], now: float, asked: Amounts = NOTHING
    ) -> tuple[Standing, ...]:
        counters = await self._counters_of(claims, now)
        standings = tuple(
            _Question.of(claim, counter, asked.of(claim.limit.measure), now).standing(now)
            for claim, counter in zip(claims, counters, strict=True)
        )
        self._forget(now)
        return standings

    def _hold(self, reservation: Reservation, asks: Sequence[_Question], now: float) -> None:
        """Book each counter once, however many of the claims are about it."""
        booked = {ask.counter: ask.claim.limit.measure for ask in asks}
        for counter, measure in booked.items():
            counter.hold(reservation.id, reservation.bound.of(measure), now)
        self._open[reservation.id] = _Open(reservation, booked)

    def _resolve(self, id: str, used: Amounts, record: Record, now: float) -> None:
        """Synchronous, so that counters and book move in one step."""
        opened = self._open.pop(id, None)
        if opened is None:
            raise AlreadyResolved(f"reservation {id} is not open")
        for counter, measure in opened.booked.items():
            counter.resolve(id, opened.reservation.bound.of(measure), used.of(measure), now)
        self._book.append(record)

    def _place(self, claim: Claim, now: float) -> _Place:
        limit = claim.limit
        if limit.measure is Measure.CONCURRENCY:
            return _Place(claim.subject, limit.measure, Window.NONE, _ALWAYS)
        if limit.window in BUCKET_SECONDS:
            return _Place(claim.subject, limit.measure, limit.window, _ALWAYS)
        span = self._spans.get((limit.window, limit.zone))
        if span is None or not span.holds(now):
            span = span_of(limit.window, limit.zone, now)
            self._spans[limit.window, limit.zone] = span
        return _Place(claim.subject, limit.measure, limit.window, span)

    async def _counters_of(self, claims: Sequence[Claim], now: float) -> list[Counter]:
        """One for each claim, read from the book where it is not known yet."""
        if self._began is None:
            self._began = now
        places = [self._place(claim, now) for claim in claims]
        while True:
            try:
                return [self._counters[place] for place in places]
            except KeyError:
                await self._load_missing(places, now)

    async def _load_missing(self, places: Iterable[_Place], now: float) -> None:
        """A load goes on when one who waits for it is cancelled: others may wait, too."""
        if not (loads := self._loads_of(places, now)):
            return
        try:
            await asyncio.shield(asyncio.gather(*(load.task for load in loads)))
        except errors.Unavailable as error:
            raise errors.Unavailable(
                "The usage so far cannot be read, so nothing can be admitted; try again soon.",
                code="ledger_unavailable",
            ) from error

    def _loads_of(self, places: Iterable[_Place], now: float) -> list[_Load]:
        """What must be waited for; counters that need no book are there afterwards."""
        loads = []
        for place in places:
            if place in self._counters:
                continue
            if self._needs_book(place, now):
                loads.append(self._join_load(place, now))
            else:
                self._make(place, 0, now)
        return loads

    def _needs_book(self, place: _Place, now: float) -> bool:
        """A bucket that was not touched in the window that this ledger has seen is full."""
        if place.window in BUCKET_SECONDS:
            return now < self._absent_is_whole_from(place.window)
        return place.measure is not Measure.CONCURRENCY

    def _absent_is_whole_from(self, window: Window) -> float:
        assert self._began is not None
        return self._began + BUCKET_SECONDS[window]

    def _counter(self, place: _Place, used: int, now: float) -> Counter:
        if place.measure is Measure.CONCURRENCY:
            return Slots(now)
        if seconds := BUCKET_SECONDS.get(place.window):
            return Rate(seconds, used, self._absent_is_whole_from(place.window), now)
        return Budget(place.span, used, now)

    def _join_load(self, place: _Place, now: float) -> _Load:
        question = (place.subject, place.window, place.span)
        load = self._loads.get(question)
        if load is None:
            task = asyncio.get_running_loop().create_task(self._load(question, now))
            load = self._loads[question] = _Load(set(), task)
        load.places.add(place)
        return load

    async def _load(self, question: tuple[Subject, Window, Span], now: float) -> None:
        subject, window, span = question
        seconds = BUCKET_SECONDS.get(window)
        try:
            spent = await self._book.spent(subject, now - seconds if seconds else span.start)
            for place in self._loads[question].places:
                self._make(place, spent.of(place.measure), now)
        finally:
            del self._loads[question]

    def _make(self, place: _Place, used: int, now: float) -> None:
        self._counters[place] = self._counter(place, used, now)
        self._made += 1

    def _forget(self, now: float) -> None:
        """Look at old counters, and drop those that the book or time can replace.

        Two for each that was made: they cannot pile up, and no request pays for all of them."""
        for _ in range(min(2 * self._made, len(self._counters))):
            place, counter = self._counters.popitem(last=False)
            if not counter.forgettable(now):
                self._counters[place] = counter
        self._made = 0
