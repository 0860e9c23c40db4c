"""Numbers in a text that is a JSON object or list: what is put in place of one is quoted, so that
the text stays JSON, and one that is whole is shown without its `.0`. Pure."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from gateway.privacy.spans import Span, resolve

Range = tuple[int, int]

_DOCUMENT: Final = re.compile(r"[ \t\r\n]*+[{\[]")
_TOKEN: Final = re.compile(
    r""""[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|(?P<open>\\?)\Z)|(?P<number>-?[0-9][0-9.eE+-]*+)""",
    re.DOTALL,
)
"""`open` is there of a string that has no end yet, and may be the begin of an escape."""
_POINT_ZERO: Final = re.compile(r"\.(?<=[0-9]{9}\.)0++(?![0-9.eE+-])")
_WHOLE_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")


DOCUMENT_FIRST: Final = frozenset(" \t\r\n{[")
"""Characters with which a text may begin that is a JSON object or list."""


def begins_document(text: str) -> bool:
    """Whether it may be a JSON object or list, by its begin."""
    return _DOCUMENT.match(text) is not None


def bare_numbers(text: str) -> list[Range]:
    """Where the numbers stand, outside of strings; none in a text that is no JSON object or
    list."""
    if not _DOCUMENT.match(text) or not _is_json(text):
        return []
    return _numbers(text)


class Document:
    """A text that comes in pieces, and is JSON where it begins as an object or a list does.

    `_begin` is what has to stand before its next piece, so that this can be read by itself."""

    __slots__ = ("_begin", "_is_json")

    def __init__(self) -> None:
        self._begin = ""
        self._is_json: bool | None = None  # nothing but spaces came

    def numbers(self, text: str, start: int) -> list[Range]:
        """Where the numbers stand in `text[start:]`, outside of strings: that is what comes next,
        and may end anywhere."""
        rest = text[start:]
        if not self._may_hold(rest):
            return []
        shift = start - len(self._begin)
        return [(a + shift, b + shift) for a, b in _numbers(self._begin + rest)]

    def passed(self, piece: str) -> None:
        """Go on behind `piece`, which does not end inside of a number."""
        if not self._may_hold(piece):
            return
        opened = [token["open"] for token in _TOKEN.finditer(self._begin + piece)]
        slash = opened[-1] if opened else None
        self._begin = "" if slash is None else f'"{slash}'

    def _may_hold(self, piece: str) -> bool:
        if self._is_json is None and not piece.isspace() and piece:
            self._is_json = _DOCUMENT.match(piece) is not None
        return self._is_json is True


def without_point_zeros(text: str) -> str:
    """The text with spaces for the `.0` of long whole numbers outside of strings, so that a card is
    one however a program wrote it, and spans hold in the text itself."""
    if ".0" not in text or not _POINT_ZERO.search(text):
        return text
    done, pieces = 0, []
    for start, end in bare_numbers(text):
        if zeros := _POINT_ZERO.search(text, start, end):
            pieces += [text[done : zeros.start()], " " * (end - zeros.start())]
            done = end
    return "".join([*pieces, text[done:]])


def with_numbers(spans: Sequence[Span], numbers: Sequence[Range]) -> list[Span]:
    """The disjoint, sorted spans, grown until each holds all of a number or nothing of it: `-` and
    `.0` are a part of it."""
    if not numbers:
        return list(spans)
    starts, ends = [start for start, _ in numbers], [end for _, end in numbers]
    grown = []
    for span in spans:
        first, last = bisect_right(ends, span.start), bisect_right(starts, span.end - 1) - 1
        if first <= last:
            start, end = min(span.start, starts[first]), max(span.end, ends[last])
            span = span._replace(start=start, end=end)
        grown.append(span)
    return resolve(grown)


def quoted(spans: Sequence[Span], numbers: Sequence[Range], stand_ins: Sequence[str]) -> list[str]:
    """The stand-ins, those of numbers in quotes unless they are whole numbers themselves."""
    if not numbers:
        return list(stand_ins)
    starts = {start for start, _ in numbers}
    return [
        json.dumps(made, ensure_ascii=False)
        if span.start in starts and not _WHOLE_NUMBER.fullmatch(made)
        else made
        for span, made in zip(spans, stand_ins, strict=True)
    ]


def _numbers(text: str) -> list[Range]:
    return [token.span("number") for token in _TOKEN.finditer(text) if token["number"]]


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return True
