"""How what stands for a value may be written in an answer, and how much of it may still come. Pure.

A model may change the case of a placeholder, and write `_` as `\\_`, a space or `-`; a synthetic
value comes back to the letter. Nothing else is guessed.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection
from functools import lru_cache
from typing import Protocol

from gateway.privacy.placeholder import begin, canonical, pattern
from gateway.privacy.spans import WORD_END, word_start

_WORD_END = re.compile(WORD_END)
_BACKSLASHES_MAX = (1, 4)
"""Before an underscore, of a plain text and of one that is JSON, also inside of JSON."""


class Wording(Protocol):
    def find(self, text: str, start: int, is_json: bool) -> tuple[int, int, str] | None:
        """The first known name at or behind `start`: its begin, its end, and itself."""
        ...

    def hold_from(self, text: str, floor: int, is_json: bool) -> int:
        """Where the first suffix of `text` begins that is, or may become, a known name."""
        ...


class Placeholders:
    """`entities` are the types of the names in `known`."""

    def __init__(self, known: Collection[str], entities: Collection[str]) -> None:
        self._known = sorted(known)
        self._names = frozenset(known)
        self._begin, self._patterns = _written(frozenset(entities))
        self._longest = max(map(len, self._known))
        self._gaps_max = max(name.count("_") for name in self._known)

    def find(self, text: str, start: int, is_json: bool) -> tuple[int, int, str] | None:
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
    """Names that are looked for as they are; what JSON escapes is not in them."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = sorted(known)
        self._names = frozenset(known)
        self._lengths = sorted({len(name) for name in known}, reverse=True)
        first = "".join(sorted({re.escape(name[0]) for name in known}))
        self._begin = re.compile(f"[{first}]{word_start(1)}")

    def find(self, text: str, start: int, is_json: bool) -> tuple[int, int, str] | None:
        for found in self._begin.finditer(text, start):
            at = found.start()
            for length in self._lengths:
                name = text[at : at + length]
                if name in self._names and _WORD_END.match(text, at + length):
                    return at, at + length, name
        return None

    def hold_from(self, text: str, floor: int, is_json: bool) -> int:
        for found in self._begin.finditer(text, max(floor, len(text) - self._lengths[0])):
            if _is_prefix(text[found.start() :], self._known):
                return found.start()
        return len(text)


def _is_prefix(written: str, known: list[str]) -> bool:
    at = bisect_left(known, written)
    return at < len(known) and known[at].startswith(written)
