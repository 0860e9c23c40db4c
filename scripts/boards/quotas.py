"""Who is near which limit, when it will be used up, and who spends what."""

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

RATE = "[$__rate_interval]"
RANGE = "[$__range]"
WHOSE = 'organization=~"$organization",project=~"$project"'
USED = f'{HERE},{WHOSE},model=~"$model"'
ORGANIZATION = f'{HERE},organization=~"$organization"'
BUDGET = 'job=~"$job",organization=~"$organization",project=~"$project|"'
FORECAST = f"clamp_max(gateway:limit_forecast:ratio{{{BUDGET}}}, 10)"
LIMIT = "organization, project, limit"
FULL = ((None, GREEN), (0.75, YELLOW), (0.9, ORANGE), (1.0, RED))
SOON = ((None, RED), (3600, ORANGE), (86400, YELLOW), (7 * 86400, GREEN))

VARIABLES = (
    Variable(
        "organization",
        "Organization",
        f"label_values(gateway_tokens_total{{{HERE}}}, organization)",
        "An organization of the policy.",
    ),
    Variable(
        "project",
        "Project",
        f"label_values(gateway_tokens_total{{{ORGANIZATION}}}, project)",
        "A project of these organizations.",
    ),
    Variable(
        "model",
        "Model",
        f"label_values(gateway_tokens_total{{{HERE},{WHOSE}}}, model)",
        "A model that they used.",
    ),
)

NOW: tuple[Panel, ...] = (
    stat(
        "Spent",
        "Money spent in the time shown, by currency, at the prices of the policy.",
        "none",
        f"sum by (currency) (increase(gateway_cost_total{{{USED}}}{RANGE}))",
        legend="{{currency}}",
        decimals=2,
    ),
    stat(
        "Tokens",
        "Input and output tokens used in the time shown.",
        "short",
        f'sum(increase(gateway_tokens_total{{{USED},type=~"input|output"}}{RANGE}))',
        decimals=1,
    ),
    stat(
        "Refused for limits",
        "Requests that a limit refused, a second.",
        "reqps",
        f'sum(rate(gateway_limit_decisions_total{{{ORGANIZATION},decision="refused"}}{RATE})) '
        "or vector(0)",
        steps=((None, GREEN), (0.01, YELLOW), (1, ORANGE)),
    ),
    stat(
        "Budgets over 90 %",
        "Budgets by the calendar that are used to more than 90 %.",
        "none",
        f"count(gateway:limit_used:ratio{{{BUDGET}}} > 0.9) or vector(0)",
        steps=((None, GREEN), (1, ORANGE)),
    ),
    stat(
        "Forecast over 100 %",
        "Budgets that will be used up before they begin anew, at the present pace.",
        "none",
        f"count(gateway:limit_forecast:ratio{{{BUDGET}}} > 1) or vector(0)",
        steps=((None, GREEN), (1, ORANGE)),
    ),
    stat(
        "Limits used up",
        "Limits of organizations and projects, rates included, that have no room now.",
        "none",
        f"count(max by ({LIMIT}) (gateway_limit_used_ratio{{{HERE},"
        'organization=~"$organization",project=~"$project|"}) >= 1) or vector(0)',
        steps=((None, GREEN), (1, RED)),
    ),
)

LIMITS: tuple[Panel, ...] = (
    table(
        "Who is near which limit",
        "Each budget by the calendar: how much of it is used or reserved, how much it will be when "
        "it begins anew (at most 1000 % is told), when it is used up at the present pace (no "
        "figure: it stands still), and when it begins anew. The pace is that of the "
        "last day, or of the last hour where a budget ends within a day.",
        (f"max by ({LIMIT}) (gateway:limit_used:ratio{{{BUDGET}}})", "Used"),
        (f"max by ({LIMIT}) ({FORECAST})", "At its end"),
        (
            f"max by ({LIMIT}) (clamp_min(1 - gateway:limit_used:ratio{{{BUDGET}}}, 0) "
            f"/ (gateway:limit_pace:ratio_per_second{{{BUDGET}}} > 0))",
            "Used up in",
        ),
        (f"max by ({LIMIT}) (gateway:limit_to_reset:seconds{{{BUDGET}}})", "Begins anew in"),
        labels=(("organization", "Organization"), ("project", "Project"), ("limit", "Limit")),
        columns={
            "Used": Column("percentunit", FULL, bar=True, decimals=1),
            "At its end": Column("percentunit", FULL, decimals=0),
            "Used up in": Column("s", SOON, decimals=1),
            "Begins anew in": Column("s", decimals=1),
        },
        is_sorted_by="Used",
        height=8,
    ),
    series(
        "Budgets used",
        "How full each budget by the calendar is, reservations included; it falls when it begins "
        "anew.",
        "percentunit",
        (
            f"topk(10, max by ({LIMIT}) (gateway:limit_used:ratio{{{BUDGET}}}))",
            "{{organization}}/{{project}} {{limit}}",
        ),
        steps=((None, GREEN), (0.9, RED)),
    ),
    series(
        "Budgets at their end, forecast",
        "How full each budget will be when it begins anew, at the present pace (at most 1000 % is "
        "told). Above 100 % its callers will be refused before.",
        "percentunit",
        (
            f"topk(10, max by ({LIMIT}) ({FORECAST}))",
            "{{organization}}/{{project}} {{limit}}",
        ),
        steps=((None, GREEN), (1, RED)),
    ),
    series(
        "What limits said",
        "Requests a second by what a limit decided: refused, or would_refuse where it only watches "
        "(modes observe and soft).",
        "reqps",
        (
            "sum by (limit, decision) (rate(gateway_limit_decisions_total"
            f'{{{ORGANIZATION},decision=~"refused|would_refuse"}}{RATE}))',
            "{{limit}} {{decision}}",
        ),
        stacked=True,
    ),
)

SPEND: tuple[Panel, ...] = (
    bars(
        "Top projects by spend",
        "The ten projects that spent most in the time shown.",
        "none",
        "topk(10, sum by (organization, project, currency) "
        f"(increase(gateway_cost_total{{{USED}}}{RANGE})))",
        "{{organization}}/{{project}} ({{currency}})",
        decimals=2,
    ),
    bars(
        "Top models by spend",
        "The ten models that cost most in the time shown.",
        "none",
        f"topk(10, sum by (model, currency) (increase(gateway_cost_total{{{USED}}}{RANGE})))",
        "{{model}} ({{currency}})",
        decimals=2,
    ),
    series(
        "Spend by project",
        "Money an hour, at the pace of each moment.",
        "none",
        (
            "topk(10, sum by (organization, project, currency) "
            f"(rate(gateway_cost_total{{{USED}}}{RATE}))) * 3600",
            "{{organization}}/{{project}} {{currency}}/h",
        ),
        stacked=True,
        decimals=2,
    ),
)

TOKENS: tuple[Panel, ...] = (
    series(
        "Tokens by project",
        "Input and output tokens a second.",
        "short",
        (
            "topk(10, sum by (organization, project) "
            f'(rate(gateway_tokens_total{{{USED},type=~"input|output"}}{RATE})))',
            "{{organization}}/{{project}}",
        ),
        stacked=True,
    ),
    series(
        "Tokens by type",
        "A second. Cached input and audio input are parts of input, reasoning and audio output of "
        "output.",
        "short",
        (f"sum by (type) (rate(gateway_tokens_total{{{USED}}}{RATE}))", "{{type}}"),
    ),
    series(
        "How tokens are known",
        "provider: the upstream told; counted: by our tokenizer; estimated: an answer ended early; "
        "abandoned: nobody saw the end, so that the bound is booked.",
        "short",
        (
            f'sum by (source) (rate(gateway_tokens_total{{{USED},type=~"input|output"}}{RATE}))',
            "{{source}}",
        ),
        stacked=True,
    ),
)

BOARD = Board(
    uid="gateway-quotas",
    title="Completion Gateway / Quotas and spend",
    description="Who is near which limit, when it will be used up, and who spends what. Budgets "
    "need the recording rules of the chart; figures by key are in `gateway usage`.",
    rows=(("Now", NOW), ("Limits", LIMITS), ("Spend", SPEND), ("Use of tokens", TOKENS)),
    variables=VARIABLES,
)
