"""Providers: whether they answer, how fast, and what they refuse."""

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
    series,
    stat,
    states,
    table,
)

RATE = "[$__rate_interval]"
OF = f'{HERE},upstream=~"$upstream",model=~"$model"'
BAD = "5..|429|401|403|error"
CIRCUIT = {0: ("closed", GREEN), 1: ("half open", YELLOW), 2: ("open", RED)}
ERRORS = ((None, GREEN), (0.02, YELLOW), (0.1, RED))

VARIABLES = (
    Variable(
        "upstream",
        "Upstream",
        f"label_values(gateway_upstream_requests_total{{{HERE}}}, upstream)",
        "An upstream of the policy.",
    ),
    Variable(
        "model",
        "Model",
        f'label_values(gateway_upstream_requests_total{{{HERE},upstream=~"$upstream"}}, model)',
        "A model that these upstreams serve.",
    ),
)


def share(codes: str, by: str = "") -> str:
    grouped = f" by ({by})" if by else ""
    bad = f'sum{grouped} (rate(gateway_upstream_requests_total{{{OF},code=~"{codes}"}}{RATE}))'
    whole = f"sum{grouped} (rate(gateway_upstream_requests_total{{{OF}}}{RATE}))"
    return f"({bad} or 0 * {whole}) / ({whole} > 0)"


def quantile(portion: float, meter: str, labels: str, by: str) -> str:
    return (
        f"histogram_quantile({portion}, "
        f"sum by (le, {by}) (rate(gateway_{meter}_seconds_bucket{{{labels}}}{RATE})))"
    )


NOW: tuple[Panel, ...] = (
    stat(
        "Requests",
        "Requests sent upstream a second.",
        "reqps",
        f"sum(rate(gateway_upstream_requests_total{{{OF}}}{RATE}))",
    ),
    stat(
        "Failed",
        "Share of requests that an upstream failed or refused because of our account: 5xx, 429, "
        "401, 403, no answer.",
        "percentunit",
        share(BAD),
        steps=ERRORS,
    ),
    stat(
        "Account limited",
        "Share of requests that an upstream refused with 429: the account's own rate or budget.",
        "percentunit",
        share("429"),
        steps=((None, GREEN), (0.01, YELLOW), (0.05, ORANGE)),
    ),
    stat(
        "Key refused",
        "Requests a second that an upstream refused with 401 or 403: the gateway's key is wrong.",
        "reqps",
        f'sum(rate(gateway_upstream_requests_total{{{OF},code=~"401|403"}}{RATE})) or vector(0)',
        steps=((None, GREEN), (0.000001, RED)),
    ),
    stat(
        "Circuits open",
        "Upstreams that are not asked now because they failed too often.",
        "none",
        f'count(max by (upstream) (gateway_circuit_state{{{HERE},upstream=~"$upstream"}}) == 2) '
        "or vector(0)",
        steps=((None, GREEN), (1, RED)),
    ),
    stat(
        "In work",
        "Requests in work now.",
        "none",
        f"sum(gateway_inflight_requests{{{HERE}}})",
    ),
)

ANSWERS: tuple[Panel, ...] = (
    series(
        "Answers by code",
        "HTTP status of each request sent upstream; `error` is one without an answer: not reached, "
        "broken off, too slow.",
        "reqps",
        (f"sum by (code) (rate(gateway_upstream_requests_total{{{OF}}}{RATE}))", "{{code}}"),
        stacked=True,
    ),
    series(
        "Failed by upstream",
        "Share of its requests that each upstream failed or refused. Above 10 % for 10 minutes "
        "there is an alert.",
        "percentunit",
        (share(BAD, "upstream"), "{{upstream}}"),
        steps=((None, GREEN), (0.1, RED)),
    ),
    series(
        "Failed by model",
        "The same by model. It tells whether one model fails, or the whole upstream.",
        "percentunit",
        (share(BAD, "model"), "{{model}}"),
    ),
    states(
        "Circuits",
        "closed: asked as usual; open: not asked, because it failed too often; half open: tried "
        "with single requests.",
        f'max by (upstream) (gateway_circuit_state{{{HERE},upstream=~"$upstream"}})',
        "{{upstream}}",
        states=CIRCUIT,
        width=24,
        height=5,
    ),
)

TIMES: tuple[Panel, ...] = (
    series(
        "Whole reply, p50 and p95",
        "From sending a request upstream to the end of its reply.",
        "s",
        (quantile(0.5, "upstream_duration", OF, "upstream"), "{{upstream}} p50"),
        (quantile(0.95, "upstream_duration", OF, "upstream"), "{{upstream}} p95"),
    ),
    series(
        "Whole reply by model, p95",
        "From sending a request upstream to the end of its reply, for each model.",
        "s",
        (quantile(0.95, "upstream_duration", OF, "model"), "{{model}}"),
    ),
    series(
        "First token by model, p95",
        "From the head of a request to the first event of its stream; what the gateway adds is "
        "in it.",
        "s",
        (quantile(0.95, "time_to_first_token", f'{HERE},model=~"$model"', "model"), "{{model}}"),
    ),
)

EACH: tuple[Panel, ...] = (
    table(
        "Each upstream",
        "What each upstream does now.",
        (f"sum by (upstream) (rate(gateway_upstream_requests_total{{{OF}}}{RATE}))", "Requests"),
        (share(BAD, "upstream"), "Failed"),
        (share("429", "upstream"), "Limited"),
        (share("error", "upstream"), "No answer"),
        (quantile(0.5, "upstream_duration", OF, "upstream"), "Reply p50"),
        (quantile(0.95, "upstream_duration", OF, "upstream"), "Reply p95"),
        labels=(("upstream", "Upstream"),),
        columns={
            "Requests": Column("reqps"),
            "Failed": Column("percentunit", ERRORS, decimals=1),
            "Limited": Column("percentunit", ERRORS, decimals=1),
            "No answer": Column("percentunit", ERRORS, decimals=1),
            "Reply p50": Column("s"),
            "Reply p95": Column("s"),
        },
        is_sorted_by="Failed",
        height=6,
    ),
)

BOARD = Board(
    uid="gateway-upstreams",
    title="Completion Gateway / Upstreams",
    description="Providers: whether they answer, how fast, and what they refuse.",
    rows=(("Now", NOW), ("Answers", ANSWERS), ("Time", TIMES), ("Each one", EACH)),
    variables=VARIABLES,
)
