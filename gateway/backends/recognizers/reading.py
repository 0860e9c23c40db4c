"""A text as all recognizers of one look at it see it: what several want of it is made once."""

from __future__ import annotations

from functools import cached_property


class Reading(str):
    """The text itself, and its small letters, which half of the recognizers search. Goes with the
    look: nothing of a text is kept longer."""

    @cached_property
    def small(self) -> str:
        return _small(self)


def in_small_letters(text: str) -> str:
    """`text.lower()` of the same length: one letter's small form has two code points."""
    return text.small if isinstance(text, Reading) else _small(text)


def _small(text: str) -> str:
    return text.replace("\u0130", "I").lower()
