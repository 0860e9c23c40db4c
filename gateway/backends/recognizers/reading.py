"""A text as all recognizers of one look at it see it: what several want of it is made once."""

from __future__ import annotations

import string
from typing import Final

COUNTED_MAX: Final = 4096
"""Characters up to which it is worth to know that a text has too few digits for a recognizer."""

_LETTERS: Final = string.ascii_letters.encode()
_DIGITS: Final = string.digits.encode()
_AS_SHAPE: Final = bytes.maketrans(_LETTERS + _DIGITS, b"a" * len(_LETTERS) + b"0" * len(_DIGITS))
_AS_RUNS: Final = b" " * ord("0") + b"0" + b" " * (255 - ord("0"))
KEY_MARKS: Final = b"_.:/+=~$%-"
"""What API keys are made of beside letters and digits."""
LONG_RUN: Final = b"x" * 19
"""As many characters of keys as any key has in a row, each as an `x`."""
_AS_KEYS: Final = bytes(ord("x" if byte in b"a0" + KEY_MARKS else " ") for byte in range(256))
_GAPS: Final = b" ()./-_%"
"""What may stand between the digits of one number; `%20` is such a sign and two digits more."""


class Reading(str):
    """The text itself, and its small letters, which half of the recognizers search. Goes with the
    look: nothing of a text is kept longer.

    `shape`: its ASCII letters as `a`, and its digits as `0`. `digits`: how many of these stand in
    it. A long text counts as if each character was one."""

    __slots__ = ("digits", "shape", "small")

    small: str
    shape: bytes
    digits: int

    def __init__(self, text: str) -> None:
        if text.isascii():
            self.small, plain = text.lower(), text.encode()
        else:
            self.small, plain = _small(text), text.encode("ascii", "replace")
        self.shape = shape = plain.translate(_AS_SHAPE)
        size = len(shape)
        self.digits = shape.count(b"0") if size <= COUNTED_MAX else size

    def has_long_run(self) -> bool:
        """Whether so many characters that keys are made of stand in a row as any key has."""
        return LONG_RUN in self.shape.translate(_AS_KEYS)

    def close_digits(self, least: bytes) -> int:
        """The most digits that one number can have here, with nothing between them but gaps; 0
        where they are fewer than those of `least`."""
        if self.digits == len(self.shape):
            return self.digits
        squeezed = self.shape.translate(None, _GAPS)
        return max(map(len, squeezed.translate(_AS_RUNS).split())) if least in squeezed else 0


def in_small_letters(text: str) -> str:
    """`text.lower()` of the same length: one letter's small form has two code points."""
    return text.small if isinstance(text, Reading) else _small(text)


def has_digits(text: str) -> bool:
    """Whether there may be an ASCII digit in it."""
    return text.digits > 0 if isinstance(text, Reading) else True


def _small(text: str) -> str:
    return text.replace("\u0130", "I").lower()
