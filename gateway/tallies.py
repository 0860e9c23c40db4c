"""Meters for the path of a request: a sum in a dict, told to Prometheus when it asks.

The library's own ones take a lock, a few checks and five calls for each of the thirty things that
a request counts; these take one call, and say the same at a scrape. They belong to one event loop.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

Labels = tuple[str, ...]


class _Tally(Collector):
    """`labels` are names; each call gives their values, as one tuple, in that order."""

    def __init__(self, name: str, help: str, labels: Sequence[str]) -> None:
        self.name, self.help, self.labels = name, help, tuple(labels)


class CounterTally(_Tally):
    """A counter. `unit` divides at a scrape, so that money is summed up in whole numbers."""

    def __init__(self, name: str, help: str, labels: Sequence[str], unit: int = 1) -> None:
        super().__init__(name, help, labels)
        self._unit = unit
        self._sums: dict[Labels, float] = {} if self.labels else {(): 0}

    def add(self, labels: Labels = (), amount: float = 1) -> None:
        self._sums[labels] = self._sums.get(labels, 0) + amount

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(self.name, self.help, labels=self.labels)
        for labels, total in self._sums.items():
            family.add_metric(labels, total / self._unit)
        yield family


class GaugeTally(_Tally):
    """A gauge."""

    def __init__(self, name: str, help: str, labels: Sequence[str]) -> None:
        super().__init__(name, help, labels)
        self._values: dict[Labels, float] = {}

    def set(self, labels: Labels, value: float) -> None:
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
        self, name: str, help: str, bounds: Sequence[float], labels: Sequence[str]
    ) -> None:
        super().__init__(name, help, labels)
        self.bounds = tuple(map(float, bounds))
        self._names = (*map(str, self.bounds), "+Inf")
        self._rows: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}
        if not self.labels:
            self._row(())

    def observe(self, labels: Labels, value: float) -> None:
        row = self._rows.get(labels) or self._row(labels)
        row[bisect_left(self.bounds, value)] += 1
        self._sums[labels] += value

    def _row(self, labels: Labels) -> list[int]:
        self._sums[labels] = 0.0
        row = self._rows[labels] = [0] * len(self._names)
        return row

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(self.name, self.help, labels=self.labels)
        for labels, row in self._rows.items():
            so_far = 0
            buckets = []
            for name, count in zip(self._names, row, strict=True):
                so_far += count
                buckets.append((name, float(so_far)))
            family.add_metric(labels, buckets, self._sums[labels])
        yield family
