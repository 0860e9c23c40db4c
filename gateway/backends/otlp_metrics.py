"""The meters as OpenTelemetry has them. Pure.

Names and labels are those of /metrics, so that a query of one is a query of the other; those of the
conventions for generative AI have their dots again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

CUMULATIVE = AggregationTemporality.CUMULATIVE
SCOPE = InstrumentationScope("completion-gateway")
UNITS = {"seconds": "s", "bytes": "By", "ratio": "1"}
DOTTED = {
    "gen_ai_client_token_usage": ("gen_ai.client.token.usage", "{token}"),
    "gen_ai_server_request_duration_seconds": ("gen_ai.server.request.duration", "s"),
    "gen_ai_server_time_to_first_token_seconds": ("gen_ai.server.time_to_first_token", "s"),
}
DOTTED_LABELS = {
    "gen_ai_operation_name": "gen_ai.operation.name",
    "gen_ai_provider_name": "gen_ai.provider.name",
    "gen_ai_request_model": "gen_ai.request.model",
    "gen_ai_token_type": "gen_ai.token.type",
    "error_type": "error.type",
}


def converted(families: Iterable[Any], resource: Resource, start: float, now: float) -> MetricsData:
    """Families of Prometheus' client, of a process that counts since `start`; unix seconds."""
    times = round(start * 1e9), round(now * 1e9)
    metrics = [metric for family in families if (metric := _metric(family, times))]
    scope = ScopeMetrics(SCOPE, metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _metric(family: Any, times: tuple[int, int]) -> Metric | None:
    samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
    if not samples:
        return None
    name, unit = family.name, UNITS.get(family.name.rsplit("_", 1)[-1], "1")
    data: Any
    if family.type == "histogram":
        name, unit = DOTTED.get(name, (name, unit))
        data = Histogram(list(_histograms(samples, times)), CUMULATIVE)
    elif family.type == "counter":
        name += "_total"
        data = Sum(_numbers(samples, times), CUMULATIVE, is_monotonic=True)
    else:
        data = Gauge(_numbers(samples, times))
    return Metric(name, family.documentation, unit, data)


def _numbers(samples: Iterable[Any], times: tuple[int, int]) -> list[NumberDataPoint]:
    return [NumberDataPoint(_labels(one.labels), *times, one.value) for one in samples]


def _histograms(samples: Sequence[Any], times: tuple[int, int]) -> Iterator[HistogramDataPoint]:
    """The buckets of each set of labels stand together, in order, before their count and sum."""

    def whose(sample: Any) -> dict[str, str]:
        return {name: value for name, value in sample.labels.items() if name != "le"}

    for labels, group in groupby(samples, whose):
        ones = list(group)
        below = [(one.labels["le"], int(one.value)) for one in ones if "le" in one.labels]
        total = next(one.value for one in ones if one.name.endswith("_sum"))
        counts = [count for _, count in below]
        unknown: Any = None  # the least and the greatest value
        yield HistogramDataPoint(
            _labels(labels),
            *times,
            count=counts[-1],
            sum=total,
            bucket_counts=[n - m for m, n in zip([0, *counts], counts, strict=False)],
            explicit_bounds=[float(bound) for bound, _ in below[:-1]],
            min=unknown,
            max=unknown,
        )


def _labels(labels: dict[str, str]) -> dict[str, str]:
    """A label without a value is none, as Prometheus has it."""
    return {DOTTED_LABELS.get(name, name): value for name, value in labels.items() if value}
