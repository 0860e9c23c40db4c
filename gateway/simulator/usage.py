"""Usage in every shape that real servers send it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.simulator.options import UsageShape

Shape = UsageShape | Mapping[str, Any]
ZEROS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
IMPOSSIBLE = {"prompt_tokens": -7, "completion_tokens": "many", "total_tokens": None}


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens of one answer, all its choices together. `cached` is part of `prompt`, `reasoning` of
    `completion`."""

    prompt: int
    completion: int
    cached: int
    reasoning: int


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream, and how many tokens were generated with it."""

    data: dict[str, Any]
    tokens: int = 0


def figures(counts: Counts) -> dict[str, Any]:
    """A usage object as OpenAI sends it."""
    return {
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.completion,
        "total_tokens": counts.prompt + counts.completion,
        "prompt_tokens_details": {"cached_tokens": min(counts.cached, counts.prompt)},
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning},
    }


def usage_object(counts: Counts, shape: Shape) -> dict[str, Any] | None:
    """What an answer says it used; None where it says nothing."""
    if not isinstance(shape, UsageShape):
        return dict(shape)
    if shape == UsageShape.NEVER:
        return None
    if shape == UsageShape.ZERO:
        return dict(ZEROS)
    return dict(IMPOSSIBLE) if shape == UsageShape.WRONG else figures(counts)


def shares(pieces: Sequence[int], total: int) -> list[int]:
    """The total spread over pieces that were counted one by one: what is told never goes down, and
    ends at the total (pieces counted alone can be more tokens, or fewer, than together)."""
    given = 0
    result = []
    for piece in pieces:
        share = min(piece, total - given)
        given += share
        result.append(share)
    if result:
        result[-1] += total - given
    return result


def with_usage(
    events: Sequence[Event], base: Mapping[str, Any], counts: Counts, shape: Shape, asked: bool
) -> list[Event]:
    """The stream's events with usage placed as the shape says. `base` is what every event holds;
    `asked` is whether the request has `stream_options.include_usage`."""
    usage = usage_object(counts, shape)
    if shape == UsageShape.EVERY:
        return _growing(events, counts)
    if shape == UsageShape.WITH_CHOICES:
        last = events[-1]
        return [*events[:-1], Event({**last.data, "usage": usage}, last.tokens)]
    own = Event({**base, "choices": [], "usage": usage})
    if shape == UsageShape.TWICE:
        last = events[-1]
        return [*events[:-1], Event({**last.data, "usage": usage}, last.tokens), own]
    if shape == UsageShape.END_ONLY:
        return [*events, own]
    if shape == UsageShape.NEVER or not asked:
        return list(events)
    return [*(Event({**event.data, "usage": None}, event.tokens) for event in events), own]


def _growing(events: Sequence[Event], counts: Counts) -> list[Event]:
    generated = 0
    result = []
    for event in events:
        generated += event.tokens
        reasoning = min(counts.reasoning, generated)
        now = Counts(counts.prompt, generated, counts.cached, reasoning)
        result.append(Event({**event.data, "usage": figures(now)}, event.tokens))
    return result
