"""How the simulator behaves: its defaults, and what a request asks for in its `simulate` field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from gateway.errors import BadRequest

FIELD = "simulate"


class UsageShape(StrEnum):
    """Where an answer tells its usage. All of these exist among real servers."""

    LAST = "last"  # a chunk of its own with `choices: []`, if the request asks for it (OpenAI)
    WITH_CHOICES = "with_choices"  # in the last chunk that has choices, asked or not
    EVERY = "every"  # in every chunk, growing, asked or not
    TWICE = "twice"  # in the last chunk that has choices, and again in a chunk of its own
    END_ONLY = "end_only"  # a chunk of its own, asked or not; no `usage: null` before it
    NEVER = "never"
    ZERO = "zero"  # placed as LAST, all figures 0
    WRONG = "wrong"  # placed as LAST, figures that cannot be: negative, text, null


class ErrorBody(StrEnum):
    """What the body of a simulated error looks like."""

    OPENAI = "openai"
    HTML = "html"
    TEXT = "text"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` is the text of one JSON value, as the API sends it."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Times in seconds. `…_after_chunks` counts events of a stream; a JSON answer is cut in half.

    `usage` may also be an object that is sent as it is. `error_times` None: always."""

    delay_seconds: float = 0.0
    chunk_delay_seconds: float = 0.0
    chunk_characters: int | None = None
    answer: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    usage: UsageShape | Mapping[str, Any] = UsageShape.LAST
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    ignore_cap: bool = False
    error: int | None = None
    error_body: ErrorBody = ErrorBody.OPENAI
    error_times: int | None = None
    error_charges: bool = False
    error_after_chunks: int | None = None
    retry_after_seconds: float | None = None
    disconnect_after_chunks: int | None = None
    hang: bool = False
    hang_after_chunks: int | None = None
    half_event: bool = False
    garbage: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """`models` None: every name is a model. /simulator/received keeps `received_max` requests."""

    behaviour: Behaviour = Behaviour()
    api_key: str | None = None
    models: tuple[str, ...] | None = None
    received_max: int = 1000


def _whole(minimum: int, maximum: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError
        if not minimum <= value <= maximum:
            raise ValueError
        return value

    return parse


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 3600:
        raise ValueError
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _usage(value: Any) -> UsageShape | Mapping[str, Any]:
    return value if isinstance(value, dict) else UsageShape(value)


def _tool_calls(value: Any) -> tuple[ToolCall, ...]:
    if not isinstance(value, list) or not all(isinstance(call, dict) for call in value):
        raise ValueError
    return tuple(ToolCall(_text(c.get("name")), _text(c.get("arguments"))) for c in value)


_COUNT = _whole(0, 10**9)
_PARSERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "delay_seconds": (_seconds, "seconds from 0 to 3600"),
    "chunk_delay_seconds": (_seconds, "seconds from 0 to 3600"),
    "chunk_characters": (_whole(1, 10**6), "a whole number from 1"),
    "answer": (_text, "a text"),
    "tool_calls": (_tool_calls, 'a list of {"name": text, "arguments": JSON as text}'),
    "usage": (_usage, "an object, or one of " + ", ".join(UsageShape)),
    "cached_tokens": (_COUNT, "a whole number from 0"),
    "reasoning_tokens": (_COUNT, "a whole number from 0"),
    "ignore_cap": (_flag, "true or false"),
    "error": (_whole(200, 599), "an HTTP status from 200 to 599"),
    "error_body": (ErrorBody, "one of " + ", ".join(ErrorBody)),
    "error_times": (_COUNT, "a whole number from 0"),
    "error_charges": (_flag, "true or false"),
    "error_after_chunks": (_COUNT, "a whole number from 0"),
    "retry_after_seconds": (_seconds, "seconds from 0 to 3600"),
    "disconnect_after_chunks": (_COUNT, "a whole number from 0"),
    "hang": (_flag, "true or false"),
    "hang_after_chunks": (_COUNT, "a whole number from 0"),
    "half_event": (_flag, "true or false"),
    "garbage": (_flag, "true or false"),
}


def behaviour_of(defaults: Behaviour, wanted: Any) -> Behaviour:
    """The defaults with what a request wants otherwise (its `simulate` field, or None).

    Raises BadRequest that names the wrong field and says what would be right."""
    if wanted is None:
        return defaults
    if not isinstance(wanted, dict):
        raise BadRequest(f"'{FIELD}' must be an object", param=FIELD)
    changes: dict[str, Any] = {}
    for name, value in wanted.items():
        if name not in _PARSERS:
            known = ", ".join(_PARSERS)
            raise BadRequest(f"'{FIELD}.{name}' is not known; known are {known}", param=FIELD)
        parse, expected = _PARSERS[name]
        try:
            changes[name] = parse(value)
        except ValueError:
            raise BadRequest(f"'{FIELD}.{name}' must be {expected}", param=FIELD) from None
    return replace(defaults, **changes)
