"""What a journal has still to write: entries that wait, those that its table refused, and which
reservations are to go without one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import chain, islice

from gateway.backends.sql_entries import storable_text
from gateway.backends.tables import micros
from gateway.quota.ledger import Subject
from gateway.quota.limit import Amounts
from gateway.usage.entry import Entry


class Unwritten:
    """`pending` is in the order in which entries came, the first one of an id counts. `gone` are
    the ids whose rows are to go, each time with a new object; `to_go` is called with each."""

    def __init__(self, to_go: Callable[[], None]) -> None:
        self._to_go = to_go
        self.pending: dict[str, Entry] = {}
        self.set_aside: dict[str, Entry] = {}
        self.gone: dict[str, object] = {}
        self._written = asyncio.Condition()
        self._since: dict[str, float] = {}  # when each pending one came

    def add(self, entry: Entry, now: float) -> None:
        if entry.id not in self.set_aside:
            self.pending.setdefault(entry.id, entry)
            self._since.setdefault(entry.id, now)

    def forget(self, id: str) -> None:
        self.gone[storable_text(id)] = object()
        self._to_go()

    def went(self, gone: Mapping[str, object]) -> None:
        """Their rows are away. One that is to go again since then stays."""
        for id, mark in gone.items():
            if self.gone.get(id) is mark:
                del self.gone[id]

    def take_gone(self, ids: Iterable[str]) -> list[str]:
        """Those of them whose rows are to go, which the caller does now."""
        return [id for id in ids if self.gone.pop(id, None)] if self.gone else []

    def first(self, count: int) -> list[Entry]:
        return list(islice(self.pending.values(), count))

    async def until_written(self) -> None:
        """Return when all that is here now is written, refused or gone."""
        entries, gone = set(self.pending), set(self.gone.values())

        def done() -> bool:
            left = gone.intersection(self.gone.values())
            return not left and entries.isdisjoint(self.pending)

        async with self._written:
            await self._written.wait_for(done)

    async def tell(self) -> None:
        """Who waits until something is written shall look again."""
        async with self._written:
            self._written.notify_all()

    def oldest(self) -> float | None:
        """When the entry came that waits longest."""
        return next(iter(self._since.values()), None)

    def written(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            del self.pending[entry.id], self._since[entry.id]

    def refused(self, entries: Collection[Entry]) -> None:
        self.written(entries)
        self.set_aside.update((entry.id, entry) for entry in entries)

    def all(self) -> tuple[Entry, ...]:
        return (*self.set_aside.values(), *self.pending.values())

    def of(self, subject: Subject, since: float, until: float | None) -> list[Entry]:
        """Those of the subject with since ≤ time < until, by the table's clock and texts."""
        wanted = [(name, storable_text(value)) for name, value in subject]
        begin, end = micros(since), None if until is None else micros(until)
        return [
            entry
            for entry in chain(self.pending.values(), self.set_aside.values())
            if begin <= micros(entry.time)
            and (end is None or micros(entry.time) < end)
            and all(getattr(entry, name) == value for name, value in wanted)
        ]


def total(amounts: Amounts, more: Collection[Entry]) -> Amounts:
    """The amounts, and what these entries used."""
    return Amounts(
        requests=amounts.requests + sum(e.requests for e in more),
        input_tokens=amounts.input_tokens + sum(e.tokens.input for e in more),
        output_tokens=amounts.output_tokens + sum(e.tokens.output for e in more),
        cost_nano=amounts.cost_nano + sum(e.cost_nano for e in more),
    )
