"""Where free text lies in what the API speaks: one table for requests, one for answers. Pure.

A request is walked by `free_texts`; `places.lay_back` puts other texts there. An answer (or one
event of a stream) is walked by `answer_places`. Anything of an unexpected shape is passed over:
validation is elsewhere. docs/guides/redaction.md lists the rows.

Source of the shapes: the OpenAI API reference (chat completions, completions, embeddings), and the
fields that compatible servers add (`reasoning_content`, `reasoning`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from gateway.openai.places import (
    DEPTH_MAX,
    Path,
    Place,
    Walk,
    below,
    document,
    each,
    fields,
    leaves,
    string,
)


@dataclass(frozen=True, slots=True)
class AnswerPlace:
    """One text of an answer. `lane` names the text that it continues over the events of a stream;
    it begins with `choice`. That is None for the message of an error object, which is of no choice
    and whose lane is its path. `is_json`: the text is a JSON document."""

    path: Path
    lane: Path
    choice: int | None
    is_json: bool


def free_texts(endpoint: str, body: Any, most: int | None = None) -> list[Place]:
    """The places of `body` that hold free text, in an order that only depends on the body: all of
    them, or the first `most`.

    `endpoint` is `chat`, `completions` or `embeddings` and says what a field means; a field that
    only another endpoint has is looked at as well, since it would be forwarded as it is."""
    plain = _plain_chat(body)
    if plain is not None and (most is None or len(plain) <= most):
        return plain
    return list(islice(_REQUESTS[endpoint](body, ()), most))


def _plain_chat(body: Any) -> list[Place] | None:
    """The places of a body that holds text in messages alone, each a role and a string: such a one
    needs no walk. None of any other."""
    if type(body) is not dict or not _BESIDE_MESSAGES.isdisjoint(body):
        return None
    messages = body.get("messages")
    if type(messages) is not list or len(messages) > _PLAIN_MAX:
        return None
    places: list[Place] = []
    for at, message in enumerate(messages):
        if type(message) is not dict or len(message) != 2 or "role" not in message:
            return None
        content = message.get("content")
        if type(content) is not str:
            return None
        places.append(Place(("messages", at, "content"), None, "", content))
    return places


def answer_places(event: Mapping[str, Any], content_is_json: bool = False) -> list[AnswerPlace]:
    """Every place of an answer, an event of a stream or an error object that holds free text.

    `content_is_json`: the request asked for a JSON object or schema, so the content is JSON."""
    if (usual := _usual_places(event, content_is_json)) is not None:
        return usual
    places = [AnswerPlace(place.path, place.path, None, False) for place in _ERROR(event, ())]
    for position, choice in enumerate(_items(event.get("choices"))):
        for path in (place.path for place in _CHOICE(choice, ()) if len(place.path) <= DEPTH_MAX):
            index = _index(choice, position)
            lane = path if path[0] == "text" else path[1:]  # a message goes on where a delta ended
            if lane[0] == "tool_calls":
                lane = ("tool_calls", _index(_at(choice, path[:3]), lane[1]), *lane[2:])
            is_json = lane[-1] == "arguments" or (
                content_is_json and lane[0] in ("content", "text")
            )
            places.append(AnswerPlace(("choices", position, *path), (index, *lane), index, is_json))
    return places


def _usual_places(event: Mapping[str, Any], content_is_json: bool) -> list[AnswerPlace] | None:
    """The places of an answer or event that has one choice, which says content and nothing else, or
    nothing. So are nearly all, and need no walk. None of any other."""
    listed = event.get("choices")
    if type(listed) is not list or len(listed) != 1 or event.get("error") is not None:
        return None
    choice = listed[0]
    if type(choice) is not dict or "text" in choice:
        return None
    field = "message" if "message" in choice else "delta"
    said = choice.get(field)
    if type(said) is not dict or (field == "message" and "delta" in choice):
        return None
    for name, value in said.items():
        if value is not None and name in _OTHERS:
            return None
    content = said.get("content")
    if content is None:
        return []
    if type(content) is not str:
        return None
    return [_content_in(field, _index(choice, 0), content_is_json)]


@lru_cache(256)
def _content_in(field: str, index: int, is_json: bool) -> AnswerPlace:
    return AnswerPlace(("choices", 0, field, "content"), (index, "content"), index, is_json)


def _content(value: Any, path: Path) -> Iterator[Place]:
    """A string, a part, or a list of such things; the content of a part is content again."""
    if isinstance(value, str):  # as nearly all content is
        yield Place(path, text=value)
        return
    stack: list[Iterator[tuple[Path, Any]]] = [iter([(path, value)])]
    while stack:
        for at, found in stack[-1]:
            if isinstance(found, list):  # one of tokens is not text that can be read
                stack.append(one for one in below(found, at) if not isinstance(one[1], int))
                break
            if isinstance(found, dict):
                yield from _PART(found, at)
                if "content" in found:
                    stack.append(iter([((*at, "content"), found["content"])]))
                    break
                continue
            yield from string(found, at)
        else:
            stack.pop()


def _message(value: Any, path: Path) -> Iterator[Place]:
    yield from _MESSAGE(value, path)
    if isinstance(value, dict) and "name" in value and value.get("role") not in _TOOLS:
        yield from string(value["name"], (*path, "name"))


_TOOLS: Final = ("tool", "function")
"""Roles whose name is an identifier."""


def _schema(value: Any, path: Path) -> Iterator[Place]:
    """A JSON schema: what it says to people, and the values that it gives. The keys of an object
    of properties are no keywords but names, which say what those values are."""
    if not isinstance(value, dict | list):
        return
    stack = [(False, "", below(value, path))]
    while stack:
        has_names, lead, rest = stack[-1]
        for at, found in rest:
            key = at[-1]
            is_name = has_names and isinstance(found, dict)
            if key in _SCHEMA_TEXTS and not is_name:
                yield from leaves(found, at)
            elif key in _SCHEMA_VALUES and not is_name:
                yield from leaves(found, at, lead)
            elif isinstance(found, dict | list):
                holds_names = key in _SCHEMA_NAMES and not has_names
                stack.append((holds_names, str(key) if is_name else lead, below(found, at)))
                break
        else:
            stack.pop()


_SCHEMA_TEXTS: Final = frozenset({"description", "title", "$comment"})
_SCHEMA_NAMES: Final = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
)
_SCHEMA_VALUES: Final = frozenset({"default", "example", "examples", "enum", "const"})
_PART_TEXTS: Final = ("text", "refusal", "input_text", "output_text", "thinking", "transcript")
_PART: Final = fields({**dict.fromkeys(_PART_TEXTS, string), "file": fields({"filename": string})})
_CUSTOM: Final = fields({"input": string})


def _said(arguments: Walk) -> dict[str, Walk]:
    """What a message, of the history or of an answer, says."""
    function = fields({"arguments": arguments})
    return {
        "content": _content,
        **dict.fromkeys(("refusal", "reasoning_content", "reasoning"), string),
        "audio": fields({"transcript": string}),
        "tool_calls": each(fields({"function": function, "custom": _CUSTOM})),
        "function_call": function,
    }


_MESSAGE: Final = fields(_said(document))
_SAID: Final = fields(_said(string))
_OTHERS: Final = frozenset(_said(string)) - {"content"}
_FUNCTION: Final = fields({"description": leaves, "parameters": _schema, "schema": _schema})
_CHOICE: Final = fields({"text": string, "message": _SAID, "delta": _SAID})
_ERROR: Final = fields({"error": fields({"message": string})})

_ENDPOINTS: Final[Mapping[str, Mapping[str, Walk]]] = {
    "chat": {
        "messages": each(_message),
        "tools": each(fields({"function": _FUNCTION, "custom": _FUNCTION})),
        "functions": each(_FUNCTION),
        "response_format": fields({"json_schema": _FUNCTION}),
        "prediction": fields({"content": _content}),
    },
    "completions": {"prompt": _content, "suffix": string},
    "embeddings": {"input": _content},
}
_EVERYWHERE: Final[Mapping[str, Walk]] = {
    "instructions": string,
    "metadata": leaves,
    **dict.fromkeys(("user", "safety_identifier", "prompt_cache_key"), string),
    "stop": _content,  # the model writes in placeholders, so it stops at placeholders
}


_BESIDE_MESSAGES: Final = frozenset().union(_EVERYWHERE, *_ENDPOINTS.values()) - {"messages"}
_PLAIN_MAX: Final = 1_000  # messages; of more, only as many are read as somebody wants


def _whole_request(endpoint: str) -> Walk:
    """What the endpoint says of a field holds over what another one does."""
    rows: dict[str, Walk] = {}
    for table in (*_ENDPOINTS.values(), _EVERYWHERE, _ENDPOINTS[endpoint]):
        rows.update(table)
    return fields(rows)


_REQUESTS: Final = {endpoint: _whole_request(endpoint) for endpoint in _ENDPOINTS}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _index(item: Mapping[str, Any], position: int | str) -> int:
    return item["index"] if type(item.get("index")) is int else int(position)


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value
