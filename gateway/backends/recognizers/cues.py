"""Words before a value that say what it is: they raise a finding, or are what makes it one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from gateway.backends.recognizers.reading import in_small_letters
from gateway.privacy.spans import word_start

_REACH = 80  # characters from where a cue begins to its value; no cue with its gap is longer
_VALUE_MAX = 64
_JOINS = ("_", "-")  # of words of one key: `social_security`, `social-security`
_NO_LETTER = "(?<![a-z])"
_NO_LETTER_BUT_ESCAPED = word_start(joins="a-z")


class Cue(NamedTuple):
    """`words` ends right before a value; one of `stems` (lower case) is in each cue.

    Stems are looked for as they are, which is many times faster than any pattern."""

    stems: tuple[str, ...]
    words: re.Pattern[str]

    def is_before(self, text: str, at: int) -> bool:
        """Whether a cue ends at `at`, but for what may stand between it and its value."""
        return self.words.search(text, max(0, at - _REACH), at) is not None

    def behind(self, text: str, *shapes: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """What of the shapes stands behind a cue. What is far from every stem is not looked at."""
        stems = self._stems_in(text)
        for shape in shapes if stems else ():
            done = 0
            for stem in stems:
                limit = stem + _REACH
                done = max(done, stem)
                found = shape.search(text, done, limit + _VALUE_MAX)
                while found and found.start() <= limit:
                    is_one = self.is_before(text, found.start())
                    if is_one:
                        yield found
                    done = found.end() if is_one else found.start() + 1
                    found = shape.search(text, done, limit + _VALUE_MAX)
                done = max(done, limit)

    def _stems_in(self, text: str) -> list[int]:
        small = in_small_letters(text)
        return sorted(at for stem in self.stems if stem in small for at in _places(small, stem))


def cue(stems: str, words: str, gap: str = r"[^0-9\n]{0,20}") -> Cue:
    """`stems` are parted by `|`; `words` and `gap` (between word and value) are patterns. Where
    `words` wants no letter before it, a JSON escape (`\\n`, `\\u00e9`) is none. A space in either
    is also what joins the words of a key."""
    words = words.replace(_NO_LETTER, _NO_LETTER_BUT_ESCAPED)
    words = re.sub(r" (?![^\[]*\])", "[ _-]", words)
    spaced = tuple(stems.split("|"))
    keys = tuple(stem.replace(" ", join) for stem in spaced if " " in stem for join in _JOINS)
    return Cue(spaced + keys, re.compile(rf"(?:{words}){gap}\Z", re.IGNORECASE))


def weighted(weights: str, values: str) -> int:
    """The sum that check digits come from. `weights` and `values` are base 36, one a character."""
    return sum(int(w, 36) * int(v, 36) for w, v in zip(weights, values, strict=True))


def _places(text: str, part: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + len(part))
