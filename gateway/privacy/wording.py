"""How what stands for a value may be written in an answer, and how much of it may still come. Pure.

A model may change the case of a placeholder, and write `_` as `\\_`, a space or `-`; a synthetic
value comes back to the letter. Nothing else is guessed.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Protocol

from gateway.privacy.placeholder import begin, canonical, pattern
from gateway.privacy.spans import WORD_END, word_start

_WORD_END = re.compile(WORD_END)
_BACKSLASHES_MAX = (1, 4)
"""Before an underscore, of a plain text and of one that is JSON, also inside of JSON."""


Hit = tuple[int, int, str]
"""Where a known name begins and ends, and itself."""


class Wording(Protocol):
    def may_begin(self, text: str, start: int) -> bool:
        """Whether anything at or behind `start` could be the begin of a known name: of most pieces
        of a stream that is all there is to ask."""
        ...

    def find(self, text: str, start: int, is_json: bool) -> Hit | None:
        """The first known name at or behind `start`."""
        ...

    def hold_from(self, text: str, floor: int, is_json: bool) -> int:
        """Where the first suffix of `text` begins that is, or may become, a known name."""
        ...


def wordings(placeholders: Collection[str], literals: Collection[str]) -> list[Wording]:
    """Of so many names as few wordings as find them all."""
    made: list[Wording] = []
    for layer in _layers(frozenset(map(_entity, placeholders))):
        made.append(Placeholders([name for name in placeholders if _entity(name) in layer], layer))
    if literals:
        made.append(Literals(literals))
    return made


def _entity(name: str) -> str:
    return name.rpartition("_")[0]


@lru_cache(256)
def _layers(entities: frozenset[str]) -> tuple[frozenset[str], ...]:
    """`PERSON_CUSTOMER` may be a placeholder of PERSON, or the begin of one of PERSON_CUSTOMER: of
    such kinds each is looked for apart, and the longer hit counts."""
    layers: list[list[str]] = []
    for entity in sorted(entities, key=lambda one: (len(one), one)):
        for layer in layers:
            if not any(entity.startswith(f"{other}_") for other in layer):
                layer.append(entity)
                break
        else:
            layers.append([entity])
    return tuple(map(frozenset, layers))


class Placeholders:
    """`entities` are the types of the names in `known`; none of them begins another."""

    def __init__(self, known: Collection[str], entities: Collection[str]) -> None:
        self._known = sorted(known)
        self._names = frozenset(known)
        self._begin, self._patterns = _written(frozenset(entities))
        self._longest = max(map(len, self._known))
        self._gaps_max = max(name.count("_") for name in self._known)

    def may_begin(self, text: str, start: int) -> bool:
        return self._begin.search(text, start) is not None

    def find(self, text: str, start: int, is_json: bool) -> Hit | None:
        """One that is not known may overlap one that is."""
        search = self._patterns[is_json].search
        found = search(text, start)
        while found and canonical(found[0]) not in self._names:
            found = search(text, found.start() + 1)
        return (*found.span(), canonical(found[0])) if found else None

    def hold_from(self, text: str, floor: int, is_json: bool) -> int:
        longest = self._longest + self._gaps_max * _BACKSLASHES_MAX[is_json]
        for found in self._begin.finditer(text, max(floor, len(text) - longest)):
            suffix = text[found.start() :]
            if suffix.isascii() and _is_prefix(canonical(suffix), self._known):
                return found.start()
        return len(text)


@lru_cache(256)
def _written(entities: frozenset[str]) -> tuple[re.Pattern[str], tuple[re.Pattern[str], ...]]:
    """How a placeholder of these begins, and is written in a plain text and in JSON. Few kinds are
    found together again and again."""
    return re.compile(begin(entities)), tuple(pattern(entities, n) for n in _BACKSLASHES_MAX)


class Literals:
    """Names that are looked for as they are; what JSON escapes is not in them.

    Beside each of the sorted names stand those that it begins with, itself included: the names that
    begin a text are among those of the last name that does not come behind the text."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = sorted(known)
        self._families = _families(self._known)
        self._longest = max(map(len, self._known))
        first = "".join(sorted({re.escape(name[0]) for name in known}))
        self._begin = re.compile(f"[{first}]{word_start(1)}")

    def may_begin(self, text: str, start: int) -> bool:
        return self._begin.search(text, start) is not None

    def find(self, text: str, start: int, is_json: bool) -> Hit | None:
        for found in self._begin.finditer(text, start):
            at = found.start()
            for name in reversed(self._at(text, at)):
                if _WORD_END.match(text, at + len(name)):
                    return at, at + len(name), name
        return None

    def held(self, texts: Iterable[str]) -> set[str]:
        """The names with which a word of the texts begins, also where they overlap."""
        held: set[str] = set()
        for text in texts:
            for found in self._begin.finditer(text):
                held.update(self._at(text, found.start()))
        return held

    def _at(self, text: str, at: int) -> Sequence[str]:
        """The names with which the text goes on there, a shorter one before a longer."""
        rest = text[at : at + self._longest]
        last = bisect_right(self._known, rest) - 1
        if last < 0:
            return ()
        family = self._families[last]
        if rest.startswith(family[-1]):
            return family
        count = bisect_left(
            family, True, hi=len(family) - 1, key=lambda name: not rest.startswith(name)
        )
        return family[:count]

    def hold_from(self, text: str, floor: int, is_json: bool) -> int:
        for found in self._begin.finditer(text, max(floor, len(text) - self._longest)):
            if _is_prefix(text[found.start() :], self._known):
                return found.start()
        return len(text)


def _families(known: list[str]) -> list[tuple[str, ...]]:
    """Together no longer than the names are."""
    families: list[tuple[str, ...]] = []
    open_names: list[str] = []
    for name in known:
        while open_names and not name.startswith(open_names[-1]):
            open_names.pop()
        open_names.append(name)
        families.append(tuple(open_names))
    return families


def _is_prefix(written: str, known: list[str]) -> bool:
    at = bisect_left(known, written)
    return at < len(known) and known[at].startswith(written)
