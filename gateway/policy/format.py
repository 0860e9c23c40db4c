"""What a policy file may say: every table and every field, once.

The parser reads by these tables, and the JSON Schema and docs/reference/policy.md are written from
them, so the three cannot differ.
"""

from __future__ import annotations

from gateway.policy.fields import Field, Named, Several, Table
from gateway.policy.policy import Endpoint, Tokenizer, WithoutKey
from gateway.policy.words import (
    amount,
    choice,
    duration,
    flag,
    fraction,
    matching,
    member,
    price,
    url,
    whole,
    zone,
)
from gateway.privacy.redact import Action
from gateway.quota.limit import Level, Measure, Mode, Window

TOKENS_MAX = 10**9
PRICE_CURRENCY = "USD"

NAME = matching(
    r"[a-z0-9][a-z0-9._-]{0,63}",
    "a name of at most 64 lower-case letters, digits, `.`, `_` and `-`, such as team-a",
)
MODEL_NAME = matching(
    r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}",
    "a name of at most 200 letters, digits and `._:/@+-`, such as gpt-4o-mini",
)
MODEL_PATTERN = matching(
    r"[A-Za-z0-9._:/@+*?!\[\]-]{1,200}",
    "a model's name or a shell pattern, such as gpt-4o-mini or gpt-*",
)
VARIABLE = matching(
    r"[A-Za-z_][A-Za-z0-9_]{0,127}",
    "the name of an environment variable, such as OPENAI_API_KEY",
    secret=True,
)
CURRENCY = matching(r"[A-Z]{3}", "three capitals, such as USD or EUR")
TEXT = matching(r"[^\x00-\x20\x7f](?:[^\x00-\x1f\x7f]{0,198}[^\x00-\x20\x7f])?", "a short text")

UPSTREAM = Table(
    "upstream",
    "A provider: where requests go, and how long they may take.",
    (
        Field("base_url", url(), "Where the API begins, version included: https://host/v1."),
        Field(
            "base_url_env",
            VARIABLE,
            "Environment variable that, when set, replaces `base_url`.",
        ),
        Field(
            "api_key_env",
            VARIABLE,
            "Environment variable that holds the upstream's key. The key itself never stands here.",
        ),
        Field(
            "without_key",
            member(WithoutKey),
            "While that variable is not set: `refuse` with 503, or `simulate` with the built-in "
            "upstream.",
            default="refuse",
        ),
        Field(
            "simulated",
            flag(),
            "`true`: the built-in upstream, which needs no URL and no key.",
            default="false",
        ),
        Field("connect_timeout", duration(), "A connection must be made by then.", default="5s"),
        Field("idle_timeout", duration(), "Longest silence inside an answer.", default="60s"),
        Field("total_timeout", duration(), "An answer must be complete by then.", default="10m"),
    ),
)

PRICE = Table(
    "price",
    "What a million tokens cost; decimals are exact, down to a billionth.",
    (
        Field("input", price(), "The price of input tokens.", required=True),
        Field(
            "cached_input",
            price(),
            "That of input tokens from the upstream's cache; `input` if left out.",
        ),
        Field("output", price(), "That of output tokens; may be left out for embeddings only."),
        Field(
            "reasoning", price(), "That of output tokens spent on reasoning; `output` if left out."
        ),
        Field(
            "currency",
            CURRENCY,
            "Must be that of every organization that may use the model; a price of 0 fits all.",
            default=PRICE_CURRENCY,
        ),
    ),
)

MODEL = Table(
    "model",
    "A model that callers can name.",
    (
        Field("upstream", NAME, "The upstream that serves it.", required=True),
        Field("upstream_model", TEXT, "Its name there; the same name if left out."),
        Field(
            "endpoints",
            Several(member(Endpoint, without=[Endpoint.MODELS]), "endpoint"),
            "What it serves: chat, completions (legacy), embeddings.",
            required=True,
        ),
        Field("price", PRICE, "What it costs; needed wherever a money limit holds."),
        Field(
            "context",
            whole(1, TOKENS_MAX, "of tokens"),
            "Most tokens of prompt and output together.",
            required=True,
        ),
        Field(
            "max_output",
            whole(1, TOKENS_MAX, "of tokens"),
            "Most output tokens that a request may ask for; not for embeddings only.",
        ),
        Field(
            "default_output",
            whole(1, TOKENS_MAX, "of tokens"),
            "Output cap put into a request that has none; `max_output` if left out.",
        ),
        Field(
            "tokenizer",
            member(Tokenizer),
            "The vocabulary that counts prompts; `bytes` bounds any that is not known.",
            default="bytes",
        ),
        Field(
            "image_tokens",
            whole(0, TOKENS_MAX, "of tokens"),
            "Most input tokens that one image can cost.",
            default="1445",
        ),
    ),
)

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
            amount(),
            "How much: a whole number above 0; for money with its currency, as in 25 USD.",
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
            "`observe` counts and reports, but never refuses.",
            default="enforce",
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
        Field("currency", CURRENCY, "What its money is counted in.", default="USD"),
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
    profile = Table(
        "redaction_profile",
        "What private values are looked for, and what is done with each kind.",
        (
            Field("score_min", fraction(), "Findings below this are not acted on.", default="0.4"),
            Field(
                "entities",
                Named(choice(sorted(entities)), member(Action), "entity", may_be_empty=True),
                "What to do with each kind. Kinds that are not named are not looked for, so {} "
                "looks for nothing.",
                required=True,
            ),
        ),
    )
    return Table(
        "policy",
        "Policies of the Completion Gateway. All files of the folder are one bundle.",
        (
            Field("upstreams", Named(NAME, UPSTREAM, "upstream"), UPSTREAM.help),
            Field("models", Named(MODEL_NAME, MODEL, "model"), MODEL.help),
            Field("redaction", Named(NAME, profile, "redaction profile"), profile.help),
            Field("plans", Named(NAME, PLAN, "plan"), PLAN.help),
            Field("organizations", Named(NAME, ORGANIZATION, "organization"), ORGANIZATION.help),
        ),
    )
