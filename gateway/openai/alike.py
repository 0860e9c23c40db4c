"""Events of a stream that differ from one before them in their text alone, as nearly all do. Pure.

Of such an event everything but the text is known, and the text is read without the rest. JSON makes
that exact: where an object was read with a string at a place, and the same bytes stand around
another string there, they are the same object with another text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import repeat

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

    __slots__ = ("_before", "_between", "_end", "_joint", "_start", "_tail", "place")

    def __init__(self, place: AnswerPlace, before: bytes, between: bytes, after: bytes) -> None:
        self.place = place
        self._before, self._between = before, between
        self._end = after + b"\n\n"
        self._joint = self._end + before  # no pattern: each stream would have to compile its own
        self._start, self._tail = len(before), len(self._end)

    def run_in(self, events: bytes, at: int, room: int) -> bytes:
        """What `events` has from `at` up to the last one that ends like these, with at most `room`
        bytes of text; nothing if it begins otherwise there. `texts_in` says whether all of it is
        alike."""
        end = events.rfind(self._end, at)
        if end < 0 or not events.startswith(self._before, at):
            return b""
        run = events[at : end + len(self._end)]
        frame, joint = len(self._joint), self._joint
        if len(run) - frame * (run.count(joint) + 1) <= room:
            return run
        fits, behind = 0, len(self._end)
        while (found := run.find(joint, fits)) >= 0 and found + behind - frame <= room:
            fits = found + behind
            room += frame
        return run[:fits]

    def texts_in(self, piece: bytes) -> list[str] | None:
        """The texts of `piece`, if it is one or more whole events like these, and nothing else."""
        stop = len(piece) - self._tail
        if (
            stop < self._start
            or not piece.endswith(self._end)
            or not piece.startswith(self._before)
        ):
            return None
        inner = piece[self._start : stop]
        if not self._between:
            if b"\n" in inner:
                return read_strings(inner.split(self._joint))
            text = read_string(b'"%b"' % inner)  # of one event, as in a stream not in a hurry
            return None if text is None else [text]
        strings = []
        for part in inner.split(self._joint):
            string, found, padding = part.rpartition(self._between)
            if not found or (padding and not padding.isalnum()):
                return None
            strings.append(string)
        return read_strings(strings)

    def saying(self, piece: bytes, texts: Sequence[str]) -> bytes:
        """The events of `piece`, which are like these, with these in place of its texts."""
        strings = [write(text)[1:-1] for text in texts]
        if between := self._between:
            inner = piece[self._start : len(piece) - self._tail]
            paddings = [part.rpartition(between)[2] for part in inner.split(self._joint)]
            strings = [b"".join(one) for one in zip(strings, repeat(between), paddings)]
        return b"".join((self._before, self._joint.join(strings), self._end))


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
