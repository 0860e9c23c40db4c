"""Tallies say at a scrape what the library's own meters would."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.registry import Collector

from gateway.meters.tallies import CounterTally, GaugeTally, HistogramTally

BOUNDS = (0.5, 1, 2.5)
LABELS = st.tuples(st.sampled_from(["a", 'b"\\\n']), st.sampled_from(["x", ""]))
VALUES = st.sampled_from([0.0, 0.4, 0.5, 0.6, 1.0, 2.5, 2.6, 1e9])


def told(*collectors: Collector) -> set[tuple[str, tuple[tuple[str, str], ...], float]]:
    """What is told of them, but for when they were made."""
    return {
        (sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for collector in collectors
        for family in collector.collect()
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def kinds(collectors: Iterable[Collector]) -> list[tuple[str, str, str]]:
    return [(f.name, f.type, f.documentation) for one in collectors for f in one.collect()]


@given(st.lists(st.tuples(LABELS, VALUES), max_size=20))
def test_what_was_counted_set_and_observed_is_told_as_by_the_library(
    given: list[tuple[tuple[str, str], float]],
) -> None:
    names, nowhere = ("one", "two"), CollectorRegistry()
    theirs = (
        Counter("c", "Counted.", names, registry=nowhere),
        Gauge("g", "Set.", names, registry=nowhere),
        Histogram("h", "Observed.", names, registry=nowhere, buckets=BOUNDS),
    )
    ours = (
        CounterTally("c", "Counted.", names),
        GaugeTally("g", "Set.", names),
        HistogramTally("h", "Observed.", BOUNDS, names),
    )
    for labels, value in given:
        theirs[0].labels(*labels).inc(value)
        theirs[1].labels(*labels).set(value)
        theirs[2].labels(*labels).observe(value)
        ours[0].add(labels, value)
        ours[1].set(labels, value)
        ours[2].observe(labels, value)
    assert told(*ours) == told(*theirs)
    assert kinds(ours) == kinds(theirs)


def test_without_labels_a_meter_is_there_from_the_start() -> None:
    nowhere = CollectorRegistry()
    theirs = (
        Counter("c", "Counted.", registry=nowhere),
        Histogram("h", "Observed.", registry=nowhere, buckets=BOUNDS),
    )
    ours = CounterTally("c", "Counted.", ()), HistogramTally("h", "Observed.", BOUNDS, ())
    assert told(*ours) == told(*theirs)


def test_a_unit_divides_what_was_summed_up_in_whole_numbers() -> None:
    tally = CounterTally("c", "Money.", (), unit=10**9)
    for _ in range(10):
        tally.add((), 100_000_000)
    assert told(tally) == {("c_total", (), 1.0)}


def test_no_meter_has_more_series_than_its_bound_and_what_is_more_is_counted_together() -> None:
    refused: list[str] = []
    counter = CounterTally("c", "Counted.", ("one", "two"), series_max=2, no_room=refused.append)
    histogram = HistogramTally("h", "Seen.", (1,), ("one",), series_max=2, no_room=refused.append)
    gauge = GaugeTally("g", "Set.", ("one",), series_max=2, no_room=refused.append)
    for n in range(10):
        for _ in range(2):
            counter.add((str(n), "x"), 3)
            histogram.observe((str(n),), 0.5)
            gauge.set((str(n),), n)
    assert {(labels, value) for _, labels, value in told(counter)} == {
        ((("one", "0"), ("two", "x")), 6),
        ((("one", "1"), ("two", "x")), 6),
        ((("one", "other"), ("two", "other")), 8 * 6),
    }
    counts = {labels: value for name, labels, value in told(histogram) if name == "h_count"}
    assert counts == {(("one", "0"),): 2, (("one", "1"),): 2, (("one", "other"),): 16}
    assert {labels for _, labels, _ in told(gauge)} == {(("one", "0"),), (("one", "1"),)}
    assert {name: refused.count(name) for name in refused} == {"c": 16, "h": 16, "g": 16}
