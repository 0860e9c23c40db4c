"""One entry a request: what was asked, what was served, what it cost. Never a text, never a key.

Money is integers: nano units (10⁻⁹) of a currency. Prices are nano units per million tokens.
An entry's cost is rounded up once, over the sum of its kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

NANO = 1_000_000_000
MILLION = 1_000_000


class Source(StrEnum):
    """Where the token figures come from."""

    PROVIDER = "provider"  # the upstream told
    COUNTED = "counted"  # our tokenizer, over everything that was sent and received
    ESTIMATED = "estimated"  # a bound or a part of it: the exchange ended early
    ABANDONED = "abandoned"  # the bound of a request whose end nobody saw
    NONE = "none"  # nothing was used


class Outcome(StrEnum):
    OK = "ok"
    REFUSED = "refused"  # by the gateway: key, policy, limit, redaction, bad input
    UPSTREAM_ERROR = "upstream_error"  # the upstream refused, broke or sent garbage
    TIMEOUT = "timeout"  # the upstream took too long
    CLIENT_LEFT = "client_left"  # before the answer was complete
    FAILED = "failed"  # the gateway's own fault
    ABANDONED = "abandoned"  # nobody came back; booked at its bound
    CORRECTION = "correction"  # no request: what another entry should have cost, less what it did


class Tokens(NamedTuple):
    """Tokens by kind. `cached_input` and `audio_input` are parts of `input` that do not overlap,
    `reasoning` and `audio_output` such parts of `output`."""

    input: int = 0
    cached_input: int = 0
    output: int = 0
    reasoning: int = 0
    audio_input: int = 0
    audio_output: int = 0


NO_TOKENS = Tokens()


@dataclass(frozen=True, slots=True)
class Price:
    """Nano units of a currency per million tokens. `cached_input` and `reasoning` are set equal to
    `input` and `output` by the policy where it names none; audio without a price of its own costs
    what text does."""

    input: int
    cached_input: int
    output: int
    reasoning: int
    audio_input: int | None = None
    audio_output: int | None = None

    def cost_nano(self, tokens: Tokens) -> int:
        """Each token is priced once, as one kind; the sum is rounded up to a whole nano unit.

        Parts that are more than their whole are cut to it, cached input and reasoning before
        audio, so that no kind is ever negative and the kinds add up to the whole."""
        if not (tokens.cached_input or tokens.reasoning) and not (
            tokens.audio_input or tokens.audio_output
        ):  # nothing is a part: mostly it is so
            total = max(tokens.input, 0) * self.input + max(tokens.output, 0) * self.output
            return -(-total // MILLION)
        cached, audio_in, plain_in = _kinds(tokens.input, tokens.cached_input, tokens.audio_input)
        reasoning, audio_out, plain_out = _kinds(
            tokens.output, tokens.reasoning, tokens.audio_output
        )
        total = cached * self.cached_input + audio_in * self._audio_input
        total += plain_in * self.input
        total += reasoning * self.reasoning + audio_out * self._audio_output
        total += plain_out * self.output
        return -(-total // MILLION)

    def bound_nano(self, input_tokens: int, output_tokens: int) -> int:
        """The most that so many tokens can cost, whatever their kinds turn out to be."""
        total = input_tokens * max(self.input, self.cached_input, self.audio_input or 0)
        total += output_tokens * max(self.output, self.reasoning, self.audio_output or 0)
        return -(-total // MILLION)

    @property
    def _audio_input(self) -> int:
        return self.input if self.audio_input is None else self.audio_input

    @property
    def _audio_output(self) -> int:
        return self.output if self.audio_output is None else self.audio_output


def _kinds(whole: int, first: int, second: int) -> tuple[int, int, int]:
    """The two parts, and what is left of the whole: none negative, together the whole."""
    whole = max(whole, 0)
    first = min(max(first, 0), whole)
    second = min(max(second, 0), whole - first)
    return first, second, whole - first - second


@dataclass(slots=True)
class Entry:
    """The record of one request. Times are unix seconds, durations milliseconds. Nobody changes
    one: it is not frozen since two are made for each request, and a frozen one takes a call for
    each of its fields.

    `requests` is 1 where the request counts against request limits, else 0. `model` is what was
    asked, `served_model` what the upstream says it used. `redactions` counts by
    "ENTITY:action", of the answer by "ENTITY:action:answer". `corrects` is the id of the entry that
    a correction is about."""

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
    tokens: Tokens = NO_TOKENS
    source: Source = Source.NONE
    cost_nano: int = 0
    currency: str = ""
    duration_ms: int = 0
    first_token_ms: int | None = None
    redactions: Mapping[str, int] = field(default_factory=dict)
    policy_digest: str = ""
    corrects: str = ""
