"""Where something private stands in a text. Pure values, and the rule for those that overlap."""

from __future__ import annotations

import re
import string
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """`text[start:end]` is an `entity`, in code points; `score` is 0..1."""

    start: int
    end: int
    entity: str
    score: float


def word_start(shift: int = 0, joins: str = "0-9A-Za-z") -> str:
    """A pattern that holds where a word may begin, tried `shift` characters after that point.

    What `joins` words (inside of a set) is ASCII alone for values, so that one that touches Chinese
    text stands by itself. What stands behind a JSON escape (`\\n`, `\\u5361`) begins a word too:
    prompts and arguments are often JSON.
    A shift lets a pattern begin with its own first character, which is what makes `re` fast."""
    after = "." * shift
    return rf"(?s:(?<![{joins}]{after})|(?<=\\[bfnrt]{after})|(?<=\\u[0-9A-Fa-f]{{4}}{after}))"


WORD_END = r"(?![0-9A-Za-z])"
"""A pattern that holds where a word may end."""

_WORD_START = re.compile(word_start())
_WORD_REST = re.compile(r"[0-9A-Za-z]*+")
_JOINED = frozenset(string.ascii_letters + string.digits)
_QUOTES = "\"'"
_QUOTE = frozenset(_QUOTES)
_QUOTE_OR_BACKSLASH = frozenset(f"{_QUOTES}\\")


def _rank(span: Span) -> tuple[int, float, str, int]:
    """Smaller wins: longer, then the higher score, then the entity's name, then the earlier."""
    return (span.start - span.end, -span.score, span.entity, span.start)


def _between(start: int, end: int, namesake: Span) -> Span:
    return Span(start, end, namesake.entity, namesake.score)


def resolve(spans: Iterable[Span]) -> list[Span]:
    """Disjoint spans, in the order of the text: those that overlap become one that covers them all.

    It is named after the longest of them; of equally long ones after that with the higher score,
    then after the entity that comes first by name. So nothing that was found stays visible, also
    where two recognizers disagree on where a value ends. An empty span is none."""
    resolved: list[Span] = []
    if len(found := [span for span in spans if span.start < span.end]) < 2:
        return found
    namesake = found[0]
    for span in sorted(found, key=lambda s: (s.start, _rank(s))):
        if resolved and span.start < resolved[-1].end:
            last = resolved.pop()
            namesake = min(namesake, span, key=_rank)
            resolved.append(_between(last.start, max(last.end, span.end), namesake))
        else:
            namesake = span
            resolved.append(span)
    return resolved


def unquoted(text: str, span: Span) -> Span:
    """The span without the quotes at its ends, nor a backslash that escapes one: they belong to the
    text, which may be JSON, and some recognizers take them along."""
    value = text[span.start : span.end]
    if value[:1] not in _QUOTE and value[-1:] not in _QUOTE_OR_BACKSLASH:
        return span  # as nearly all are
    inner = value.lstrip(_QUOTES)
    start = span.end - len(inner)
    if inner[-1:] in _QUOTE or (inner.endswith("\\") and text[span.end : span.end + 1] in _QUOTE):
        inner = inner.rstrip(f"{_QUOTES}\\")
    is_same = len(inner) == len(value)
    return span if is_same else _between(start, start + len(inner), span)


def outside(spans: Iterable[Span], others: Sequence[Span]) -> list[Span]:
    """Those that lie in none of the disjoint, sorted `others`."""
    if not others:
        return list(spans)
    ends = [other.end for other in others]
    kept = []
    for span in spans:
        at = bisect_left(ends, span.end)
        if at == len(others) or others[at].start > span.start:
            kept.append(span)
    return kept


def stands_alone(text: str, start: int, end: int) -> bool:
    """Whether no letter or digit is beside it."""
    return text[start - 1 : start] not in _JOINED and text[end : end + 1] not in _JOINED


def whole_words(text: str, spans: Iterable[Span]) -> list[Span]:
    """Disjoint, sorted spans, grown until each begins and ends where a word does.

    What is put into the text instead of a span can then be told from its neighbours, and so be
    found again. Spans that come to touch become one, named as `resolve` would choose."""
    grown: list[Span] = []
    namesake = None
    for span in spans:
        floor = grown[-1].end if grown else 0
        start = span.start
        if (start > floor or not grown) and stands_alone(text, start, span.end):
            grown.append(span)  # as nearly all do: no pattern has to say so
            namesake = span
            continue
        while start > floor and not _WORD_START.match(text, start):
            start -= 1
        end = floor
        if span.end > floor and (rest := _WORD_REST.match(text, span.end)):
            end = rest.end()
        if namesake and start <= floor:
            start = grown.pop().start
            namesake = min(namesake, span, key=_rank)
        else:
            namesake = span
        is_whole = namesake is span and (start, end) == (span.start, span.end)
        grown.append(span if is_whole else _between(start, end, namesake))
    return grown
