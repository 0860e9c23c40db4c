"""Events of a stream that differ from one before them in their text alone, as nearly all do. Pure.

Of such an event everything but the text is known, and the text is read without the rest. JSON makes
that exact: where an object was read with a string at a place, and the same bytes stand around
another string there, they are the same object with another text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from gateway.json_text import read_string, read_strings, write
from gateway.openai.chunks import put_text, read_object, text_at
from gateway.openai.texts import AnswerPlace

_DATA = b"data: "
_STRING = rb'"\s*:\s*("[^"\\]*(?:\\.[^"\\]*)*")'
_PADDING = re.compile(rb'"(obfuscation|p)' + _STRING)
"""Where servers put random letters, so that lengths tell nothing."""


class Alike:
    """Events that have their text at `place`, and around it the bytes `before` and `after`; with a
    padding, `between` stands between the text and that. Each part has the quotation marks at its
    ends."""

    __slots__ = ("_before", "_joint", "place")

    def __init__(self, place: AnswerPlace, before: bytes, between: bytes, after: bytes) -> None:
        self.place = place
        self._before = before
        joint = after + b"\n\n" + before
        self._joint: bytes | re.Pattern[bytes] = joint
        if between:
            self._joint = re.compile(
                b"".join((re.escape(between), b"[0-9A-Za-z]*", re.escape(joint)))
            )

    def texts_in(self, piece: bytes) -> list[str] | None:
        """The texts of `piece`, if it is one or more whole events like these, and nothing else."""
        before, joint = self._before, self._joint
        if not piece.startswith(before):
            return None
        rest = piece[len(before) :] + before  # so that a joint is behind each of its texts
        strings = rest.split(joint) if isinstance(joint, bytes) else joint.split(rest)
        return None if strings.pop() else read_strings(strings)

    def saying(self, piece: bytes, texts: Sequence[str]) -> bytes:
        """The events of `piece` with these in place of its texts."""
        before, joint = self._before, self._joint
        rest = piece[len(before) :] + before
        pattern = joint if isinstance(joint, re.Pattern) else re.compile(re.escape(joint))
        joints = [found[0] for found in pattern.finditer(rest)]
        strings = [write(text)[1:-1] for text in texts]
        parts = [part for pair in zip(strings, joints, strict=True) for part in pair]
        return b"".join((before, *parts))[: -len(before)]


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
