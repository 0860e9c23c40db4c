"""How a meter is made: named with our prefix, on one registry, with a bound on its series."""

from __future__ import annotations

from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.registry import Collector

from gateway.meters.tallies import CounterTally, GaugeTally, HistogramTally

Buckets = tuple[float, ...]
T = TypeVar("T", bound=Collector)


class Maker:
    """Makes meters on `registry`; tallies are for what each request counts. Of one meter at most
    `series_max` sets of label values are kept."""

    def __init__(self, registry: CollectorRegistry, series_max: int) -> None:
        self._registry = registry
        self._bounds: dict[str, Any] = {"series_max": series_max, "no_room": self._no_room}
        self.series_refused = self.counter(
            "series_refused",
            "Counts that went to `other`, as their meter has no room for another series.",
            "meter",
        )

    def counter(self, name: str, help: str, *labels: str) -> Counter:
        return Counter(f"gateway_{name}", help, labels, registry=self._registry)

    def gauge(self, name: str, help: str, *labels: str) -> Gauge:
        return Gauge(f"gateway_{name}", help, labels, registry=self._registry)

    def tally(self, name: str, help: str, *labels: str, unit: int = 1) -> CounterTally:
        full = f"gateway_{name}"
        return self._on(CounterTally(full, help, labels, unit, **self._bounds))

    def gauge_tally(self, name: str, help: str, *labels: str) -> GaugeTally:
        return self._on(GaugeTally(f"gateway_{name}", help, labels, **self._bounds))

    def histogram(
        self, name: str, help: str, buckets: Buckets, *labels: str, prefix: str = "gateway_"
    ) -> HistogramTally:
        full = prefix + name
        return self._on(HistogramTally(full, help, buckets, labels, **self._bounds))

    def _no_room(self, meter: str) -> None:
        self.series_refused.labels(meter).inc()

    def _on(self, tally: T) -> T:
        self._registry.register(tally)
        return tally
