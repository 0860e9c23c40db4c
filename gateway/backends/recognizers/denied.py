"""Words of a list in a text, in a time that hardly depends on how long the list is.

A regular expression of all words tries each of them at each place. Here the text is read once: what
begins at a place is looked up by its first letters and digits, or by its first character.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from gateway.backends.recognizers.plain import alike, folded
from gateway.backends.recognizers.shortened import on_one_line

_RUN: Final = re.compile("[0-9a-z]++")
_ESCAPE: Final = re.compile(r"(?<=\\)(?:[bfnrt]|u[0-9a-f]{4})")

_Tails = list[tuple[int, frozenset[str]]]
"""Words that begin alike, by their length, longest first."""


class Denied:
    """Finds each of `words` as a whole word, whatever its case. What begins or ends with an ASCII
    letter or digit is a whole word where none stands before or behind it. A space in a word is any
    number of spaces and line ends in a text."""

    def __init__(self, words: Iterable[str]) -> None:
        heads: dict[str, dict[int, set[str]]] = {}
        self._has_spaces = False
        for word in map(folded, words):
            word = " ".join(word.split()) or word
            self._has_spaces |= " " in word
            run = _RUN.match(word)
            head = run[0] if run else word[0]
            heads.setdefault(head, {}).setdefault(len(word), set()).add(word)
        self._heads: dict[str, _Tails] = {
            head: [(size, frozenset(same)) for size, same in sorted(sizes.items(), reverse=True)]
            for head, sizes in heads.items()
        }
        others = sorted(head for head in heads if not _RUN.match(head))
        self._others = re.compile(f"[{''.join(map(re.escape, others))}]") if others else None

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Start and end of the longest word at each place; `text` is plain."""
        yield from self._in(alike(text))
        if self._has_spaces and (line := on_one_line(text)):
            for start, end in self._in(alike(line.text)):
                yield line.original(start), line.original(end)

    def _in(self, small: str) -> Iterator[tuple[int, int]]:
        heads = self._heads
        for run in _RUN.finditer(small):
            start, end = run.span()
            if tails := heads.get(run[0]):
                yield from _longest(small, start, tails)
            if small[start - 1 : start] == "\\" and (escape := _ESCAPE.match(small, start)):
                start = escape.end()
                if tails := heads.get(small[start:end]):
                    yield from _longest(small, start, tails)
        if self._others:
            for other in self._others.finditer(small):
                yield from _longest(small, other.start(), heads[other[0]])


def _longest(small: str, start: int, tails: _Tails) -> Iterator[tuple[int, int]]:
    for size, words in tails:
        end = start + size
        word = small[start:end]
        if word in words and not (_RUN.match(word, size - 1) and _RUN.match(small, end)):
            yield start, end
            return
