"""YAML text → a tree of nodes that know their lines. Nothing is guessed.

Scalars stay texts, and what reads a field decides what they mean: YAML 1.1's `no` → False, `1:30` →
90 and `010` → 8 cannot happen. The tree is built from libyaml's events, one at a time, so that size
and depth are bounded while it grows. Source of the format: YAML 1.1, as PyYAML reads it; left out
are tags, merge keys and several documents in one file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from gateway.policy.problems import Findings, Place, quoted

BYTES_MAX = 2**20
NODES_MAX = 50_000  # aliases count as often as they are used
DEPTH_MAX = 20

_NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOTHING = frozenset(("", "~", "null", "Null", "NULL"))


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value as it was written. `plain`: without quotes."""

    text: str
    plain: bool
    place: Place

    @property
    def empty(self) -> bool:
        return self.plain and self.text in _NOTHING


@dataclass(frozen=True, slots=True)
class Listing:
    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Block:
    """Keys with their values; no key is there twice."""

    entries: tuple[tuple[Scalar, Node], ...]
    place: Place


Node = Scalar | Listing | Block


def describe(node: Node) -> str:
    """What a message says that it found."""
    if isinstance(node, Scalar):
        return "nothing" if node.empty else quoted(node.text)
    return "a list" if isinstance(node, Listing) else "a block of keys"


def read_document(file: str, content: bytes, findings: Findings) -> Block | None:
    """The file's keys, or None where it is not YAML, after a problem that says why and where."""
    try:
        return _Tree(file, _events(_text(content)), findings).root()
    except _Unreadable as trouble:
        findings.error(Place(file, trouble.line), trouble.message)
        return None


class _Unreadable(Exception):
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def _text(content: bytes) -> str:
    if len(content) > BYTES_MAX:
        raise _Unreadable(0, f"the file is over {BYTES_MAX} bytes; split it into several")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _Unreadable(line, "this is not UTF-8; save the file as UTF-8") from None
    if found := _NOT_PRINTABLE.search(text):
        line = text.count("\n", 0, found.start()) + 1
        name = f"U+{ord(found.group()):04X}"
        raise _Unreadable(line, f"the character {name} is not allowed in YAML; remove it")
    return text


def _events(text: str) -> Iterator[Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        yield from yaml.parse(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        last = text.count("\n", 0, -1) + 1
        line = min(mark.line + 1, last) if mark else 0
        started = error.context_mark.line + 1 if error.context_mark else line
        raise _Unreadable(line, _not_yaml(error, text, line, started)) from None
    except yaml.YAMLError as error:
        raise _Unreadable(0, f"not YAML: {error}") from None


def _not_yaml(error: yaml.MarkedYAMLError, text: str, line: int, started: int) -> str:
    lines = text.splitlines()
    written = lines[line - 1] if 0 < line <= len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip())]:
        return "a tab cannot indent YAML; use spaces"
    what = ", ".join(part for part in (error.context, error.problem) if part)
    since = f" (it began in line {started})" if started != line else ""
    return (
        f"not YAML: {what}{since}; check the indentation, the quotes and the brackets here and "
        "in the lines before"
    )


class _Tree:
    """Builds the nodes of one document out of its events."""

    def __init__(self, file: str, events: Iterator[Any], findings: Findings) -> None:
        self._file = file
        self._events = events
        self._findings = findings
        self._count = 0
        self._anchors: dict[str, tuple[Node, int]] = {}

    def root(self) -> Block:
        next(self._events)  # the stream begins
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise _Unreadable(1, "the file is empty; write a policy into it, or delete it")
        node = self._node(next(self._events), 0)
        next(self._events)  # the document ends
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise _Unreadable(
                self._place(after).line, "a second document begins; put it into a file of its own"
            )
        if not isinstance(node, Block):
            raise _Unreadable(
                node.place.line,
                f"found {describe(node)}, but a policy is a block of keys; begin with a key such "
                "as `organizations:`",
            )
        return node

    def _place(self, event: Any) -> Place:
        return Place(self._file, event.start_mark.line + 1)

    def _node(self, event: Any, depth: int, key: Place | None = None) -> Node:
        """A list or block under a key begins, for whoever reads a message, at its key."""
        place = self._place(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), place)
        if event.tag is not None:
            self._findings.error(place, f"the tag {quoted(event.tag)} means nothing; remove it")
        before = self._count
        self._grow(1, place)
        if depth > DEPTH_MAX:
            raise _Unreadable(place.line, f"nested deeper than {DEPTH_MAX}; no policy needs that")
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = Scalar(event.value, not event.style, place)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = Listing(tuple(self._items(depth)), key or place)
        else:
            node = Block(tuple(self._entries(depth)), key or place)
        if event.anchor is not None:
            self._anchors[event.anchor] = (node, self._count - before)
        return node

    def _alias(self, name: str, place: Place) -> Node:
        if name not in self._anchors:
            raise _Unreadable(
                place.line,
                f"the alias {quoted('*' + name)} has no anchor {quoted('&' + name)} "
                "above it; write what it stands for",
            )
        node, size = self._anchors[name]
        self._grow(size, place)
        return node

    def _grow(self, size: int, place: Place) -> None:
        self._count += size
        if self._count > NODES_MAX:
            raise _Unreadable(
                place.line,
                f"over {NODES_MAX} values, aliases counted as often as they are used; "
                "split the file into several",
            )

    def _items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _entries(self, depth: int) -> Iterator[tuple[Scalar, Node]]:
        seen: dict[str, Place] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1, key.place)
            if not isinstance(key, Scalar):
                self._findings.error(
                    key.place, f"found {describe(key)} as a key; a key is one word, as in `name: …`"
                )
            elif key.plain and key.text == "<<":
                self._findings.error(
                    key.place, "merge keys (`<<`) mean nothing here; write the keys themselves"
                )
            elif key.text in seen:
                self._findings.error(
                    key.place,
                    f"the key {quoted(key.text)} is there twice, first in line "
                    f"{seen[key.text].line}; keep one",
                )
            else:
                seen[key.text] = key.place
                yield key, value
