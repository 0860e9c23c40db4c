"""Presidio recognizers over one text: the findings of presidio-analyzer's `AnalyzerEngine` with the
same recognizers (entity, span, score), at a fraction of its cost.

No language model runs, results are plain values, and where stock skips a pattern that takes too
long as if nothing was found, this one fails. tests/backends/test_engine_parity.py compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from threading import Event
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import regex

from gateway.backends.presidio import EntityRecognizer, Pattern, PatternRecognizer
from gateway.backends.recognizers.allowed import Allowed, without_allowed
from gateway.backends.recognizers.custom import CustomRecognizer
from gateway.backends.recognizers.finder import Finder, Found
from gateway.backends.recognizers.gates import Gate, Gates
from gateway.backends.recognizers.plain import plain
from gateway.backends.recognizers.reading import Reading
from gateway.backends.recognizers.shortened import unescaped
from gateway.backends.surroundings import has_context, raised
from gateway.privacy.redact import DetectionFailed
from gateway.privacy.spans import Span
from gateway.privacy.windows import AT_ONCE, find_in_windows

PATTERN_SECONDS: Final = 2.0
"""Time for one of Presidio's patterns over one window of text. Those are not linear by design."""

_NO_ARTIFACTS: Any = None  # of a language model; Presidio's type does not say that it is optional

NOTHING_ALLOWED: Final[Allowed] = MappingProxyType({})

Find = Callable[[str], Iterable[Found]]


class _Looking(NamedTuple):
    """One recognizer of one entity. `context`: words that make its findings surer, in lower
    case."""

    entity: str
    find: Find
    context: tuple[str, ...]


class Engine:
    """Finds what `recognizers` do. Safe to use from several threads."""

    def __init__(
        self, recognizers: Sequence[EntityRecognizer], allowed: Allowed = NOTHING_ALLOWED
    ) -> None:
        self._allowed = allowed
        self._gates = Gates(
            [(_gate(one), looking) for one in recognizers for looking in _lookings(one)]
        )

    def look(
        self, text: str, entities: Collection[str], given_up: Event | None = None
    ) -> list[Span]:
        """The spans of a text of any length and in any characters; see `find`."""
        if len(text) <= AT_ONCE and text.isascii() and "\\u" not in text:
            return self.find(text, entities, given_up)  # which is what all below comes to
        find = partial(self.find, entities=entities, given_up=given_up)
        read = unescaped(text) if "\\u" in text else None
        if read is None:
            return find_in_windows(plain(text), find)
        return [
            Span(read.original(span.start), read.original(span.end), span.entity, span.score)
            for span in find_in_windows(plain(read.text), find)
        ]

    def find(
        self, text: str, entities: Collection[str], given_up: Event | None = None
    ) -> list[Span]:
        """Spans of `entities` in a plain text, best first, without those that are allowed and
        what lies in them; none once somebody has given up on it.

        Raises DetectionFailed where a pattern takes longer than PATTERN_SECONDS."""
        text = Reading(text)
        found: list[Span] = []
        for entity, find, context in self._gates.open(text):
            if entity not in entities:
                continue
            if given_up is not None and given_up.is_set():
                return []
            before = len(found)
            for start, end, score in find(text):
                found.append(Span(start, end, entity, score))
            if context and len(found) > before:
                found[before:] = _surer(text, found[before:], context)
        if self._allowed:
            found = without_allowed(text, found, self._allowed)
        return without_twins(found) if found else found


def without_twins(spans: Sequence[Span]) -> list[Span]:
    """Without those of score 0, and those that a finding of the same entity and of no lower score
    contains: the rule of `EntityRecognizer.remove_duplicates`."""
    if len(spans) < 2:
        return list(spans) if spans and spans[0].score > 0 else []
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


def _gate(recognizer: EntityRecognizer) -> Gate:
    return recognizer.gate if isinstance(recognizer, Finder) else Gate()


def _lookings(recognizer: EntityRecognizer) -> Iterator[_Looking]:
    """One for each of its entities; most have one."""
    context = _context_of(recognizer)
    for entity in recognizer.get_supported_entities():
        yield _Looking(entity, _find_of(recognizer, entity), context)


def _find_of(recognizer: EntityRecognizer, entity: str) -> Find:
    if isinstance(recognizer, Finder | CustomRecognizer):
        return recognizer.find
    if isinstance(recognizer, PatternRecognizer) and _is_stock(recognizer):
        return _patterns(recognizer, entity)
    return lambda text: (
        (one.start, one.end, one.score)
        for one in recognizer.analyze(text, [entity], _NO_ARTIFACTS)
        if one.entity_type == entity
    )


def _is_stock(recognizer: PatternRecognizer) -> bool:
    return type(recognizer).analyze is PatternRecognizer.analyze


def _context_of(recognizer: EntityRecognizer) -> tuple[str, ...]:
    return tuple(word.lower() for word in recognizer.context or ())


def _patterns(recognizer: PatternRecognizer, entity: str) -> Find:
    """What `PatternRecognizer.analyze` does, but that a pattern without an end fails."""
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

    def search(text: str) -> list[Found]:
        try:
            return [(span.start, span.end, span.score) for span in without_twins([*found(text)])]
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
        span._replace(score=raised(span.score))
        if span.score < 1.0 and has_context(text, span.start, words)
        else span
        for span in spans
    ]
