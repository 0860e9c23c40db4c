"""What a caller asked for: bytes → JSON → Request. Pure.

Only the fields that the gateway itself acts on are looked at; every other one passes as it came.
Wording, `param` and status follow the OpenAI API's own answers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from gateway.errors import BadRequest
from gateway.json_text import quick
from gateway.openai.places import is_deeper
from gateway.openai.refusals import (
    kind_of,
    refuse,
    refuse_empty,
    refuse_range,
    refuse_type,
    shown,
)
from gateway.openai.tokens import prompts_of

PROMPTS_MAX = 2048
"""Prompts or inputs in one request. Source: the OpenAI API reference, "Create embeddings"."""

_JSON_FORMATS = ("json_object", "json_schema")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How deep a request's JSON may nest, and how many choices it may ask for."""

    depth_max: int = 64
    choices_max: int = 128


class Request(NamedTuple):
    """What the gateway acts on, out of a body that is well-formed.

    `prompts` × `choices` answers are made, `choices` being the larger of `n` and `best_of`. `cap`
    is the caller's own limit of output tokens for each, in the field `cap_field`, or None.
    `wants_usage`: the stream shall end with its usage. `content_is_json`: so is the answer's.
    """

    endpoint: str  # chat, completions or embeddings
    model: str
    body: Mapping[str, Any]
    stream: bool = False
    wants_usage: bool = False
    user: str = ""
    prompts: int = 1
    choices: int = 1
    cap: int | None = None
    cap_field: str | None = None
    content_is_json: bool = False

    def with_body(self, body: Mapping[str, Any]) -> Request:
        """The same of another body: `_replace` costs three times as much."""
        endpoint, model, _, *rest = self
        return Request._make((endpoint, model, body, *rest))


def parse_json(raw: bytes, depth_max: int) -> dict[str, Any]:
    """The JSON object in a body. Where a key is repeated the last one holds, also upstream, as what
    is sent is written anew. Lone surrogates are kept.

    Raises BadRequest: not UTF-8 (or with a byte order mark), not JSON (NaN and infinities are not),
    a number out of range, nested deeper than `depth_max`, or not an object."""
    value = quick(raw)
    if value is None:
        value = _read_slowly(raw, depth_max)
    brackets = raw.count(b"[") + raw.count(b"{")
    if brackets > depth_max and is_deeper(value, depth_max):
        raise _too_deep(depth_max)
    if not isinstance(value, dict):
        raise _unreadable(f"expected an object, but got {kind_of(value)}")
    return value


def _read_slowly(raw: bytes, depth_max: int) -> Any:
    """What is rare, or wrong, and then told."""
    try:
        return json.loads(raw.decode("utf-8"), parse_float=_finite, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise _unreadable(f"it is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        reason = error.msg.split(" (")[0].removesuffix(" at")
        where = f"line {error.lineno}, column {error.colno}"
        raise _unreadable(f"{reason} at {where}") from None
    except ValueError:
        raise _unreadable("it holds a number that is out of range") from None
    except RecursionError:
        raise _too_deep(depth_max) from None


def read_request(
    body: Mapping[str, Any], endpoint: str, engine: str | None, bounds: Bounds
) -> Request:
    """Check and take what the gateway acts on. `engine` is the model of a legacy URL, which holds
    over the body's. Raises BadRequest with the field as its param."""
    model = body.get("model") if engine is None else engine
    if model is None:
        refuse("you must provide a model parameter", "model")
    if not isinstance(model, str):
        refuse_type("model", "a string", model)
    if not model:
        refuse_empty("model", "string")
    user = _user(body) if "user" in body or "safety_identifier" in body else ""
    if endpoint == "chat":
        _check_messages(body)
    else:
        _check_prompt(body, "prompt" if endpoint == "completions" else "input")
    if endpoint == "embeddings":
        inputs = len(prompts_of(body["input"]))
        return Request(endpoint, model, body, user=user, prompts=inputs, choices=0)
    stream = "stream" in body and _boolean(body, "stream")
    cap_field = _cap_field(body, endpoint)
    return Request(
        endpoint,
        model,
        body,
        stream,
        "stream_options" in body and _wants_usage(body, stream),
        user,
        1 if endpoint == "chat" else len(prompts_of(body.get("prompt"))),
        _choices(body, bounds) if "n" in body or "best_of" in body else 1,
        _integer(body, cap_field) if cap_field else None,
        cap_field,
        "response_format" in body and _content_is_json(body),
    )


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("out of range")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise _unreadable(f"{name} is not JSON")


def _check_messages(body: Mapping[str, Any]) -> None:
    messages = body.get("messages") or _required(body, "messages")
    if not isinstance(messages, list):
        refuse_type("messages", "an array of objects", messages)
    if not messages:
        refuse_empty("messages", "array")
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            refuse_type(f"messages[{index}]", "an object", message)


def _check_prompt(body: Mapping[str, Any], field: str) -> None:
    """A string, strings, token ids, or lists of token ids; a prompt may also be left out."""
    prompt = body.get(field)
    if prompt is None and field == "prompt":
        return
    prompt = _required(body, field)
    expected = "a string, an array of strings, or an array of tokens"
    if not isinstance(prompt, str | list):
        refuse_type(field, expected, prompt)
    if not prompt and (isinstance(prompt, list) or field == "input"):
        refuse_empty(field, "array" if isinstance(prompt, list) else "string")
    prompts = prompts_of(prompt)
    if len(prompts) > PROMPTS_MAX:
        refuse(
            f"Invalid '{field}': array too long. Expected an array with maximum length "
            f"{PROMPTS_MAX}, but got an array with length {len(prompts)} instead.",
            field,
        )
    kind = type(prompts[0])
    for index, one in enumerate(prompts):
        name = field if one is prompt else f"{field}[{index}]"
        if type(one) is not kind or kind not in (str, list):
            refuse_type(name, expected, one)
        if kind is list:
            _check_tokens(name, one)


def _check_tokens(name: str, tokens: list[Any]) -> None:
    if not tokens:
        refuse_empty(name, "array")
    for index, token in enumerate(tokens):
        if type(token) is not int:
            refuse_type(f"{name}[{index}]", "an integer", token)


def _user(body: Mapping[str, Any]) -> str:
    """`user`, or its successor `safety_identifier` where there is no `user`."""
    chosen = ""
    for field in ("safety_identifier", "user"):
        value = body.get(field)
        if value is not None and not isinstance(value, str):
            refuse_type(field, "a string", value)
        chosen = value or chosen
    return chosen


def _wants_usage(body: Mapping[str, Any], stream: bool) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        refuse_type("stream_options", "an object", options)
    if not stream:
        refuse(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            "stream_options",
        )
    return _boolean(options, "include_usage", "stream_options.include_usage")


def _choices(body: Mapping[str, Any], bounds: Bounds) -> int:
    n = _integer(body, "n", bounds.choices_max)
    best_of = _integer(body, "best_of", bounds.choices_max)
    if best_of is not None and best_of < (n or 1):
        refuse(
            "You requested that the server return more choices than it will generate (HINT: you "
            f"must set 'n' (currently {n}) to be at most 'best_of' (currently {best_of}), or omit "
            "either parameter if you don't specifically want to use them.)",
            "best_of",
        )
    return max(n or 1, best_of or 1)


def _cap_field(body: Mapping[str, Any], endpoint: str) -> str | None:
    has_old = body.get("max_tokens") is not None
    if endpoint == "chat" and body.get("max_completion_tokens") is not None:
        if has_old:
            refuse(
                "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not "
                "supported.",
                "max_tokens",
            )
        return "max_completion_tokens"
    return "max_tokens" if has_old else None


def _content_is_json(body: Mapping[str, Any]) -> bool:
    shape = body.get("response_format")
    if shape is None:
        return False
    if not isinstance(shape, dict):
        refuse_type("response_format", "an object", shape)
    return shape.get("type") in _JSON_FORMATS


def _required(body: Mapping[str, Any], field: str) -> Any:
    if field not in body:
        refuse(f"Missing required parameter: '{field}'.", field)
    return body[field]


def _boolean(body: Mapping[str, Any], field: str, name: str | None = None) -> bool:
    value = body.get(field)
    if value is not None and not isinstance(value, bool):
        refuse_type(name or field, "a boolean", value)
    return bool(value)


def _integer(body: Mapping[str, Any], field: str, maximum: int | None = None) -> int | None:
    """A whole number of at least 1, or None where it is not given. True is not a number."""
    value = body.get(field)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        refuse_type(field, "an integer", value)
    if value < 1:
        refuse_range(field, f"below minimum value. Expected a value >= 1, but got {shown(value)}")
    if maximum is not None and value > maximum:
        refuse_range(
            field, f"above maximum value. Expected a value <= {maximum}, but got {shown(value)}"
        )
    return value


def _too_deep(depth_max: int) -> BadRequest:
    return _unreadable(f"it is nested deeper than {depth_max} levels")


def _unreadable(why: str) -> BadRequest:
    """Says where, never what: a body may be private."""
    return BadRequest(
        f"We could not parse the JSON body of your request. (HINT: {why}. The API expects a JSON "
        "payload, but what was sent was not valid JSON.)"
    )
