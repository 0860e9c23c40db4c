"""What a policy file may say of upstreams, models and prices."""

from __future__ import annotations

from gateway.policy.fields import Field, OneOrMore, Several, Table
from gateway.policy.policy import Endpoint, OnClientLeft, Tokenizer, WithoutKey
from gateway.policy.words import (
    CURRENCY,
    NAME,
    TEXT,
    VARIABLE,
    duration,
    flag,
    instant,
    member,
    price,
    url,
    whole,
)

TOKENS_MAX = 10**9
RETRIES_MAX = 5
PRICE_CURRENCY = "USD"

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
        Field(
            "on_client_left",
            member(OnClientLeft),
            "When the caller is gone before its answer is complete: `cancel` the upstream's, or "
            "`drain` it to its end, to be told what it costs.",
            default="cancel",
        ),
        Field(
            "retries",
            whole(0, RETRIES_MAX),
            "How often a request is sent again that the upstream did not take up or charge.",
            default="0",
        ),
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
        Field("audio_input", price(), "That of input tokens of audio; `input` if left out."),
        Field("audio_output", price(), "That of output tokens of audio; `output` if left out."),
        Field(
            "from",
            instant(),
            "When this version begins: a date at midnight UTC, or a time with its offset. In every "
            "version but the first, which holds from the beginning.",
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
        Field(
            "price",
            OneOrMore(PRICE, "price"),
            "What it costs; needed wherever a money limit holds. A list has versions, in the order "
            "of their `from`.",
        ),
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
