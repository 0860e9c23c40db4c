"""The meters of entries: requests, tokens, cost and times.

Entries of a moment are mostly alike, but for their figures: where they are counted is looked up
once, and kept.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from gateway.meters.maker import Maker
from gateway.meters.tallies import Cell
from gateway.usage.entry import NANO, Entry, Outcome
from gateway.usage.metered import KINDS, LABELS, requests_of, where, whose

REQUEST_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 600)
FIRST_TOKEN_BUCKETS = (0.05, 0.1, 0.25, 0.5, 0.75, 1, 2, 3, 5, 10, 20, 40)
ALIKE_MAX = 4_000
"""Kinds of entries whose cells are kept; all are forgotten when there are more."""

_ABANDONED = Outcome.ABANDONED
_alike = attrgetter(
    "endpoint", "model", "upstream", "status", "outcome", "organization", "project", "source",
    "currency",
)  # fmt: skip
"""All that labels are made of (usage/metered.py)."""


class _Cells:
    """Those of entries that are alike; None is what was not counted yet, or has no room."""

    __slots__ = ("cost", "duration", "first_token", "requests", "tokens")

    def __init__(self) -> None:
        self.requests: Cell | None = None
        self.tokens: list[Cell | None] = [None] * len(KINDS)
        self.cost: Cell | None = None
        self.duration: Cell | None = None
        self.first_token: Cell | None = None


class EntryMeters:
    """Counts what `metered` says of an entry, and how long it took."""

    def __init__(self, make: Maker) -> None:
        self._kept: dict[Any, _Cells] = {}
        self._requests = make.tally("requests", "Requests answered.", *LABELS["requests"])
        self._duration = make.histogram(
            "request_duration_seconds",
            "From the request's head to the end of its answer.",
            REQUEST_BUCKETS,
            "route",
            "model",
        )
        self._first_token = make.histogram(
            "time_to_first_token_seconds",
            "From the request's head to the first event of a streamed answer.",
            FIRST_TOKEN_BUCKETS,
            "route",
            "model",
        )
        self._tokens = make.tally("tokens", "Tokens used, by type.", *LABELS["tokens"])
        self._cost = make.tally(
            "cost", "Money used, in units of the currency.", *LABELS["cost"], unit=NANO
        )

    def count(self, entry: Entry) -> None:
        """Of an abandoned one nobody knows how long it took."""
        cells = self._kept.get(_alike(entry)) or self._cells_of(entry)
        if cells.requests is not None:
            cells.requests[0] += 1
        else:
            cells.requests = self._requests.add(requests_of(entry))
        kept = cells.tokens
        for kind, tokens in enumerate(entry.tokens):
            if not tokens:
                continue
            if (cell := kept[kind]) is not None:
                cell[0] += tokens
            else:
                kept[kind] = self._tokens.add((*whose(entry), KINDS[kind]), tokens)
        if entry.cost_nano:
            if cells.cost is not None:
                cells.cost[0] += entry.cost_nano
            else:
                cells.cost = self._cost.add((*whose(entry), entry.currency), entry.cost_nano)
        self._took(entry, cells)

    def _took(self, entry: Entry, cells: _Cells) -> None:
        if entry.outcome is not _ABANDONED:
            seconds = entry.duration_ms / 1000
            if cells.duration is not None:
                self._duration.observe_in(cells.duration, seconds)
            else:
                cells.duration = self._duration.observe(where(entry), seconds)
        if entry.first_token_ms is not None:
            seconds = entry.first_token_ms / 1000
            if cells.first_token is not None:
                self._first_token.observe_in(cells.first_token, seconds)
            else:
                cells.first_token = self._first_token.observe(where(entry), seconds)

    def _cells_of(self, entry: Entry) -> _Cells:
        if len(self._kept) >= ALIKE_MAX:
            self._kept.clear()
        cells = self._kept[_alike(entry)] = _Cells()
        return cells
