"""What a vocabulary counts, and how it counts a long text in parts that have just the tokens of the
whole.

It splits a text into words, numbers and signs first, and merges bytes only within each
of these. The interpreter is its own while it counts, so that a megabyte at once would hold up the
event loop from whatever thread; in parts, others have their turn in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Protocol

PART_CHARACTERS: Final = 16_384
"""At least so many in a part, where the text has places to be cut: two milliseconds of prose."""

PART_CHARACTERS_MAX: Final = 32_768
"""A longer part is no text that anybody wrote: of dashes, the worst, so many take 25 ms."""

_PLACE = re.compile(
    r"(?<=[^\W_])(?=[ .,;:!?()，。、；：！？（）])"  # a word or number ends
    r"|(?<=[A-Za-z])(?=[0-9])"  # and so it does before a digit
    r"|(?<=\n)(?=[A-Za-z])"  # a line does
)
"""Source: the patterns of cl100k_base and o200k_base, in which no word and no number goes on over
any of these signs, and none of these belongs to what stands before it."""


class Vocabulary(Protocol):
    def count(self, text: str) -> int:
        """Tokens of the text, special tokens taken as ordinary text. Raises UnicodeEncodeError for
        lone surrogates."""
        ...


def counted(text: str, vocabulary: Vocabulary) -> tuple[int, bool]:
    """Tokens of a text, and whether that is exact: a part of more than PART_CHARACTERS_MAX is
    counted in slices, each of which may differ by a token. A lone surrogate counts as U+FFFD."""
    if len(text) <= PART_CHARACTERS:
        return _of_part(text, vocabulary), True
    tokens, is_exact, most = 0, True, PART_CHARACTERS_MAX
    for part in parts(text):
        for start in range(0, len(part), most):
            tokens += _of_part(part[start : start + most], vocabulary)
        is_exact &= len(part) <= most
    return tokens, is_exact


def parts(text: str) -> Iterator[str]:
    """The text in parts of PART_CHARACTERS or little more; longer ones where no place is near."""
    start = 0
    while len(text) - start > PART_CHARACTERS:
        place = _PLACE.search(text, start + PART_CHARACTERS)
        if place is None:
            break
        yield text[start : place.start()]
        start = place.start()
    yield text[start:]


def _of_part(text: str, vocabulary: Vocabulary) -> int:
    try:
        return vocabulary.count(text)
    except UnicodeEncodeError:
        readable = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return vocabulary.count(readable)
