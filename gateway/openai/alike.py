"""Events of a stream that differ from one before them in their text alone, as nearly all do. Pure.

Of such an event everything but the text is known, and the text is read without the rest. JSON makes
that exact: where an object was read with a string at a place, and the same bytes stand around
another string there, they are the same object with another text.
"""

from __future__ import annotations

import re
from functools import lru_cache

from gateway.json_text import read_string, write
from gateway.openai.chunks import put_text, read_object, text_at
from gateway.openai.texts import AnswerPlace

_DATA = b"data: "
_STRING = rb'"\s*:\s*("[^"\\]*(?:\\.[^"\\]*)*")'
_PADDING = re.compile(rb'"(obfuscation|p)' + _STRING)
"""Where servers put random letters, so that lengths tell nothing."""


class Alike:
    """What events have around their text, which is at `place`: the parts `before` and `after` it,
    and `between` it and a padding, if they have one; each with the quotation marks at its ends."""

    __slots__ = ("_after", "_before", "_begin", "_between", "_end", "place")

    def __init__(self, place: AnswerPlace, before: bytes, between: bytes, after: bytes) -> None:
        self.place = place
        self._before, self._between, self._after = before, between, after
        self._begin, self._end = len(before) - 1, 1 - len(after)

    def string_in(self, raw: bytes) -> bytes:
        """Of an event that is alike, the JSON string that is its text; of another one, nothing or
        what is no JSON string."""
        if not (raw.startswith(self._before) and raw.endswith(self._after)):
            return b""
        between, begin, end = self._between, self._begin, self._end
        if not between:
            return raw[begin:end]
        at = raw.rfind(between, begin, end)
        if at < 0 or read_string(raw[at + len(between) - 1 : end]) is None:
            return b""
        return raw[begin : at + 1]

    def saying(self, raw: bytes, string: bytes, text: str) -> bytes:
        """The event with `text` in place of its `string`."""
        begin = self._begin
        return b"".join((raw[:begin], write(text), raw[begin + len(string) :]))


def alike(raw: bytes, place: AnswerPlace) -> Alike | None:
    """What events are alike to this one, which has its one text at `place`. None where that is not
    easily told."""
    name = place.path[-1]
    if not isinstance(name, str) or not raw.startswith(_DATA) or b"\n" in raw:
        return None
    expected = read_object(raw[len(_DATA) :])
    if expected is None:
        return None
    text = text_at(expected, place.path)
    of_name = (found.span(1) for found in _strings(name).finditer(raw))
    span = next((span for span in of_name if read_string(raw[slice(*span)]) == text), None)
    if span is None:
        return None
    before, between, after = raw[: span[0] + 1], b"", raw[span[1] - 1 :]
    mark = "0" if text != "0" else "1"
    put_text(expected, place.path, mark)
    probe = before + mark.encode()
    if padding := _PADDING.search(after):
        field = padding[1].decode()
        expected[field] = "2" if expected.get(field) != "2" else "3"
        between, after = after[: padding.start(2) + 1], after[padding.end(2) - 1 :]
        probe += between + expected[field].encode()
    is_exact = read_object((probe + after)[len(_DATA) :]) == expected
    return Alike(place, before, between, after) if is_exact else None


@lru_cache(64)
def _strings(name: str) -> re.Pattern[bytes]:
    return re.compile(b'"' + re.escape(name.encode()) + _STRING)
