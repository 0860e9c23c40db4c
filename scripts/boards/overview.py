"""The dashboard to begin with: is it well, are the objectives kept, what is asked of it."""

from __future__ import annotations

from boards.panels import (
    GREEN,
    HERE,
    ORANGE,
    RED,
    YELLOW,
    Board,
    Column,
    Panel,
    Variable,
    bars,
    series,
    stat,
    table,
)

MODEL = Variable(
    "model",
    "Model",
    'label_values(gateway_requests_total{job=~"$job",instance=~"$instance"}, model)',
    "A model of the policy, as callers ask for it.",
)
OF = f'{HERE},model=~"$model"'
RATE = "[$__rate_interval]"
BURN = ((None, GREEN), (1, YELLOW), (6, ORANGE), (14.4, RED))


def quantile(share: float, meter: str, labels: str, by: str = "") -> str:
    return (
        f"histogram_quantile({share}, "
        f"sum by (le{by}) (rate(gateway_{meter}_seconds_bucket{{{labels}}}{RATE})))"
    )


NOW: tuple[Panel, ...] = (
    stat(
        "Requests",
        "Requests answered a second, whatever the answer.",
        "reqps",
        f"sum(rate(gateway_requests_total{{{OF}}}{RATE}))",
        width=3,
    ),
    stat(
        "Failed by us",
        "Share of requests that failed by the gateway's own fault: a 5xx that is no upstream's, or "
        "an answer that broke off. This is what the availability objective counts.",
        "percentunit",
        f'((sum(rate(gateway_requests_total{{{OF},outcome="failed"}}{RATE})) or vector(0)) '
        f'+ (sum(rate(gateway_requests_total{{{OF},outcome="refused",status=~"5.."}}{RATE})) '
        "or vector(0))) "
        f'/ (sum(rate(gateway_requests_total{{{OF},status=~"[235].."}}{RATE})) > 0)',
        steps=((None, GREEN), (0.001, YELLOW), (0.01, RED)),
        width=3,
    ),
    stat(
        "Failed upstream",
        "Share of requests that failed because of an upstream: errors, time-outs, answers that are "
        "none.",
        "percentunit",
        f'(sum(rate(gateway_requests_total{{{OF},outcome=~"upstream_error|timeout"}}{RATE})) '
        f"or vector(0)) / (sum(rate(gateway_requests_total{{{OF}}}{RATE})) > 0)",
        steps=((None, GREEN), (0.02, YELLOW), (0.1, RED)),
        leads_to="gateway-upstreams",
        width=3,
    ),
    stat(
        "Added time, p95",
        "What 95 of 100 requests wait for the gateway itself, at most: key, policy, redaction, "
        "reservation, booking.",
        "s",
        quantile(0.95, "overhead", f'{HERE},stage="total"'),
        steps=((None, GREEN), (0.05, YELLOW), (0.1, RED)),
        width=3,
    ),
    stat(
        "First token, p95",
        "What 95 of 100 streams need to their first event, at most; the upstream's time included.",
        "s",
        quantile(0.95, "time_to_first_token", OF),
        steps=((None, GREEN), (2, YELLOW), (5, RED)),
        width=3,
    ),
    stat(
        "Processes",
        "Processes of the gateway that Prometheus reaches.",
        "none",
        f"count(gateway_build_info{{{HERE}}})",
        width=3,
        steps=((None, RED), (1, GREEN)),
    ),
    stat(
        "Alerts firing",
        "Alerts of the gateway that fire now; docs/operate/alerts.md lists them.",
        "none",
        'count(ALERTS{alertname=~"Gateway.*",alertstate="firing",job=~"$job|"}) or vector(0)',
        width=3,
        steps=((None, GREEN), (1, RED)),
    ),
    stat(
        "Not whole",
        "Parts of the gateway that are degraded now, over all processes.",
        "none",
        f"sum(gateway_degraded{{{HERE}}})",
        steps=((None, GREEN), (1, RED)),
        leads_to="gateway-ledger",
        width=3,
    ),
)

OBJECTIVES: tuple[Panel, ...] = (
    bars(
        "Error budget left",
        "Of the errors that the objective allows for the traffic of the time shown, the share that "
        "is left. Below 0 the objective is missed.",
        "percentunit",
        '1 - (sum by (slo) (sum_over_time(gateway:slo_bad:rate5m{job=~"$job"}[$__range])) '
        '/ (sum by (slo) (sum_over_time(gateway:slo_all:rate5m{job=~"$job"}[$__range])) > 0)) '
        "/ on (slo) (1 - gateway:slo_objective:ratio)",
        "{{slo}}",
        steps=((None, RED), (0, ORANGE), (0.25, YELLOW), (0.5, GREEN)),
        min=-1,
        max=1,
        decimals=1,
    ),
    series(
        "Burn rate of the last hour",
        "How many times faster than allowed the error budget is used up: at 1 it lasts exactly for "
        "its 30 days; from 14.4 on somebody is paged.",
        "none",
        (
            'gateway:slo_errors:ratio_rate1h{job=~"$job"} '
            "/ on (slo) group_left () (1 - gateway:slo_objective:ratio)",
            "{{slo}}",
        ),
        steps=BURN,
        decimals=2,
    ),
    series(
        "Kept, of the last 5 minutes",
        "The share of requests that kept each objective; what is promised is recorded as "
        "gateway:slo_objective:ratio.",
        "percentunit",
        ('1 - gateway:slo_errors:ratio_rate5m{job=~"$job"}', "{{slo}}"),
        min=0.9,
        max=1,
    ),
)

TRAFFIC: tuple[Panel, ...] = (
    series(
        "Requests by outcome",
        "How requests ended: ok, refused by a rule, failed upstream, by time-out or by our own "
        "fault, the caller left, or abandoned.",
        "reqps",
        (f"sum by (outcome) (rate(gateway_requests_total{{{OF}}}{RATE}))", "{{outcome}}"),
        stacked=True,
    ),
    series(
        "Requests by model",
        "The ten models that are asked for most; `other` is what no policy names.",
        "reqps",
        (f"topk(10, sum by (model) (rate(gateway_requests_total{{{OF}}}{RATE})))", "{{model}}"),
        stacked=True,
    ),
    series(
        "Errors told to callers",
        "By the `code` of the error; docs/reference/errors.md says what each one means.",
        "reqps",
        (f"sum by (code) (rate(gateway_errors_total{{{HERE}}}{RATE})) > 0", "{{code}}"),
        stacked=True,
    ),
)

TIMES: tuple[Panel, ...] = (
    series(
        "Added time",
        "What requests wait for the gateway itself. The objective counts those above 0.1 s.",
        "s",
        (quantile(0.5, "overhead", f'{HERE},stage="total"'), "p50"),
        (quantile(0.95, "overhead", f'{HERE},stage="total"'), "p95"),
        (quantile(0.99, "overhead", f'{HERE},stage="total"'), "p99"),
    ),
    series(
        "Added time by stage",
        "The mean of each step of a request. Redaction grows with the text; admit and settle wait "
        "for the ledger.",
        "s",
        (
            f'sum by (stage) (rate(gateway_overhead_seconds_sum{{{HERE},stage!="total"}}{RATE})) '
            "/ ignoring (stage) group_left () "
            f'(sum(rate(gateway_overhead_seconds_count{{{HERE},stage="total"}}{RATE})) > 0)',
            "{{stage}}",
        ),
        stacked=True,
    ),
    series(
        "First token and whole answer",
        "From the head of a request to the first event of its stream, and to its last.",
        "s",
        (quantile(0.5, "time_to_first_token", OF), "first token p50"),
        (quantile(0.95, "time_to_first_token", OF), "first token p95"),
        (quantile(0.5, "request_duration", OF), "answer p50"),
        (quantile(0.95, "request_duration", OF), "answer p95"),
    ),
)

CONNECTIONS: tuple[Panel, ...] = (
    series(
        "Open connections",
        "Connections of callers that are open, by process; GATEWAY_CONNECTIONS_MAX bounds them.",
        "none",
        (f"sum by (instance) (gateway_connections{{{HERE}}})", "{{instance}}"),
        width=10,
    ),
    series(
        "Refused connections",
        "Connections that were closed as one too many, by the bound that said so: of the port, or "
        "of one address. Above 0 callers get 503 before they asked anything.",
        "ops",
        (
            f"sum by (reason) (rate(gateway_connections_refused_total{{{HERE}}}{RATE}))",
            "{{reason}}",
        ),
        width=10,
        stacked=True,
    ),
    stat(
        "TLS certificate, days",
        "Days until the certificate in use ends, of the process where it ends first. Below 0 no "
        "client connects. Without TLS there is no figure.",
        "none",
        f"(min(gateway_tls_expires_timestamp_seconds{{{HERE}}} > 0) - time()) / 86400",
        steps=((None, RED), (7, ORANGE), (30, GREEN)),
        decimals=1,
        height=8,
        no_value="no TLS",
    ),
)

PROCESSES: tuple[Panel, ...] = (
    table(
        "What each process does",
        "Each process of the gateway: its version, since when it runs, what it has in work and "
        "what it takes.",
        (f"max by (instance, version) (gateway_build_info{{{HERE}}})", "Runs"),
        (f"time() - max by (instance) (gateway_start_time_seconds{{{HERE}}})", "Up for"),
        (f"sum by (instance) (rate(gateway_requests_total{{{HERE}}}{RATE}))", "Requests"),
        (f"sum by (instance) (gateway_inflight_requests{{{HERE}}})", "In work"),
        (f"sum by (instance) (rate(process_cpu_seconds_total{{{HERE}}}{RATE}))", "CPU"),
        (f"sum by (instance) (process_resident_memory_bytes{{{HERE}}})", "Memory"),
        (f"sum by (instance) (process_open_fds{{{HERE}}})", "Open files"),
        labels=(("instance", "Instance"), ("version", "Version")),
        columns={
            "Up for": Column("s", decimals=0),
            "Requests": Column("reqps"),
            "CPU": Column("percentunit", ((None, GREEN), (0.7, YELLOW), (0.9, RED)), decimals=1),
            "Memory": Column("bytes", decimals=0),
        },
        height=6,
        is_sorted_by="Requests",
    ),
)

BOARD = Board(
    uid="gateway-overview",
    title="Completion Gateway / Overview",
    description="Is it well, are its objectives kept, what is asked of it. "
    "The objectives need the recording rules of the chart.",
    rows=(
        ("Now", NOW),
        ("Objectives", OBJECTIVES),
        ("Traffic", TRAFFIC),
        ("Time", TIMES),
        ("Connections", CONNECTIONS),
        ("Each process", PROCESSES),
    ),
    variables=(MODEL,),
)
