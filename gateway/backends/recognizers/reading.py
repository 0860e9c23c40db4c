"""A text as all recognizers of one look at it see it: what several want of it is made once."""

from __future__ import annotations

from functools import cached_property
from typing import Final

COUNTED_MAX: Final = 4096
"""Characters up to which it is worth to know that a text has too few digits for a recognizer."""

_DIGITS: Final = b"0123456789"


class Reading(str):
    """The text itself, and its small letters, which half of the recognizers search. Goes with the
    look: nothing of a text is kept longer."""

    @cached_property
    def small(self) -> str:
        return _small(self)

    @cached_property
    def digits(self) -> int:
        """How many ASCII digits stand in it. A long text counts as if each character was one."""
        if len(self) > COUNTED_MAX:
            return len(self)
        raw = self.encode("utf-8", "surrogatepass")
        return len(raw) - len(raw.translate(None, _DIGITS))


def in_small_letters(text: str) -> str:
    """`text.lower()` of the same length: one letter's small form has two code points."""
    return text.small if isinstance(text, Reading) else _small(text)


def has_digits(text: str) -> bool:
    """Whether there may be an ASCII digit in it."""
    return text.digits > 0 if isinstance(text, Reading) else True


def _small(text: str) -> str:
    return text.replace("\u0130", "I").lower()
