"""Reading what a process tells of its meters, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families

from gateway.usage.readings import Sample


def samples(exposition: str) -> Iterator[Sample]:
    """What an exposition says. Raises ValueError where it is none."""
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            yield sample.name, sample.labels, float(sample.value)
