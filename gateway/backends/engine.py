"""Presidio recognizers over one text: the findings of presidio-analyzer's `AnalyzerEngine` with the
same recognizers (entity, span, score), at a fraction of its cost.

No language model runs, results are plain values, and where stock skips a pattern that takes too
long as if nothing was found, this one fails. tests/backends/test_engine_parity.py compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from threading import Event
from types import MappingProxyType
from typing import Any, Final

import regex
from presidio_analyzer import EntityRecognizer, Pattern, PatternRecognizer

from gateway.backends.recognizers.allowed import Allowed, without_allowed
from gateway.backends.recognizers.custom import CustomRecognizer
from gateway.backends.recognizers.finder import Finder
from gateway.backends.recognizers.plain import plain
from gateway.backends.recognizers.reading import Reading
from gateway.backends.recognizers.shortened import unescaped
from gateway.backends.surroundings import has_context, raised
from gateway.privacy.redact import DetectionFailed
from gateway.privacy.spans import Span
from gateway.privacy.windows import find_in_windows

PATTERN_SECONDS: Final = 2.0
"""Time for one of Presidio's patterns over one window of text. Those are not linear by design."""

_NO_ARTIFACTS: Any = None  # of a language model; Presidio's type does not say that it is optional

NOTHING_ALLOWED: Final[Allowed] = MappingProxyType({})

Search = Callable[[str], Iterable[Span]]


@dataclass(frozen=True, slots=True)
class _Looking:
    """One recognizer. `context`: words that make its findings surer, in lower case. It finds
    nothing in a text with fewer ASCII digits, or with none of the needles."""

    search: Search
    context: tuple[str, ...]
    digits_min: int = 0
    needles: tuple[str, ...] = ()


class Engine:
    """Finds what `recognizers` do. Safe to use from several threads."""

    def __init__(
        self, recognizers: Sequence[EntityRecognizer], allowed: Allowed = NOTHING_ALLOWED
    ) -> None:
        self._allowed = allowed
        self._all = [_looking(one) for one in recognizers]

    def look(self, text: str, entities: Collection[str], given_up: Event) -> list[Span]:
        """The spans of a text of any length and in any characters; see `find`."""
        read = unescaped(text)
        if read is None:
            return self._look(text, entities, given_up)
        return [
            replace(span, start=read.original(span.start), end=read.original(span.end))
            for span in self._look(read.text, entities, given_up)
        ]

    def _look(self, text: str, entities: Collection[str], given_up: Event) -> list[Span]:
        return find_in_windows(plain(text), lambda window: self.find(window, entities, given_up))

    def find(self, text: str, entities: Collection[str], given_up: Event) -> list[Span]:
        """Spans of `entities` in a plain text, best first, without those that are allowed and
        what lies in them; none once somebody has given up on it.

        Raises DetectionFailed where a pattern takes longer than PATTERN_SECONDS."""
        text = Reading(text)
        found: list[Span] = []
        digits = text.digits
        for one in self._all:
            if digits < one.digits_min:
                continue
            if one.needles and not any(needle in text for needle in one.needles):
                continue
            if given_up.is_set():
                return []
            spans = [span for span in one.search(text) if span.entity in entities]
            if spans and one.context:
                spans = _surer(text, spans, one.context)
            found += spans
        return without_twins(without_allowed(text, found, self._allowed))


def without_twins(spans: Sequence[Span]) -> list[Span]:
    """Without those of score 0, and those that a finding of the same entity and of no lower score
    contains: the rule of `EntityRecognizer.remove_duplicates`."""
    kept: list[Span] = []
    ordered = sorted(set(spans), key=lambda one: (one.entity, one.start, -one.end, -one.score))
    for _, same in groupby(ordered, key=attrgetter("entity")):
        open_: list[Span] = []
        for span in same:
            open_ = [one for one in open_ if one.end >= span.start]
            is_twin = any(span.end <= one.end and span.score <= one.score for one in open_)
            if span.score > 0 and not is_twin:
                kept.append(span)
                open_.append(span)
    return sorted(kept, key=lambda one: (-one.score, one.start, -one.end))


def _looking(recognizer: EntityRecognizer) -> _Looking:
    look = _Looking(_search_of(recognizer), _context_of(recognizer))
    if not isinstance(recognizer, Finder):
        return look
    return replace(look, digits_min=recognizer.DIGITS_MIN, needles=recognizer.NEEDLES)


def _search_of(recognizer: EntityRecognizer) -> Search:
    if isinstance(recognizer, Finder | CustomRecognizer):
        return _found(recognizer)
    if isinstance(recognizer, PatternRecognizer) and _is_stock(recognizer):
        return _patterns(recognizer)
    return lambda text: (
        Span(one.start, one.end, one.entity_type, one.score)
        for one in recognizer.analyze(text, recognizer.get_supported_entities(), _NO_ARTIFACTS)
    )


def _found(recognizer: Finder | CustomRecognizer) -> Search:
    (entity,) = recognizer.get_supported_entities()
    return lambda text: (
        Span(start, end, entity, score) for start, end, score in recognizer.find(text)
    )


def _is_stock(recognizer: PatternRecognizer) -> bool:
    return type(recognizer).analyze is PatternRecognizer.analyze


def _context_of(recognizer: EntityRecognizer) -> tuple[str, ...]:
    return tuple(word.lower() for word in recognizer.context or ())


def _patterns(recognizer: PatternRecognizer) -> Search:
    """What `PatternRecognizer.analyze` does, but that a pattern without an end fails."""
    (entity,) = recognizer.supported_entities
    patterns: Sequence[Pattern] = recognizer.patterns  # type: ignore[has-type]
    compiled = [
        (regex.compile(pattern.regex, recognizer.global_regex_flags), pattern.score)
        for pattern in patterns
    ]

    def found(text: str) -> Iterator[Span]:
        for shape, score in compiled:
            for match in shape.finditer(text, timeout=PATTERN_SECONDS, concurrent=True):
                if value := match[0]:
                    yield Span(
                        match.start(), match.end(), entity, _checked(recognizer, value, score)
                    )

    def search(text: str) -> list[Span]:
        try:
            return without_twins(list(found(text)))
        except TimeoutError:
            pass
        raise DetectionFailed(f"a pattern of {entity} took longer than {PATTERN_SECONDS:g} seconds")

    return search


def _checked(recognizer: PatternRecognizer, value: str, score: float) -> float:
    is_valid = recognizer.validate_result(value)
    if is_valid is not None:
        score = EntityRecognizer.MAX_SCORE if is_valid else EntityRecognizer.MIN_SCORE
    return EntityRecognizer.MIN_SCORE if recognizer.invalidate_result(value) else score


def _surer(text: Reading, spans: list[Span], context: tuple[str, ...]) -> list[Span]:
    """The findings, with the scores of those behind a context word raised."""
    words = [word for word in context if word in text.small]
    if not words:
        return spans
    return [
        replace(span, score=raised(span.score))
        if span.score < 1.0 and has_context(text, span.start, words)
        else span
        for span in spans
    ]
