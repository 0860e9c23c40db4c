"""The lists in gazetteer/, and words with a capital: what names, places and organizations share.

Beginnings and ends of words know accents, unlike those of numbers: `é` is a letter of a name, and
Chinese is not. A JSON escape (`\\n`, `\\u5361`) ends a word too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from gateway.privacy.spans import word_start

LETTERS: Final = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"
_CAPITALS: Final = "A-Z\u00c0-\u00d6\u00d8-\u00de\u0100-\u017d"
_STARTED: Final = word_start(1, rf"0-9_@#${LETTERS}")
LEAD_START: Final = word_start(joins=rf"0-9_{LETTERS}")
"""A pattern that holds where a word before a name, such as a title, may begin."""

_ENDED: Final = rf"(?![0-9_{LETTERS}])"
_CAPITAL: Final = re.compile(
    rf"[{_CAPITALS}]{_STARTED}[{LETTERS}]*+"
    rf"(?:(?:-|['\u2019](?![sS]{_ENDED}))[{LETTERS}]++){{0,2}}{_ENDED}"
)

TITLES: Final = frozenset(
    ["Mr", "Mrs", "Ms", "Miss", "Mx", "Dr", "Prof", "Professor", "Herr", "Herrn", "Frau", "Dear",
     "Monsieur", "Madame", "Mme", "Mlle", "Señor", "Señora", "Sr", "Sra"]
)  # fmt: skip

HAN: Final = "\u4e00-\u9fff"


class Capital(NamedTuple):
    """A word that begins with a capital letter, where it stands, and as the lists write it (`SMITH`
    is listed as `Smith`; one letter is an initial)."""

    written: str
    start: int
    end: int
    word: str


@cache
def listed(name: str) -> frozenset[str]:
    """The entries of one list of gazetteer/: one a line."""
    text = files(__package__).joinpath("gazetteer", name).read_text(encoding="utf-8")
    return frozenset(text.splitlines())


def capitals(text: str) -> list[Capital]:
    """A possessive `'s` is no part of the word."""
    return [
        Capital(written, *found.span(), written.title() if written.isupper() else written)
        for found in _CAPITAL.finditer(text)
        for written in (found[0],)
    ]


def one_of(characters: Iterable[str]) -> str:
    """A pattern of one of the characters, each once."""
    return f"[{''.join(sorted(set(characters)))}]"
