"""Meters for the path of a request: a sum in a dict, told to Prometheus when it asks.

The library's own ones take a lock, a few checks and five calls for each of the thirty things that
a request counts; these take one call, and say the same at a scrape. They belong to one event loop.
Who counts for the same series each time keeps its cell, and then a count is one addition.

Each has at most `series_max` series, whatever is counted: one more is counted as `other`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from gateway.usage.metered import OTHER

Labels = tuple[str, ...]
Cell = list[float]
"""Where a series is counted: of a counter and a gauge one number; of a histogram one for each
bucket, and the sum."""
SERIES_MAX = 20_000
"""Of one meter: sets of label values."""


def _untold(name: str) -> None:
    """For a meter that is alone."""


class _Tally(Collector):
    """`labels` are names; each call gives their values, as one tuple, in that order. `no_room` is
    told of the meter's name where a series is refused."""

    def __init__(
        self,
        name: str,
        help: str,
        labels: Sequence[str],
        series_max: int = SERIES_MAX,
        no_room: Callable[[str], None] = _untold,
    ) -> None:
        self.name, self.help, self.labels = name, help, tuple(labels)
        self._series_max, self._no_room = series_max, no_room
        self._other = (OTHER,) * len(self.labels)
        self._cells: dict[Labels, Cell] = {}

    def _new(self, labels: Labels) -> Cell | None:
        """The cell of a series that begins; None, which is told, where there is no room for it."""
        if len(self._cells) >= self._series_max:
            self._no_room(self.name)
            return None
        cell = self._cells[labels] = self._empty()
        return cell

    def _of_others(self) -> Cell:
        return self._cells.setdefault(self._other, self._empty())

    def _empty(self) -> Cell:
        return [0]


class CounterTally(_Tally):
    """A counter. `unit` divides at a scrape, so that money is summed up in whole numbers."""

    def __init__(
        self, name: str, help: str, labels: Sequence[str], unit: int = 1, **bounds: Any
    ) -> None:
        super().__init__(name, help, labels, **bounds)
        self._unit = unit
        if not self.labels:
            self._new(())

    def add(self, labels: Labels = (), amount: float = 1) -> Cell | None:
        """The cell of the series, to be kept; None where it has none of its own."""
        cell = self._cells.get(labels) or self._new(labels)
        (cell or self._of_others())[0] += amount
        return cell

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(self.name, self.help, labels=self.labels)
        for labels, (total,) in self._cells.items():
            family.add_metric(labels, total / self._unit)
        yield family


class GaugeTally(_Tally):
    """A gauge. What many series have in common is no value of a gauge, so one more is left out."""

    def set(self, labels: Labels, value: float) -> Cell | None:
        """The cell of the series, to be kept until `clear`; None where it has none."""
        cell = self._cells.get(labels) or self._new(labels)
        if cell is not None:
            cell[0] = value
        return cell

    def clear(self) -> None:
        self._cells.clear()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(self.name, self.help, labels=self.labels)
        for labels, (value,) in self._cells.items():
            family.add_metric(labels, value)
        yield family


class HistogramTally(_Tally):
    """A histogram: how many values were at most each of `bounds`, and their sum."""

    def __init__(
        self,
        name: str,
        help: str,
        bounds: Sequence[float],
        labels: Sequence[str],
        **series: Any,
    ) -> None:
        super().__init__(name, help, labels, **series)
        self.bounds = tuple(map(float, bounds))
        self._names = (*map(str, self.bounds), "+Inf")
        if not self.labels:
            self._new(())

    def observe(self, labels: Labels, value: float) -> Cell | None:
        """The cell of the series, to be kept; None where it has none of its own."""
        cell = self._cells.get(labels) or self._new(labels)
        row = cell or self._of_others()
        row[bisect_left(self.bounds, value)] += 1
        row[-1] += value
        return cell

    def observe_in(self, cell: Cell, value: float) -> None:
        """As `observe`, by who kept the cell."""
        cell[bisect_left(self.bounds, value)] += 1
        cell[-1] += value

    def observe_each(self, values: Mapping[str, float]) -> None:
        """As `observe` for each of these values of the only label, in one call."""
        for label, value in values.items():
            cell = self._cells.get((label,))
            if cell is None:
                self.observe((label,), value)
            else:
                cell[bisect_left(self.bounds, value)] += 1
                cell[-1] += value

    def _empty(self) -> Cell:
        return [0] * len(self._names) + [0.0]

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(self.name, self.help, labels=self.labels)
        for labels, (*counts, total) in self._cells.items():
            sums = map(float, accumulate(counts))
            family.add_metric(labels, list(zip(self._names, sums, strict=True)), total)
        yield family
