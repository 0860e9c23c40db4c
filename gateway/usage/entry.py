"""One entry a request: what was asked, what was served, what it cost. Never a text, never a key.

Money is integers: nano units (10⁻⁹) of a currency. Prices are nano units per million tokens.
An entry's cost is rounded up once, over the sum of its kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

NANO = 1_000_000_000
MILLION = 1_000_000


class Source(StrEnum):
    """Where the token figures come from."""

    PROVIDER = "provider"  # the upstream told
    COUNTED = "counted"  # our tokenizer, over everything that was sent and received
    ESTIMATED = "estimated"  # a bound or a part of it: the exchange ended early
    NONE = "none"  # nothing was used


class Outcome(StrEnum):
    OK = "ok"
    REFUSED = "refused"  # by the gateway: key, policy, limit, redaction, bad input
    UPSTREAM_ERROR = "upstream_error"  # the upstream refused, broke or sent garbage
    TIMEOUT = "timeout"  # the upstream took too long
    CLIENT_LEFT = "client_left"  # before the answer was complete
    FAILED = "failed"  # the gateway's own fault
    ABANDONED = "abandoned"  # nobody came back; booked at its bound


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens by kind. `cached_input` is part of `input`, `reasoning` is part of `output`."""

    input: int = 0
    cached_input: int = 0
    output: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Price:
    """Nano units of a currency per million tokens. `cached_input` and `reasoning` are set equal to
    `input` and `output` by the policy where it names none."""

    input: int
    cached_input: int
    output: int
    reasoning: int

    def cost_nano(self, tokens: Tokens) -> int:
        """Each token is priced once; the sum is rounded up to a whole nano unit."""
        total = (
            (tokens.input - tokens.cached_input) * self.input
            + tokens.cached_input * self.cached_input
            + (tokens.output - tokens.reasoning) * self.output
            + tokens.reasoning * self.reasoning
        )
        return -(-total // MILLION)

    def bound_nano(self, input_tokens: int, output_tokens: int) -> int:
        """The most that so many tokens can cost, whatever their kinds turn out to be."""
        total = input_tokens * max(self.input, self.cached_input)
        total += output_tokens * max(self.output, self.reasoning)
        return -(-total // MILLION)


@dataclass(frozen=True, slots=True)
class Entry:
    """The record of one request. Times are unix seconds, durations milliseconds.

    `requests` is 1 where the request counts against request limits, else 0. `model` is what was
    asked, `served_model` what the upstream says it used. `redactions` counts by
    "ENTITY:action"."""

    id: str
    time: float
    organization: str = ""
    project: str = ""
    key_id: str = ""
    end_user: str = ""
    model: str = ""
    served_model: str = ""
    upstream: str = ""
    endpoint: str = ""
    stream: bool = False
    status: int = 0
    outcome: Outcome = Outcome.OK
    code: str = ""
    requests: int = 0
    tokens: Tokens = Tokens()
    source: Source = Source.NONE
    cost_nano: int = 0
    currency: str = ""
    duration_ms: int = 0
    first_token_ms: int | None = None
    redactions: Mapping[str, int] = field(default_factory=dict)
    policy_digest: str = ""
