"""What private values are found, where, what becomes of them, and what that costs."""

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
    states,
    table,
)

RATE = "[$__rate_interval]"
RANGE = "[$__range]"
FOUND = f'{HERE},entity=~"$entity"'
BLOCKING = "pii_blocked|answer_blocked|text_too_long|images_refused|images_unreadable"
FAILED = f'{HERE},code="redaction_failed"'
WHOLE = {0: ("well", GREEN), 1: ("not whole", RED)}

ENTITY = Variable(
    "entity",
    "Entity",
    f"label_values(gateway_redactions_total{{{HERE}}}, entity)",
    "A kind of private value, such as EMAIL_ADDRESS.",
)


def quantile(share: float) -> str:
    return (
        f"histogram_quantile({share}, "
        f"sum by (le) (rate(gateway_redaction_duration_seconds_bucket{{{HERE}}}{RATE})))"
    )


NOW: tuple[Panel, ...] = (
    stat(
        "Found",
        "Private values found in the time shown, in requests and answers.",
        "short",
        f"sum(increase(gateway_redactions_total{{{FOUND}}}{RANGE})) or vector(0)",
        decimals=0,
    ),
    stat(
        "Found in answers",
        "Of these, what a model wrote of itself.",
        "short",
        f'sum(increase(gateway_redactions_total{{{FOUND},direction="answer"}}{RANGE})) '
        "or vector(0)",
        decimals=0,
    ),
    stat(
        "Requests blocked",
        "Requests in the time shown that were refused because of what stands in them, or because "
        "nobody can say what does.",
        "short",
        f'sum(increase(gateway_errors_total{{{HERE},code=~"{BLOCKING}"}}{RANGE})) or vector(0)',
        steps=((None, GREEN), (1, ORANGE)),
        decimals=0,
    ),
    stat(
        "Redaction failed",
        "Requests in the time shown that were refused because the detector failed or was late: "
        "nothing of them left.",
        "short",
        f"sum(increase(gateway_errors_total{{{FAILED}}}{RANGE}))",
        steps=((None, GREEN), (1, RED)),
        decimals=0,
    ),
    stat(
        "Without NER",
        "Requests in the time shown that went on although their NER engine failed or was late "
        "(`on_detector_failure: without_ner`): names in them may have left.",
        "short",
        f"sum(increase(gateway_redactions_without_ner_total{{{HERE}}}{RANGE}))",
        steps=((None, GREEN), (1, ORANGE)),
        decimals=0,
    ),
    stat(
        "Time, p95",
        "What 95 of 100 requests wait for redaction, at most.",
        "s",
        quantile(0.95),
        steps=((None, GREEN), (0.05, YELLOW), (0.25, RED)),
    ),
)

WHAT: tuple[Panel, ...] = (
    series(
        "Found by kind",
        "Values a second, the ten kinds that are found most.",
        "short",
        (
            f"topk(10, sum by (entity) (rate(gateway_redactions_total{{{FOUND}}}{RATE})))",
            "{{entity}}",
        ),
        stacked=True,
        width=12,
    ),
    series(
        "What became of them",
        "Values a second by the action of the profile: placeholder and replace are restored in the "
        "answer, mask and hash are not, block refuses the request, report only counts.",
        "short",
        (f"sum by (action) (rate(gateway_redactions_total{{{FOUND}}}{RATE}))", "{{action}}"),
        stacked=True,
        width=12,
    ),
)

WHERE: tuple[Panel, ...] = (
    series(
        "In requests and answers",
        "Values a second by where they stood.",
        "short",
        (
            f"sum by (direction) (rate(gateway_redactions_total{{{FOUND}}}{RATE}))",
            "{{direction}}",
        ),
        stacked=True,
    ),
    bars(
        "Top kinds",
        "The ten kinds that were found most in the time shown.",
        "short",
        f"topk(10, sum by (entity) (increase(gateway_redactions_total{{{FOUND}}}{RANGE})))",
        "{{entity}}",
        decimals=0,
    ),
    series(
        "Blocked",
        "Requests a second that were refused, by the code of the error.",
        "reqps",
        (
            f'sum by (code) (rate(gateway_errors_total{{{HERE},code=~"{BLOCKING}"}}{RATE})) > 0',
            "{{code}}",
        ),
        stacked=True,
    ),
    table(
        "Kinds and actions",
        "What was found in the time shown: how often, where, and what was done with it.",
        (
            "sum by (entity, action, direction) "
            f"(increase(gateway_redactions_total{{{FOUND}}}{RANGE}))",
            "Found",
        ),
        labels=(("entity", "Kind"), ("action", "Action"), ("direction", "Where")),
        columns={"Found": Column("short", decimals=0)},
        is_sorted_by="Found",
        height=7,
    ),
)

COST: tuple[Panel, ...] = (
    series(
        "Time to redact",
        "What a request waits for redaction. It grows with its texts; an NER engine or pictures "
        "take most.",
        "s",
        (quantile(0.5), "p50"),
        (quantile(0.95), "p95"),
        (quantile(0.99), "p99"),
    ),
    series(
        "Failures",
        "Requests a second that were refused because the detector failed, and that went on without "
        "an NER engine.",
        "reqps",
        (f"sum(rate(gateway_errors_total{{{FAILED}}}{RATE}))", "refused"),
        (f"sum(rate(gateway_redactions_without_ner_total{{{HERE}}}{RATE}))", "without NER"),
    ),
    states(
        "Models of redaction",
        "Whether the models for names (ner) and pictures (ocr) that the policy wants are loaded.",
        f'max by (part) (gateway_degraded{{{HERE},part=~"ner|ocr"}})',
        "{{part}}",
        states=WHOLE,
    ),
)

BOARD = Board(
    uid="gateway-privacy",
    title="Completion Gateway / Privacy",
    description="What private values are found, where, what becomes of them, and what is blocked. "
    "Values themselves are nowhere: not in meters, not in the log, not in the book.",
    rows=(("Now", NOW), ("What is found", WHAT), ("Where, and blocked", WHERE), ("Cost", COST)),
    variables=(ENTITY,),
)
