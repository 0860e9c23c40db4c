"""The places of texts in a JSON value: how one is walked, and how texts are laid back. Pure.

Walks are lazy, so that who takes only so many texts pays for no more, and nothing recurses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Path = tuple[str | int, ...]

DEPTH_MAX: Final = 64  # deeper: arguments are redacted as the text that they are, answers not read
_HALF_PAIR = re.compile("[\ud800-\udfff]")
_TEXTUAL_NUMBER_MIN = 10**8  # a whole number of nine digits may be a card or a telephone
_WHOLE_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,99})")


@dataclass(slots=True, unsafe_hash=True)  # never changed; frozen, it costs thrice as much to make
class Place:
    """One text of a request. `path` leads to a string (or to a long number) in the body; `inner`,
    if not None, leads on into the JSON document which that string holds. `lead` is the key of the
    JSON object that the text is a value of, if that is the caller's own: it says what a bare value
    is. `text` is what stands there."""

    path: Path
    inner: Path | None = None
    lead: str = field(default="", repr=False)
    text: str = field(default="", repr=False, compare=False)


Walk = Callable[[Any, Path], Iterator[Place]]
"""Yields the places of a value below `path`."""


def string(value: Any, path: Path) -> Iterator[Place]:
    if isinstance(value, str):
        yield Place(path, text=value)


def leaves(value: Any, path: Path, lead: str = "") -> Iterator[Place]:
    """Every string in a value of any shape, and every long whole number. Keys are not text."""
    stack = [(lead, iter([(path, value)]))]
    while stack:
        lead, rest = stack[-1]
        for at, found in rest:
            of_object = len(at) > len(path) and isinstance(at[-1], str)
            name = str(at[-1]) if of_object else lead
            if isinstance(found, dict | list):
                stack.append((name, below(found, at)))
                break
            if (text := _text(found)) is not None:
                yield Place(at, lead=name, text=text)
        else:
            stack.pop()


def document(value: Any, path: Path) -> Iterator[Place]:
    """A string that should hold JSON: its leaves, or all of it where it is none, has twin keys or
    is nested deeper than DEPTH_MAX."""
    if not isinstance(value, str):
        yield from leaves(value, path)
        return
    try:
        parsed = json.loads(value, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError):
        yield Place(path, text=value)
        return
    if is_deeper(parsed, DEPTH_MAX):
        yield Place(path, text=value)
        return
    for leaf in leaves(parsed, ()):
        yield Place(path, leaf.path, leaf.lead, leaf.text)


def fields(rows: Mapping[str, Walk]) -> Walk:
    """An object, of which the fields in `rows` are walked."""

    def walk(value: Any, path: Path) -> Iterator[Place]:
        if isinstance(value, dict):
            for key, found in value.items():
                if (row := rows.get(key)) is not None:
                    yield from row(found, (*path, key))

    return walk


def each(item: Walk) -> Walk:
    """A list, of which every item is walked."""

    def walk(value: Any, path: Path) -> Iterator[Place]:
        if isinstance(value, list):
            for at, found in enumerate(value):
                yield from item(found, (*path, at))

    return walk


def below(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """What a list or an object holds, each with its path."""
    for key, found in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key), found


def is_deeper(value: Any, depth_max: int) -> bool:
    """Whether lists and objects are nested deeper."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(depth_max):
        level = [
            found
            for one in level
            for found in (one.values() if isinstance(one, dict) else one)
            if isinstance(found, dict | list)
        ]
    return bool(level)


def lay_back(body: Any, places: Sequence[Place], texts: Sequence[str]) -> Any:
    """A body with `texts` at `places`: copied along the changed paths only, never mutated.

    A string that holds JSON is written anew only if one of its texts has changed. A number stays
    one where its new text is a whole number; else it becomes a string."""
    changed: list[_Changed] = []
    inside: dict[Path, list[_Changed]] = {}
    for place, text in zip(places, texts, strict=True):
        if place.text != text:
            if place.inner is None:
                changed.append((place.path, text))
            else:
                inside.setdefault(place.path, []).append((place.inner, text))
    for path, inner in inside.items():
        held = body
        for step in path:
            held = held[step]
        changed.append((path, _written(_replaced(_read(held), inner))))
    return _replaced(body, changed)


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and abs(value) >= _TEXTUAL_NUMBER_MIN and value % 1 == 0:
        return str(int(value))
    return None


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError  # the first of two equal keys would be sent without being looked at
    return found


_Changed = tuple[Path, str]
"""Where a new text is, and itself."""


def _replaced(value: Any, changed: Sequence[_Changed]) -> Any:
    """A copy of `value` with the new texts in it, shallow but along their paths, each of which is
    another."""
    if not changed:
        return value
    if not changed[0][0]:
        return _like(value, changed[0][1])
    root = value.copy()
    is_only = len(changed) == 1  # then nothing on its way is copied already
    copied: set[int] = set()
    for path, text in changed:
        holder, last = root, path[-1]
        for step in path[:-1]:
            below = holder[step]
            if is_only:
                below = holder[step] = below.copy()
            elif id(below) not in copied:
                below = holder[step] = below.copy()
                copied.add(id(below))
            holder = below
        old = holder[last]
        holder[last] = text if type(old) is str else _like(old, text)
    return root


def _like(old: Any, text: str) -> str | int:
    is_number = not isinstance(old, str) and _WHOLE_NUMBER.fullmatch(text)
    return int(text) if is_number else text


@dataclass(frozen=True, slots=True)
class _Number:
    """A number of a JSON document as it was written: `1.10` has no other value as a float, and
    `1e400` would be none that JSON knows."""

    literal: str


def _read(text: str) -> Any:
    """The document, which is no deeper than DEPTH_MAX, with its numbers to the letter."""
    return json.loads(text, parse_float=_Number, parse_int=_whole)


def _whole(literal: str) -> int | _Number:
    return _Number(literal) if literal == "-0" else int(literal)


def _written(value: Any) -> str:
    """JSON as compact in characters as it was sent, and always good UTF-8 later on."""
    text = _json(value, _AS_IT_IS)
    return _json(value, _IN_ASCII) if _HALF_PAIR.search(text) else text


_AS_IT_IS: Final = json.JSONEncoder(ensure_ascii=False).encode
_IN_ASCII: Final = json.JSONEncoder().encode


def _json(value: Any, encode: Callable[[Any], str]) -> str:
    """What `encode` gives, but for numbers."""
    if isinstance(value, _Number):
        return value.literal
    if isinstance(value, list):
        return f"[{', '.join([_json(one, encode) for one in value])}]"
    if isinstance(value, dict):
        pairs = [f"{encode(key)}: {_json(one, encode)}" for key, one in value.items()]
        return "{" + ", ".join(pairs) + "}"
    return encode(value)
