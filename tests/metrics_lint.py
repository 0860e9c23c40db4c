"""Meters of every kind that has something to say, and the rules that promtool holds them to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from gateway.meters.metrics import Meters
from gateway.quota.ledger import Claim, Standing
from gateway.quota.limit import Level, Limit, Measure, Window
from gateway.usage.entry import Entry, Source, Tokens

ENTRY = Entry(
    id="req_1", time=0.0, organization="acme", project="demo", key_id="key_1", model="echo",
    upstream="simulator", endpoint="chat", status=200,
    tokens=Tokens(input=10, cached_input=4, output=7), source=Source.PROVIDER,
    cost_nano=1_500_000_000, currency="USD", duration_ms=120, first_token_ms=60,
    redactions={"EMAIL_ADDRESS:placeholder": 2},
)  # fmt: skip
"""An entry that every meter of entries counts."""


def full() -> Meters:
    """Meters each of which has a series."""
    meters = Meters(["key_1"], series_max=2, genai=True)
    for model in ("echo", "b", "c"):
        meters.record(replace(ENTRY, model=model))
    budget = Limit("budget", Measure.MONEY, 10, Window.MONTH, Level.PROJECT)
    claim = Claim(budget, (("organization", "acme"), ("project", "demo")))
    standings = [Standing(claim, 10, 1, 0, 1, refused=False, resets_at=1.0)]
    meters.limits.decided(standings, granted=True)
    meters.limits.stand(standings)
    meters.overhead.observe(("total",), 0.001)
    meters.upstream_requests.add(("simulator", "echo", "200"))
    meters.upstream_duration.observe(("simulator", "echo"), 0.1)
    meters.limit_warnings.labels("acme", "budget", "0.8").inc()
    meters.circuit_state.set(("simulator",), 0)
    meters.circuit_opened.add(("simulator",))
    meters.telemetry_lost.labels("traces").inc()
    meters.use_policy("abc", 1.0)
    meters.limits.stand(standings)
    meters.circuit_state.set(("simulator",), 0)
    return meters


UNITS_REFUSED = ("milliseconds", "ms", "minutes", "hours", "days", "kilobytes", "megabytes",
                 "bits", "percent", "celsius_milli", "nanoseconds", "microseconds")  # fmt: skip


def faults(exposition: str) -> Iterator[str]:
    """What promtool would say, as far as it is easy to say here."""
    for family in text_string_to_metric_families(exposition):
        name, words = family.name, family.name.split("_")
        if not family.documentation:
            yield f"{name}: no help text"
        if not name.startswith(("gateway_", "gen_ai_", "process_")):
            yield f"{name}: a prefix of nobody"
        if name != name.lower():
            yield f"{name}: not in lower case"
        if family.type == "unknown":
            yield f"{name}: no type"
        if family.type != "counter" and name.endswith("_total"):
            yield f"{name}: _total is for counters"
        if family.type == "counter" and any(
            not sample.name.endswith("_total") for sample in family.samples
        ):
            yield f"{name}: a counter without _total"
        if family.type not in ("histogram", "summary") and name.endswith(
            ("_count", "_sum", "_bucket")
        ):
            yield f"{name}: an ending of histograms"
        yield from (f"{name}: unit {unit}" for unit in UNITS_REFUSED if unit in words)
        if {"counter", "gauge", "histogram"} & set(words):
            yield f"{name}: its type in its name"
        for sample in family.samples:
            if "le" in sample.labels and family.type != "histogram":
                yield f"{name}: label le"
            if any(label != label.lower() for label in sample.labels):
                yield f"{name}: a label that is not in lower case"
