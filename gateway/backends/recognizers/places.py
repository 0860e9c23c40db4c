"""Places by lists of countries, regions and cities, in Latin letters and in Chinese.

The names of smaller towns, and of those that are names of people or things too, need a word before
them that says that a place follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from gateway.backends.recognizers.finder import Finder, Found
from gateway.backends.recognizers.words import LEAD_START, TITLES, Capital, capitals, listed, one_of

_CUE = re.compile(
    rf"{LEAD_START}(?:in|from|to|near|at|around|via|leave|left|visit|visited|visiting"
    r"|city of|town of|nach|aus|bei|stadt|à|au|en|vers|depuis|ville de|desde|hacia|hasta"
    r"|ciudad de|city\"?:|place\"?:|location\"?:|town\"?:|ort\"?:|stadt:|ville:|ciudad:) ?\"?\Z",
    re.IGNORECASE,
)
_LEAD_MAX = 16
_WORDS_MAX = 4

LISTED, CUED, BARE, NAMED = 0.6, 0.5, 0.5, 0.85


class Place(Finder):
    """Countries, regions and cities; not streets, which are addresses."""

    ENTITY = "LOCATION"
    _SUFFIX = re.compile("特别行政区|自治[区州县]|[省市县區縣州区镇乡村岛]")

    def load(self) -> None:
        """Read the lists."""
        self._sure = listed("places.txt")
        self._cued = listed("places_cued.txt")
        self._large = listed("places_large.txt")
        self._first = listed("first_names.txt")
        self._last = listed("last_names.txt")
        self._begins = {name.split(" ", 1)[0] for name in self._sure | self._cued}
        self._han = listed("places_han.txt")
        self._han_max = max(map(len, self._han))
        self._han_begin = re.compile(one_of(name[0] for name in self._han))

    def find(self, text: str) -> Iterator[Found]:
        words = capitals(text)
        of_people = self._names_of_people(text, words)
        at = 0
        while at < len(words):
            taken, score = self._place_at(text, words, at, of_people)
            if taken:
                yield words[at].start, words[at + taken - 1].end, score
            at += taken or 1
        yield from self._find_han(text)

    def _names_of_people(self, text: str, words: Sequence[Capital]) -> set[str]:
        """Large cities that are a part of somebody's name in this text: `Paris Hilton`."""
        found = set()
        for at, one in enumerate(words):
            if one.word in self._large:
                before, behind = words[at - 1 : at], words[at + 1 : at + 2]
                if (before and self._leads_to(text, before[0], one)) or (
                    behind
                    and behind[0].word in self._last
                    and text[one.end : behind[0].start] == " "
                ):
                    found.add(one.word)
        return found

    def _leads_to(self, text: str, before: Capital, one: Capital) -> bool:
        gap = text[before.end : one.start] if one.start - before.end <= 2 else ""
        is_short = len(before.word) == 1 or before.word in TITLES
        return gap in (" ", ". ") and (is_short or (gap == " " and before.word in self._first))

    def _place_at(
        self, text: str, words: Sequence[Capital], at: int, of_people: set[str]
    ) -> tuple[int, float]:
        """How many words from there on are one place, and how sure that is; (0, 0) if none."""
        if words[at].word not in self._begins and words[at].written not in self._begins:
            return 0, 0.0
        lead = text[max(0, words[at].start - _LEAD_MAX) : words[at].start]
        for taken in range(min(_WORDS_MAX, len(words) - at), 0, -1):
            written = text[words[at].start : words[at + taken - 1].end]
            for name in (written, written.title()):
                if name in self._sure or (name in self._large and name not in of_people):
                    return taken, LISTED
                if name in self._cued and _CUE.search(lead):
                    return taken, CUED
        return 0, 0.0

    def _find_han(self, text: str) -> Iterator[Found]:
        done = 0
        for found in self._han_begin.finditer(text):
            start = found.start()
            if start < done:
                continue
            for end in range(min(len(text), start + self._han_max), start + 1, -1):
                if text[start:end] in self._han:
                    suffix = self._SUFFIX.match(text, end)
                    done = suffix.end() if suffix else end
                    yield start, done, NAMED if suffix else BARE
                    break
