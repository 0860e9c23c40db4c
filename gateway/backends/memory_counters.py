"""The counters of the ledger in memory: a cache of the book that is read when it is asked.

One question to the book for all measures of a subject and window, however many requests race for
it. Between its answer and its counters nothing is awaited, so that a settlement that comes
meanwhile is in one of them, and not in both. What is held is bounded by what is open and by what
was asked about in the last hour.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from gateway import errors
from gateway.backends.memory_seats import Others, Place, Places, Seated, seat_of
from gateway.quota.counter import Budget, Counter, Rate, Slots
from gateway.quota.ledger import Book, Claim, Generations, Subject
from gateway.quota.limit import ORDER, Measure, Window
from gateway.quota.window import BUCKET_SECONDS, Span

_NONE: dict[Place, Counter] = {}
SEATED_MAX = 4_000
"""Claims whose counters are not looked up again; two kilobytes each. Those of end users, and those
that a grant raised, are made anew for each request, and only pass through."""


@dataclass(slots=True)
class _Load:
    """One question to the book, and all the counters that wait for its answer."""

    places: set[Place]
    task: asyncio.Task[None]


def as_ledger() -> errors.Unavailable:
    """What the book cannot do, the ledger cannot either."""
    return errors.Unavailable(
        "The usage cannot be read or written now, so nothing can be admitted; try again soon.",
        code="ledger_unavailable",
    )


class Counters:
    """`made` is told of every counter that is made, in the same step (its place, itself, now)."""

    def __init__(self, book: Book, made: Callable[[Place, Counter, float], None]) -> None:
        self._book = book
        self._tell_made = made
        self.places = Places()
        self._began: float | None = None  # the first `now`: what is older, only the book knows
        self._counters: OrderedDict[Place, Counter] = OrderedDict()
        self._of_subject: dict[Subject, dict[Place, Counter]] = {}
        self._shapes: dict[frozenset[str], int] = {}  # fields of subjects, and how many have these
        self._made = 0  # since the last look at old ones
        self._changes = 0  # counters that came or went
        self._loads: dict[tuple[Subject, Window, Span], _Load] = {}
        self._generations: Generations | None = None
        self._seated: OrderedDict[int, Seated] = OrderedDict()

    @property
    def access(self) -> int:
        """The last generation of keys and grants that is known; 0 where none is."""
        return self._generations.access if self._generations else 0

    def learn(self, seen: Generations) -> None:
        """Budgets that were read when the book was of an older generation are read again."""
        known = self._generations or seen
        if known == seen:
            self._generations = seen
            return
        self._generations = Generations(max(known.access, seen.access), max(known.book, seen.book))

    async def ask_generations(self) -> None:
        """Raises errors.Unavailable (ledger_unavailable)."""
        try:
            self.learn(await self._book.generations())
        except errors.Unavailable as outage:
            raise as_ledger() from outage

    def seated(self, claims: Sequence[Claim], now: float) -> Seated | None:
        """The seats of claims that were looked up before, where they still are the same."""
        known = self._seated.get(id(claims))
        generation = self._generations.book if self._generations else 0
        if known is None or not known.holds(now, generation, self._changes):
            return None
        self._seated.move_to_end(id(claims))
        return known

    async def seats(self, claims: Sequence[Claim], now: float) -> Seated:
        """One for each claim, read from the book where that is needed. After it returns, nothing
        has been awaited since all of them were there.

        Raises errors.Unavailable (ledger_unavailable)."""
        if known := self.seated(claims, now):
            return known
        if self._began is None:
            self._began = now
        if self._generations is None:
            await self.ask_generations()
        pairs = [(self.places.of(claim, now), self.places.before(claim, now)) for claim in claims]
        await self._load_all([place for pair in pairs for place in pair if place], now)
        seats = [
            seat_of(claim, self._counters[place], before and self._budget(before, now))
            for claim, (place, before) in zip(claims, pairs, strict=True)
        ]
        spans = [place.span for place, _ in pairs]
        known = self._seated[id(claims)] = Seated(claims, seats, spans, self._book_generation())
        if len(self._seated) > SEATED_MAX:
            self._seated.popitem(last=False)
        return known

    async def budgets(self) -> list[tuple[Place, Budget]]:
        """All calendar counters, none of them older than the book.

        Raises errors.Unavailable (ledger_unavailable)."""
        await self.ask_generations()
        await self._load_all([p for p in self._counters if p.is_calendar], self._began or 0.0)
        return [(p, c) for p, c in self._counters.items() if type(c) is Budget]

    def known(self, place: Place, now: float) -> Counter | None:
        """None where only the book knows."""
        if place not in self._counters and self._began is not None:
            if self._needs_book(place, now):
                return None
            self._make(place, 0, now)
        return self._counters.get(place)

    def others(
        self, whose: Subject, asked: Collection[Counter], now: float
    ) -> list[tuple[Counter, int]]:
        """Counters that this request counts for beside those that it is asked about, with their
        measures' places in ORDER: of limits that were in the policy before, and may be again."""
        found = self._others(whose, asked)
        return [(counter, at) for span, counter, at in found if span.holds(now)]

    def others_beside(
        self, seated: Seated, whose: Subject, now: float
    ) -> Sequence[tuple[Counter, int]]:
        """The same, beside all that these claims ask about. Mostly there are none, and that is
        known until a counter comes or goes."""
        kept = seated.others
        if kept is None or kept.changes != self._changes or kept.whose != whose:
            found = self._others(whose, seated.counters)
            kept = seated.others = Others(whose, self._changes, found)
        if not kept.found:
            return ()
        return [(counter, at) for span, counter, at in kept.found if span.holds(now)]

    def _others(
        self, whose: Subject, asked: Collection[Counter]
    ) -> list[tuple[Span, Counter, int]]:
        found: list[tuple[Span, Counter, int]] = []
        for fields in self._shapes:
            subject = tuple([pair for pair in whose if pair[0] in fields])
            for place, counter in self._of_subject.get(subject, _NONE).items():
                if counter not in asked:
                    found.append((place.span, counter, ORDER[place.measure]))
        return found

    def forget(self, now: float) -> None:
        """Look at old counters, and drop those that the book or time can replace.

        Two for each that was made: they cannot pile up, and no request pays for all of them."""
        if not self._made:
            return
        for _ in range(min(2 * self._made, len(self._counters))):
            place, counter = self._counters.popitem(last=False)
            counter.gone = counter.forgettable(now)
            if counter.gone:
                self._drop(place)
            else:
                self._counters[place] = counter
        self._made = 0

    def _budget(self, place: Place, now: float) -> Budget:
        budget = self._counters[place]
        assert isinstance(budget, Budget)
        budget.touch(now)
        return budget

    async def _load_all(self, places: Sequence[Place], now: float) -> None:
        """A load goes on when one who waits for it is cancelled: others may wait, too."""
        while loads := self._loads_of(places, now):
            try:
                await asyncio.shield(asyncio.gather(*(load.task for load in loads)))
            except errors.Unavailable as outage:
                raise as_ledger() from outage

    def _loads_of(self, places: Iterable[Place], now: float) -> list[_Load]:
        """What must be waited for; counters that need no book are there afterwards."""
        loads = []
        for place in places:
            counter = self._counters.get(place)
            if counter is None:
                if self._needs_book(place, now):
                    loads.append(self._join_load(place, now))
                else:
                    self._make(place, 0, now)
            elif place.is_calendar and self._is_old(counter):
                loads.append(self._join_load(place, now))
        return loads

    def _is_old(self, counter: Counter) -> bool:
        return isinstance(counter, Budget) and counter.read_at < self._book_generation()

    def _book_generation(self) -> int:
        return self._generations.book if self._generations else 0

    def _needs_book(self, place: Place, now: float) -> bool:
        """A bucket that was not touched in the window that this ledger has seen is full."""
        if place.window in BUCKET_SECONDS:
            return now < self._absent_is_whole_from(place.window)
        return place.is_calendar

    def _absent_is_whole_from(self, window: Window) -> float:
        assert self._began is not None
        return self._began + BUCKET_SECONDS[window]

    def _join_load(self, place: Place, now: float) -> _Load:
        question = (place.subject, place.window, place.span)
        load = self._loads.get(question)
        if load is None:
            task = asyncio.get_running_loop().create_task(self._load(question, now))
            load = self._loads[question] = _Load(set(), task)
        load.places.add(place)
        return load

    async def _load(self, question: tuple[Subject, Window, Span], now: float) -> None:
        subject, window, (since, until) = question
        read_at = self._book_generation()
        if seconds := BUCKET_SECONDS.get(window):
            since = now - seconds
        try:
            spent = await self._book.spent(subject, since, until)
            for place in self._loads[question].places:
                self._install(place, spent.of(place.measure), read_at, now)
        finally:
            del self._loads[question]

    def _install(self, place: Place, used: int, read_at: int, now: float) -> None:
        """A bucket that was made meanwhile, as it needed no book any more, stays as it is."""
        if place not in self._counters:
            self._make(place, used, now)
        counter = self._counters[place]
        if isinstance(counter, Budget) and place.is_calendar:
            counter.used, counter.read_at = used, read_at

    def _make(self, place: Place, used: int, now: float) -> None:
        counter: Counter
        if place.measure is Measure.CONCURRENCY:
            counter = Slots(now)
        elif seconds := BUCKET_SECONDS.get(place.window):
            counter = Rate(seconds, used, self._absent_is_whole_from(place.window), now)
        else:
            counter = Budget(place.span, used, now)
        self._counters[place] = counter
        if place.subject not in self._of_subject:
            shape = _shape(place.subject)
            self._shapes[shape] = self._shapes.get(shape, 0) + 1
        self._of_subject.setdefault(place.subject, {})[place] = counter
        self._made += 1
        self._changes += 1
        self._tell_made(place, counter, now)

    def _drop(self, place: Place) -> None:
        self._changes += 1
        places = self._of_subject[place.subject]
        del places[place]
        if not places:
            del self._of_subject[place.subject]
            shape = _shape(place.subject)
            self._shapes[shape] -= 1
            if not self._shapes[shape]:
                del self._shapes[shape]


def _shape(subject: Subject) -> frozenset[str]:
    return frozenset(field for field, _ in subject)
