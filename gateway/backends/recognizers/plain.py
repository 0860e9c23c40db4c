"""Texts as recognizers read them: what only looks like an ASCII character is read as that one.

Everything is one for one, so that spans hold in the text itself."""

from __future__ import annotations

import re
from typing import Final
from unicodedata import decimal

from gateway.backends.recognizers.reading import in_small_letters

_FULL_WIDTH: Final = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_SPACES: Final = dict.fromkeys(
    "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000",
    " ",
)
_DASHES: Final = dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63", "-")
_DIGITS: Final = {
    chr(code): str(decimal(chr(code)))
    for code in range(0x80, 0x20000)
    if chr(code).isdecimal() and chr(code) not in _FULL_WIDTH
}
_UNTOUCHED: Final = frozenset("，！？；")
"""Punctuation of Chinese sentences that no value has: most texts need no translation."""

PLAIN: Final = {
    one: other
    for one, other in {**_FULL_WIDTH, **_SPACES, **_DASHES, **_DIGITS}.items()
    if one not in _UNTOUCHED
}
"""Characters that are read as an ASCII one."""

_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_HALF: Final = re.compile("[\ud800-\udfff]")


def plain(text: str) -> str:
    """Character by character of those that stand in it: a set of 900 is slow to search for."""
    if text.isascii():
        return text
    for character in set(_NOT_ASCII.findall(text)) & PLAIN.keys():
        text = text.replace(character, PLAIN[character])
    return without_halves(text)


def without_halves(text: str) -> str:
    """Half of a surrogate pair, which JSON can hold and UTF-8 cannot, becomes U+FFFD."""
    return text if text.isascii() else _HALF.sub("\ufffd", text)


def folded(text: str) -> str:
    """Plain and in small letters: equal for what is the same value in any case."""
    return alike(plain(text))


def alike(text: str) -> str:
    """A plain text in small letters, those of one letter and all apostrophes the same."""
    small = in_small_letters(text)
    if small.isascii():
        return small
    return small.replace("ς", "σ").replace("\u2019", "'").replace("\u2018", "'")
