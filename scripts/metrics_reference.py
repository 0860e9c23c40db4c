"""The page of meters, docs/reference/metrics.md: what the code says, and what labels mean."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry

from gateway.meters.metrics import Meters

METRICS_INTRO = """# Metrics

Served as `/metrics` on the operations port (`GATEWAY_OPS_PORT`), in the text format of Prometheus.
Labels hold names out of the policies only, never a key, a user or anything else that a caller made
up: a model that no policy names is `other`. Figures for each key are in the usage database
(`gateway usage --by key`), and for keys in `GATEWAY_METER_KEYS` here.

`process_…` is what Python's client of Prometheus tells of every process on Linux (CPU, memory, open
files). How to scrape, what bounds the series, and OpenTelemetry:
[telemetry](../operate/telemetry.md).
"""

GENAI = "With `GATEWAY_METER_GENAI=on` only."

METRIC_NOTES = {
    "gateway_overhead_seconds": "`stage` is `authenticate`, `match`, `redact`, `admit` or "
    "`settle`, and `total`, the sum of these for one request.",
    "gateway_errors_total": "`code` is one of [errors](errors.md), or `other`. An error of an "
    "upstream that is passed on has none and is not counted here.",
    "gateway_circuit_state": "0: closed, all requests are sent. 1: half open, one request tries "
    "the upstream. 2: open, requests are refused with `upstream_circuit_open`.",
    "gateway_series_refused_total": "`meter` has `GATEWAY_METER_SERIES_MAX` sets of label values; "
    "what would be one more is counted under `other` in each label, or left out of a gauge.",
    "gateway_telemetry_lost_total": "`signal` is `traces` or `metrics`; with `GATEWAY_OTEL=on`.",
    "gateway_key_requests_total": "Keys in `GATEWAY_METER_KEYS` only.",
    "gateway_key_tokens_total": "Keys in `GATEWAY_METER_KEYS` only.",
    "gateway_key_cost_total": "Keys in `GATEWAY_METER_KEYS` only.",
    "gateway_reservations_open": "Those that are neither settled nor released. What another "
    "process left behind is not among them.",
    "gen_ai_client_token_usage": GENAI,
    "gen_ai_server_request_duration_seconds": GENAI + " `error_type` is empty where all went well, "
    "else a code of [errors](errors.md), the status, or the outcome.",
    "gen_ai_server_time_to_first_token_seconds": GENAI,
    "gateway_tokens_total": "`source` is how we know: `provider`, `counted`, `estimated`, or "
    "`abandoned`, the bound of a request whose end nobody saw. That one is counted by the process "
    "that puts it into the book, which need not be the one that had the request.",
    "gateway_cost_total": "`source` as of `gateway_tokens_total`.",
    "gateway_redactions_total": "`direction` is `request`, or `answer` for what the model wrote of "
    "itself.",
    "gateway_connections_refused_total": "`reason` is the setting that says how many: "
    "`connections` (`GATEWAY_CONNECTIONS_MAX`) or `connections_per_address`.",
    "gateway_degraded": """`part` is

* `policy`: the policy files have errors, and the last good policy is in force;
* `schema`: the database cannot be read, or its tables are not those of this version (looked at by
  each scrape);
* `ledger`: the ledger cannot be asked or takes no writes, so requests are refused, or admitted
  without it (looked at by each scrape);
* `journal`: usage cannot be written and the buffer is full, so requests are refused;
* `ner`: the model of an NER engine in the policy does not load;
* `ocr`: the policy wants pictures to be read, and what reads them does not load;
* `sweep`: reservations that nobody came back for cannot be booked now;
* `background`: work beside requests ended by itself and is begun again;
* `retention`: old entries cannot be pruned.""",
}
"""What the values of a label mean, where the help text of a meter has no room for it."""


def metrics_page(made: str) -> str:
    parts = [made.format(source="gateway/meters/metrics.py"), METRICS_INTRO]
    for name, kind, labels, help, buckets in meters():
        parts.append(f"\n## `{name}`\n\n{help}\n\n")
        if name in METRIC_NOTES:
            parts.append(f"{METRIC_NOTES[name]}\n\n")
        parts.append(f"* Type: {kind}\n")
        parts.append(f"* Labels: {', '.join(f'`{label}`' for label in labels) or 'none'}\n")
        if buckets:
            parts.append(f"* Buckets: {' '.join(f'{bound:g}' for bound in buckets)}\n")
    return "".join(parts)


def meters() -> Iterator[tuple[str, str, tuple[str, ...], str, tuple[float, ...]]]:
    """Name as exposed, type, labels, help and buckets of every meter."""
    made = Meters(genai=True)
    rooms = (made.entries, made.limits, made, made.genai)
    for meter in [meter for room in rooms for meter in vars(room).values()]:
        if not hasattr(meter, "collect") or isinstance(meter, CollectorRegistry):
            continue
        (family,) = meter.collect()
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = meter.labels if hasattr(meter, "name") else meter._labelnames
        yield name, family.type, labels, family.documentation, getattr(meter, "bounds", ())
