"""A pattern of RE2 over a whole text, so that the time is linear in the text whatever the pattern.

One match takes RE2 linear time, all of them do not: each may read on to the end of the text for
what never comes. So no search looks further than REACH behind a place where a match may begin.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

REACH: Final = 1_000
"""Characters, at least, in which it is decided whether there is a match. Only what has matched
until their end, such as `.*`, is followed further."""


class Searched:
    """A text in the bytes that RE2 reads."""

    def __init__(self, text: str) -> None:
        self._raw = text.encode()
        self._is_ascii = len(self._raw) == len(text)
        self._reach = REACH if self._is_ascii else 4 * REACH
        self._known = (0, 0)

    def matches(self, shape: Any, again: bool) -> Iterator[Match]:
        """From left to right, each behind the one before; where the caller calls one `wrong`, the
        next may begin inside of it. With `again`, none is longer than twice the reach."""
        at, size = 0, len(self._raw)
        self._known = (0, 0)
        while at < size:
            own = self._whole(at + self._reach)
            found = shape.search(self._raw, at, self._whole(own + self._reach))
            if found is None or found.start() >= own:
                at = own if found is None else found.start()
                continue
            match = Match(self, found if again else self._grown(shape, found))
            yield match
            start, end = match.found.span()
            at = max(end, start + 1) if not match.wrong else self._whole(start + 1)

    def characters(self, at: int) -> int:
        """Where a byte is in the text. Asked from left to right, a match's own may lie behind."""
        if self._is_ascii:
            return at
        byte, count = self._known
        if at < byte:
            return count - len(self._raw[at:byte].decode(errors="ignore"))
        self._known = (at, count + len(self._raw[byte:at].decode(errors="ignore")))
        return self._known[1]

    def _grown(self, shape: Any, found: Any) -> Any:
        """The match, with what follows while it reaches the end of what was looked at."""
        start, size = found.start(), len(self._raw)
        while found.end() == found.endpos < size:
            end = self._whole(start + 2 * (found.endpos - start))
            found = shape.search(self._raw, start, end)
        return found

    def _whole(self, at: int) -> int:
        """The first byte of a character from `at` on."""
        raw, size = self._raw, len(self._raw)
        while at < size and raw[at] & 0xC0 == 0x80:
            at += 1
        return min(at, size)


class Match:
    """`wrong` is set by who finds it so."""

    __slots__ = ("_text", "found", "wrong")

    def __init__(self, text: Searched, found: Any) -> None:
        self._text = text
        self.found = found
        self.wrong = False

    def span(self, group: int) -> tuple[int, int]:
        """Start and end in characters."""
        start, end = self.found.span(group)
        return self._text.characters(start), self._text.characters(end)
