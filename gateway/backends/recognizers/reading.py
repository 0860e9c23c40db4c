"""A text as all recognizers of one look at it see it: what several want of it is made once."""

from __future__ import annotations

from typing import Final

COUNTED_MAX: Final = 4096
"""Characters up to which it is worth to know that a text has too few digits for a recognizer."""

_DIGITS: Final = b"0123456789"


class Reading(str):
    """The text itself, and its small letters, which half of the recognizers search. Goes with the
    look: nothing of a text is kept longer.

    `digits`: how many ASCII digits stand in it. A long text counts as if each character was one."""

    small: str
    digits: int

    def __init__(self, text: str) -> None:
        self.small = text.lower() if text.isascii() else _small(text)
        self.digits = len(text)
        if self.digits <= COUNTED_MAX:
            raw = text.encode("ascii", "replace")
            self.digits -= len(raw.translate(None, _DIGITS))


def in_small_letters(text: str) -> str:
    """`text.lower()` of the same length: one letter's small form has two code points."""
    return text.small if isinstance(text, Reading) else _small(text)


def has_digits(text: str) -> bool:
    """Whether there may be an ASCII digit in it."""
    return text.digits > 0 if isinstance(text, Reading) else True


def _small(text: str) -> str:
    return text.replace("\u0130", "I").lower()
