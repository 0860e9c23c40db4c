"""Meters for the path of a request: a sum in a dict, told to Prometheus when it asks.

The library's own ones take a lock, a few checks and five calls for each of the thirty things that
a request counts; these take one call, and say the same at a scrape. They belong to one event loop.

Each has at most `series_max` series, whatever is counted: one more is counted as `other`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from gateway.usage.metered import OTHER

Labels = tuple[str, ...]
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


class CounterTally(_Tally):
    """A counter. `unit` divides at a scrape, so that money is summed up in whole numbers."""

    def __init__(
        self, name: str, help: str, labels: Sequence[str], unit: int = 1, **bounds: Any
    ) -> None:
        super().__init__(name, help, labels, **bounds)
        self._unit = unit
        self._sums: dict[Labels, float] = {} if self.labels else {(): 0}

    def add(self, labels: Labels = (), amount: float = 1) -> None:
        try:
            self._sums[labels] += amount
        except KeyError:
            if len(self._sums) >= self._series_max:
                self._no_room(self.name)
                labels = self._other
            self._sums[labels] = self._sums.get(labels, 0) + amount

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(self.name, self.help, labels=self.labels)
        for labels, total in self._sums.items():
            family.add_metric(labels, total / self._unit)
        yield family


class GaugeTally(_Tally):
    """A gauge. What many series have in common is no value of a gauge, so one more is left out."""

    def __init__(self, name: str, help: str, labels: Sequence[str], **bounds: Any) -> None:
        super().__init__(name, help, labels, **bounds)
        self._values: dict[Labels, float] = {}

    def set(self, labels: Labels, value: float) -> None:
        if len(self._values) >= self._series_max and labels not in self._values:
            self._no_room(self.name)
        else:
            self._values[labels] = value

    def clear(self) -> None:
        self._values.clear()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in self._values.items():
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
        self._rows: dict[Labels, list[float]] = {}  # a count for each name, then the sum
        if not self.labels:
            self._new_row(())

    def observe(self, labels: Labels, value: float) -> None:
        try:
            row = self._rows[labels]
        except KeyError:
            row = self._new_row(labels)
        row[bisect_left(self.bounds, value)] += 1
        row[-1] += value

    def _new_row(self, labels: Labels) -> list[float]:
        if len(self._rows) >= self._series_max:
            self._no_room(self.name)
            labels = self._other
        return self._rows.setdefault(labels, [0] * len(self._names) + [0.0])

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(self.name, self.help, labels=self.labels)
        for labels, row in self._rows.items():
            *counts, total = row
            sums = map(float, accumulate(counts))
            family.add_metric(labels, list(zip(self._names, sums, strict=True)), total)
        yield family
