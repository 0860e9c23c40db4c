"""Where free text lies in what the API speaks: one table for requests, one for answers. Pure.

A request is walked by `free_texts`; its texts are lifted out with `read_texts` and laid back with
`lay_back`. An answer (or one event of a stream) is walked by `answer_places`. Anything of an
unexpected shape is passed over: validation is elsewhere. docs/guides/redaction.md lists the rows.

Source of the shapes: the OpenAI API reference (chat completions, completions, embeddings), and the
fields that compatible servers add (`reasoning_content`, `reasoning`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Path = tuple[str | int, ...]

ERROR_CHOICE: Final = -1
"""The `choice` of a text that belongs to no choice: the message of an error object."""

_DEPTH_MAX = 64  # deeper: arguments are redacted as the text that they are, answers are not read
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_TEXTUAL_NUMBER_MIN = 10**8  # a whole number of nine digits may be a card or a telephone


@dataclass(frozen=True, slots=True)
class Place:
    """One text of a request. `path` leads to a string (or to a long number) in the body; `inner`,
    if not None, leads on into the JSON document which that string holds."""

    path: Path
    inner: Path | None = None


@dataclass(frozen=True, slots=True)
class AnswerPlace:
    """One text of an answer. `lane` names the text that it continues over the events of a stream;
    it begins with `choice`. `is_json`: the text is a JSON document."""

    path: Path
    lane: Path
    choice: int
    is_json: bool


Walk = Callable[[Any, Path], Iterator[Place]]


def free_texts(endpoint: str, body: Any) -> list[Place]:
    """Every place of `body` that holds free text, in an order that only depends on the body.

    `endpoint` is `chat`, `completions` or `embeddings` and says what a field means; a field that
    only another endpoint has is looked at as well, since it would be forwarded as it is."""
    rows: dict[str, Walk] = {}
    for table in (*_ENDPOINTS.values(), _EVERYWHERE, _ENDPOINTS[endpoint]):
        rows.update(table)
    return list(_fields(rows)(body, ()))


def read_texts(body: Any, places: Sequence[Place]) -> list[str]:
    """The texts at `places`, in their order."""
    documents: dict[Path, Any] = {}
    texts = []
    for place in places:
        found = _at(body, place.path)
        if place.inner is not None:
            if place.path not in documents:
                documents[place.path] = json.loads(found)
            found = _at(documents[place.path], place.inner)
        texts.append(str(int(found) if isinstance(found, float) else found))
    return texts


def lay_back(body: Any, places: Sequence[Place], texts: Sequence[str]) -> Any:
    """A body with `texts` at `places`: copied along the changed paths only, never mutated.

    A string that holds JSON is written anew only if one of its texts has changed."""
    changed: dict[Path, str] = {}
    inside: dict[Path, dict[Path, str]] = {}
    for place, old, new in zip(places, read_texts(body, places), texts, strict=True):
        if old != new and place.inner is None:
            changed[place.path] = new
        elif old != new and place.inner is not None:
            inside.setdefault(place.path, {})[place.inner] = new
    for path, leaves in inside.items():
        changed[path] = _written(_replaced(json.loads(_at(body, path)), leaves))
    return _replaced(body, changed)


def answer_places(event: Mapping[str, Any], content_is_json: bool = False) -> list[AnswerPlace]:
    """Every place of an answer, an event of a stream or an error object that holds free text.

    `content_is_json`: the request asked for a JSON object or schema, so the content is JSON."""
    places = [
        AnswerPlace(place.path, (ERROR_CHOICE, *place.path), ERROR_CHOICE, False)
        for place in _ERROR(event, ())
    ]
    for position, choice in enumerate(_items(event.get("choices"))):
        for path in (place.path for place in _CHOICE(choice, ()) if len(place.path) <= _DEPTH_MAX):
            index = _index(choice, position)
            lane = path if path[0] == "text" else path[1:]  # a message goes on where a delta ended
            if lane[0] == "tool_calls":
                lane = ("tool_calls", _index(_at(choice, path[:3]), lane[1]), *lane[2:])
            is_json = lane[-1] == "arguments" or (
                content_is_json and lane[0] in ("content", "text")
            )
            places.append(AnswerPlace(("choices", position, *path), (index, *lane), index, is_json))
    return places


# How to walk a value: each yields the places below `path`.


def _string(value: Any, path: Path) -> Iterator[Place]:
    if isinstance(value, str):
        yield Place(path)


def _leaves(value: Any, path: Path) -> Iterator[Place]:
    """Every string in a value of any shape, and every long whole number. Keys are not text."""
    todo = [(value, path)]
    while todo:
        value, path = todo.pop()
        if isinstance(value, str):
            yield Place(path)
        elif isinstance(value, int | float):
            if abs(value) >= _TEXTUAL_NUMBER_MIN and value % 1 == 0:
                yield Place(path)
        elif isinstance(value, dict):
            todo.extend((below, (*path, key)) for key, below in reversed(value.items()))
        elif isinstance(value, list):
            todo.extend((value[i], (*path, i)) for i in reversed(range(len(value))))


def _json(value: Any, path: Path) -> Iterator[Place]:
    """A string that should hold JSON: its string leaves, or all of it where it is none."""
    if not isinstance(value, str):
        yield from _leaves(value, path)
        return
    try:
        document = json.loads(value, object_pairs_hook=_without_twins)
        inner = [place.path for place in _leaves(document, ())]
    except (ValueError, RecursionError):
        inner = [(0,) * (_DEPTH_MAX + 1)]
    if any(len(leaf) > _DEPTH_MAX for leaf in inner):
        yield Place(path)
    else:
        yield from (Place(path, leaf) for leaf in inner)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError  # the first of two equal keys would be sent without being looked at
    return found


def _fields(rows: Mapping[str, Walk]) -> Walk:
    """An object, of which the fields in `rows` are walked."""

    def walk(value: Any, path: Path) -> Iterator[Place]:
        if isinstance(value, dict):
            for key, below in value.items():
                if key in rows:
                    yield from rows[key](below, (*path, key))

    return walk


def _each(item: Walk) -> Walk:
    """A list, of which every item is walked."""

    def walk(value: Any, path: Path) -> Iterator[Place]:
        for i, below in enumerate(_items(value)):
            yield from item(below, (*path, i))

    return walk


def _content(value: Any, path: Path) -> Iterator[Place]:
    """A string, a part, or a list of such things; the content of a part is content again."""
    todo = [(value, path)]
    while todo:
        value, path = todo.pop()
        if isinstance(value, list):  # one of tokens is not text that can be read
            below = [(v, (*path, i)) for i, v in enumerate(value) if not isinstance(v, int)]
            todo.extend(reversed(below))
        elif isinstance(value, dict):
            yield from _PART(value, path)
            todo.append((value.get("content"), (*path, "content")))
        else:
            yield from _string(value, path)


def _message(value: Any, path: Path) -> Iterator[Place]:
    yield from _MESSAGE(value, path)
    if isinstance(value, dict) and value.get("role") not in ("tool", "function"):
        yield from _string(value.get("name"), (*path, "name"))  # a tool's name is an identifier


def _schema(value: Any, path: Path) -> Iterator[Place]:
    """A JSON schema: what it says to people, and the values that it gives."""
    todo = [(value, path)]
    while todo:
        value, path = todo.pop()
        if isinstance(value, dict):
            for key, below in value.items():
                if key in _SCHEMA_TEXTS and isinstance(below, str):
                    yield Place((*path, key))
                elif key in _SCHEMA_VALUES:
                    yield from _leaves(below, (*path, key))
                else:
                    todo.append((below, (*path, key)))
        elif isinstance(value, list):
            todo.extend((below, (*path, i)) for i, below in enumerate(value))


_SCHEMA_TEXTS: Final = frozenset({"description", "title", "$comment"})
_SCHEMA_VALUES: Final = frozenset({"default", "example", "examples", "enum", "const"})
_PART_TEXTS: Final = ("text", "refusal", "input_text", "output_text", "thinking", "transcript")
_PART: Final = _fields(
    {**dict.fromkeys(_PART_TEXTS, _string), "file": _fields({"filename": _string})}
)
_CUSTOM: Final = _fields({"input": _string})


def _said(arguments: Walk) -> Walk:
    """What a message, of the history or of an answer, says."""
    function = _fields({"arguments": arguments})
    return _fields(
        {
            "content": _content,
            **dict.fromkeys(("refusal", "reasoning_content", "reasoning"), _string),
            "audio": _fields({"transcript": _string}),
            "tool_calls": _each(_fields({"function": function, "custom": _CUSTOM})),
            "function_call": function,
        }
    )


_MESSAGE: Final = _said(_json)
_SAID: Final = _said(_string)
_FUNCTION: Final = _fields({"description": _string, "parameters": _schema, "schema": _schema})
_CHOICE: Final = _fields({"text": _string, "message": _SAID, "delta": _SAID})
_ERROR: Final = _fields({"error": _fields({"message": _string})})

_ENDPOINTS: Final[Mapping[str, Mapping[str, Walk]]] = {
    "chat": {
        "messages": _each(_message),
        "tools": _each(_fields({"function": _FUNCTION, "custom": _FUNCTION})),
        "functions": _each(_FUNCTION),
        "response_format": _fields({"json_schema": _FUNCTION}),
        "prediction": _fields({"content": _content}),
    },
    "completions": {"prompt": _content, "suffix": _string},
    "embeddings": {"input": _content},
}
_EVERYWHERE: Final[Mapping[str, Walk]] = {
    "instructions": _string,
    "metadata": _leaves,
    **dict.fromkeys(("user", "safety_identifier", "prompt_cache_key"), _string),
    "stop": _content,  # the model writes in placeholders, so it stops at placeholders
}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _index(item: Mapping[str, Any], position: int | str) -> int:
    return item["index"] if type(item.get("index")) is int else int(position)


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _replaced(value: Any, changed: Mapping[Path, str]) -> Any:
    """A copy of `value` with the new texts in it, shallow but along their paths."""
    if () in changed or not changed:
        return changed.get((), value)
    copies: dict[Path, Any] = {(): value.copy()}
    for path, text in changed.items():
        holder = copies[()]
        for end, step in enumerate(path[:-1], 1):
            if path[:end] not in copies:
                copies[path[:end]] = holder[step] = holder[step].copy()
            holder = copies[path[:end]]
        holder[path[-1]] = text
    return copies[()]


def _written(document: Any) -> str:
    """JSON as compact in characters as it was sent, and always good UTF-8 later on."""
    text = json.dumps(document, ensure_ascii=False)
    return json.dumps(document) if _HALF_PAIR.search(text) else text
