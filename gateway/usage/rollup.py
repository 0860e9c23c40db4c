"""Sums of entries that are kept beside them: which there are, what an entry adds to them, and which
of them answer a question. Pure.

A view sums by some fields of an entry, and by spans of UTC time: each of its cells is the sum of
all entries of one span that agree in these fields. Views are few, as each costs every write; end
users, of which there may be any number, are in none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from operator import add, attrgetter
from typing import Any

from gateway.usage.entry import Entry, Outcome

HOUR = 3_600_000_000  # microseconds, as all times here
DAY = 24 * HOUR
SUMS = (
    "entries", "requests", "refused", "input_tokens", "cached_input_tokens", "output_tokens",
    "reasoning_tokens", "audio_input_tokens", "audio_output_tokens", "cost_nano",
)  # fmt: skip
"""What a cell sums: `entries` counts all, `requests` those that count against limits, `refused`
those that the gateway refused."""


class Span(StrEnum):
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"

    def start(self, time: int) -> int:
        """Of the span that the moment lies in."""
        if self is Span.MONTH:
            return _month(time // DAY)
        return time - time % (HOUR if self is Span.HOUR else DAY)

    def first(self, time: int) -> int:
        """The first start at or after the moment."""
        start = self.start(time)
        return start if start == time else self.next(start)

    def next(self, start: int) -> int:
        """The start of the span after the one that starts then."""
        return self.start(start + {Span.HOUR: HOUR, Span.DAY: DAY, Span.MONTH: 31 * DAY}[self])


@lru_cache(maxsize=1024)
def _month(day: int) -> int:
    """The start of the UTC month of a day since 1970."""
    date = datetime.fromtimestamp(day * 86400, UTC).replace(day=1)
    return int(date.timestamp()) * 1_000_000


@dataclass(frozen=True, slots=True)
class View:
    """`spans` from the shortest to the longest; the sums of one are sums of those before it.
    `fields` in the order of the key: reports merge by the first ones, and always ask for the
    currency."""

    name: str
    fields: tuple[str, ...]
    spans: tuple[Span, ...]


VIEWS = (
    View(
        "models",
        ("currency", "model", "status", "outcome", "code", "served_model", "upstream", "endpoint",
         "stream", "source", "policy_digest"),
        (Span.HOUR, Span.DAY),
    ),
    View(
        "projects",
        ("organization", "project", "currency", "model", "outcome"),
        (Span.DAY, Span.MONTH),
    ),
    View("keys", ("organization", "project", "key_id", "currency"), (Span.DAY, Span.MONTH)),
)  # fmt: skip
"""The cheapest first: whatever the first one answers is asked of it."""

Cell = tuple[Any, ...]
"""The start of a span, and a value for each of a view's fields."""
Cells = dict[tuple[View, Span], dict[Cell, list[int]]]


def cells_of(entries: Iterable[Entry], micros: Mapping[str, int]) -> Cells:
    """What these entries add to each cell; `micros` has their times by id.

    Entries of a moment agree mostly in all fields: those are summed first, so that what a view
    costs is paid for their sum."""
    alike: dict[Cell, list[int]] = {}
    for entry in entries:
        time = micros[entry.id]
        _add(alike, (time - time % HOUR, *_fields(entry)), _sums(entry))
    found: Cells = {(view, view.spans[0]): {} for view in VIEWS}  # these first: add_up's order
    for view in VIEWS:
        cells = found[view, view.spans[0]]
        places = [_FIELDS.index(name) for name in view.fields]
        for (start, *values), sums in alike.items():
            _add(cells, (view.spans[0].start(start), *[values[place] for place in places]), sums)
        for longer in view.spans[1:]:
            merged = found.setdefault((view, longer), {})
            for (start, *values), sums in cells.items():
                _add(merged, (longer.start(start), *values), sums)
    return found


def _sums(entry: Entry) -> list[int]:
    tokens = entry.tokens
    return [
        1, entry.requests, int(entry.outcome is Outcome.REFUSED), tokens.input,
        tokens.cached_input, tokens.output, tokens.reasoning, tokens.audio_input,
        tokens.audio_output, entry.cost_nano,
    ]  # fmt: skip


_FIELDS = tuple(dict.fromkeys(name for view in VIEWS for name in view.fields))
_fields = attrgetter(*_FIELDS)


def _add(cells: dict[Cell, list[int]], cell: Cell, sums: list[int]) -> None:
    before = cells.get(cell)
    cells[cell] = sums if before is None else list(map(add, before, sums))


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of time, since ≤ time < until (None: no end), and which cells have its sums; None:
    only the entries have."""

    span: Span | None
    since: int
    until: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Pieces that tile a question's time, and the view that their cells are of."""

    view: View | None
    pieces: Sequence[Piece]


def plan(fields: Collection[str], longest: Span | None, since: int, until: int | None) -> Plan:
    """Where to find the sums of since ≤ time < until by these fields, in spans of at most
    `longest`; None: in no span that any view has."""
    for view in VIEWS:
        spans = [span for span in view.spans if longest and _length(span) <= _length(longest)]
        if spans and set(fields) <= set(view.fields):
            return Plan(view, _pieces(spans, max(since, 0), until))
    return Plan(None, [Piece(None, since, until)])


def _length(span: Span) -> int:
    return list(Span).index(span)


def _pieces(spans: Sequence[Span], since: int, until: int | None) -> list[Piece]:
    """The longest spans in the middle, shorter ones at both ends, entries where no span fits."""
    if until is not None and since >= until:
        return []
    if not spans:
        return [Piece(None, since, until)]
    *shorter, span = spans
    start = span.first(since)
    end = None if until is None else span.start(until)
    if end is not None and start >= end:
        return _pieces(shorter, since, until)
    pieces = [*_pieces(shorter, since, start), Piece(span, start, end)]
    return pieces if end is None else [*pieces, *_pieces(shorter, end, until)]
