"""A text read as a shorter one, and where what is found in that stands in the text itself. Pure.

JSON that is written in ASCII alone has `\\u00fc` for `ü`: recognizers read the letter, and what is
put in its place replaces the whole escape."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable
from typing import Final, NamedTuple

_FIRST: Final = 0xA0  # below are ASCII, which nobody has to escape, and control characters
_HALVES: Final = range(0xD800, 0xE000)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|.)", re.DOTALL)
_GAP: Final = r"[ \t\r\n]*+"
_BREAKS: Final = re.compile(
    rf"(?: {{0,8}}[\t\r\n]| {{0,8}}\\[nrt]| {{2}}){_GAP}(?:\\[nrt]{_GAP}){{0,16}}"
)


class Shortened(NamedTuple):
    """`text`, of which the first character after each of `ends` stands `shifts` further behind in
    the text itself."""

    text: str
    ends: list[int]
    shifts: list[int]

    def original(self, at: int) -> int:
        """Where the place `at` of `text` is in the text itself."""
        before = bisect_left(self.ends, at + 1)
        return at + self.shifts[before - 1] if before else at


def unescaped(text: str) -> Shortened | None:
    """With the characters for which there are JSON escapes; None if there is none. `\\\\u00fc` is a
    backslash and four letters and digits, and stays; so do surrogate pairs."""
    return _shortened(text, _ESCAPE, _character)


def on_one_line(text: str) -> Shortened | None:
    """With one space for each run of spaces, tabs and line ends, also escaped ones; None if they
    are that already."""
    return _shortened(text, _BREAKS, lambda found: " ")


def _character(escape: re.Match[str]) -> str:
    code = int(escape[1] or "0", 16)
    return chr(code) if code >= _FIRST and code not in _HALVES else escape[0]


def _shortened(
    text: str, shape: re.Pattern[str], written: Callable[[re.Match[str]], str]
) -> Shortened | None:
    pieces: list[str] = []
    ends: list[int] = []
    shifts: list[int] = []
    done = shift = 0
    for found in shape.finditer(text):
        short = written(found)
        if short == found[0]:
            continue
        pieces += text[done : found.start()], short
        done = found.end()
        ends.append(found.start() - shift + len(short))
        shift += done - found.start() - len(short)
        shifts.append(shift)
    return Shortened("".join([*pieces, text[done:]]), ends, shifts) if pieces else None
