"""What a policy file may say: every table and every field, once.

The parser reads by these tables, and the JSON Schema and docs/reference/policy.md are written from
them, so the three cannot differ.
"""

from __future__ import annotations

from gateway.policy.fields import Field, Named, Several, Table
from gateway.policy.format_models import MODEL, UPSTREAM
from gateway.policy.format_redaction import ENTITY, NER, RECOGNIZER, profile_table
from gateway.policy.policy import OnLedgerOutage
from gateway.policy.words import (
    CURRENCY,
    MODEL_NAME,
    MODEL_PATTERN,
    NAME,
    amount,
    flag,
    member,
    share,
    whole,
    zone,
)
from gateway.quota.limit import Level, Measure, Mode, Window

LIMIT = Table(
    "limit",
    "How much of something may be used in a window, by each of those that it counts.",
    (
        Field("name", NAME, "What a 429 and the meters call it.", required=True),
        Field(
            "measure",
            member(Measure),
            "What is counted; `tokens` is input and output together.",
            required=True,
        ),
        Field(
            "amount",
            amount(minimum=0),
            "How much: a whole number above 0; for money with its currency, as in 25 USD. With "
            "`per: none` also 0, where grants make the balance.",
            required=True,
        ),
        Field(
            "per",
            member(Window),
            "second, minute and hour refill steadily; day and longer begin anew by the calendar; "
            "none never does. Not for concurrency.",
        ),
        Field(
            "each",
            member(Level),
            "One counter for each of these; the organization, or inside a project or plan the "
            "project, if left out.",
        ),
        Field("model", MODEL_NAME, "Counts only this model."),
        Field(
            "mode",
            member(Mode),
            "`observe` counts and reports, but never refuses; `soft` also tells the caller, in "
            "the header `x-gateway-limit-exceeded`.",
            default="enforce",
        ),
        Field(
            "rollover",
            amount(),
            "At most so much of what the last window left unused is added to this one; written as "
            "`amount`. For day and longer.",
        ),
        Field(
            "warn_at",
            Several(share(), "share"),
            "Parts of the amount that are warned of when use passes them, rising, as in "
            "[0.8, 0.95]. For day and longer, and for none.",
        ),
        Field(
            "clamp",
            flag(),
            "`true`: a request that is too large has its output cap made smaller, to what is left. "
            "For tokens, output_tokens and money that are enforced.",
            default="false",
        ),
    ),
)

LIMITS = Several(LIMIT, "limit", may_be_empty=True)
PATTERNS = Several(MODEL_PATTERN, "model pattern")

PLAN = Table(
    "plan",
    "Models, redaction and limits that several projects share.",
    (
        Field("models", PATTERNS, "Models that its projects may use: names or shell patterns."),
        Field("redaction", NAME, "The redaction profile of its projects."),
        Field("limits", LIMITS, "Hold in each of its projects, counted for each one by itself."),
    ),
)

PROJECT = Table(
    "project",
    "What keys belong to. What it says itself wins over its plan; its limits are added.",
    (
        Field("plan", NAME, "Its plan; that of the organization's defaults if left out."),
        Field("models", PATTERNS, "Models that it may use, instead of its plan's."),
        Field("redaction", NAME, "Its redaction profile, instead of its plan's."),
        Field("limits", LIMITS, "Hold in this project, besides those of its plan."),
    ),
)

DEFAULTS = Table(
    "defaults",
    "For projects that do not say otherwise.",
    (
        Field("plan", NAME, "The plan of projects that name none."),
        Field(
            "redaction", NAME, "The profile of projects where neither they nor their plan say one."
        ),
    ),
)

ORGANIZATION = Table(
    "organization",
    "A tenant: its calendar, its currency, its limits and its projects.",
    (
        Field("timezone", zone(), "Where its days and months begin.", default="UTC"),
        Field(
            "month_starts_on",
            whole(1, 28),
            "Day on which its months begin; its quarters and years begin on such a day, too.",
            default="1",
        ),
        Field(
            "year_starts_in",
            whole(1, 12),
            "Month in which its years begin, as a number; quarters follow from there.",
            default="1",
        ),
        Field("currency", CURRENCY, "What its money is counted in.", default="USD"),
        Field(
            "on_ledger_outage",
            member(OnLedgerOutage),
            "While the ledger cannot be asked: `refuse` with 503, or `admit` without limits, and "
            "book what was used when it is back.",
            default="refuse",
        ),
        Field("defaults", DEFAULTS, DEFAULTS.help),
        Field("limits", LIMITS, "Hold for all its projects together, or `each` of what they name."),
        Field(
            "projects",
            Named(NAME, PROJECT, "project"),
            "Its projects; keys belong to them.",
            required=True,
        ),
    ),
)


def policy_file(entities: frozenset[str]) -> Table:
    """A whole file. `entities` are what the detector can look for."""
    profile = profile_table(entities)
    return Table(
        "policy",
        "Policies of the Completion Gateway. All files of the folder are one bundle.",
        (
            Field("upstreams", Named(NAME, UPSTREAM, "upstream"), UPSTREAM.help),
            Field("models", Named(MODEL_NAME, MODEL, "model"), MODEL.help),
            Field("redaction", Named(NAME, profile, "redaction profile"), profile.help),
            Field("recognizers", Named(ENTITY, RECOGNIZER, "recognizer"), RECOGNIZER.help),
            Field("ner", Named(NAME, NER, "NER engine"), NER.help),
            Field("plans", Named(NAME, PLAN, "plan"), PLAN.help),
            Field("organizations", Named(NAME, ORGANIZATION, "organization"), ORGANIZATION.help),
        ),
    )
