"""The meters of OpenTelemetry's conventions for generative AI, beside ours.

Names, attributes and buckets: OpenTelemetry, "Semantic conventions for generative AI metrics",
which are still in development; dots are underscores here. Of its attributes, those whose values
the policy bounds.
"""

from __future__ import annotations

from gateway.errors import CODES
from gateway.meters.maker import Maker
from gateway.usage.entry import Entry, Outcome

TOKEN_BUCKETS = tuple(float(4**power) for power in range(14))
DURATION_BUCKETS = tuple(0.01 * 2**power for power in range(14))
FIRST_TOKEN_BUCKETS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
)  # fmt: skip

OPERATIONS = {"chat": "chat", "completions": "text_completion", "embeddings": "embeddings"}
"""The conventions' word for each endpoint."""
WHERE = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")


def error_type(entry: Entry) -> str:
    """Of what went wrong, a word out of a list that is known; nothing where all went well."""
    if entry.outcome is Outcome.OK:
        return ""
    if entry.code in CODES:
        return entry.code
    return str(entry.status) if entry.status >= 400 else entry.outcome.value


class GenAi:
    """Counts requests for a model; what never came to one is no such operation."""

    def __init__(self, make: Maker) -> None:
        self.tokens = make.histogram(
            "gen_ai_client_token_usage",
            "Tokens of a request, as an upstream told or we counted.",
            TOKEN_BUCKETS,
            *WHERE,
            "gen_ai_token_type",
            prefix="",
        )
        self.duration = make.histogram(
            "gen_ai_server_request_duration_seconds",
            "From a request's head to the end of its answer.",
            DURATION_BUCKETS,
            *WHERE,
            "error_type",
            prefix="",
        )
        self.first_token = make.histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "From a request's head to the first event of a streamed answer.",
            FIRST_TOKEN_BUCKETS,
            *WHERE,
            prefix="",
        )

    def record(self, entry: Entry) -> None:
        operation = OPERATIONS.get(entry.endpoint)
        if operation is None or not entry.upstream or entry.outcome in NO_REQUEST:
            return
        where = (operation, entry.upstream, entry.model)
        if entry.tokens.input:
            self.tokens.observe((*where, "input"), entry.tokens.input)
        if entry.tokens.output:
            self.tokens.observe((*where, "output"), entry.tokens.output)
        self.duration.observe((*where, error_type(entry)), entry.duration_ms / 1000)
        if entry.first_token_ms is not None and entry.outcome is Outcome.OK:
            self.first_token.observe(where, entry.first_token_ms / 1000)


NO_REQUEST = (Outcome.ABANDONED, Outcome.CORRECTION)
"""What is put into the book, and was not seen to its end."""
