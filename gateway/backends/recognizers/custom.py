"""Recognizers that a policy writes down: RE2 patterns, words, a checksum, and examples of both.

RE2 takes linear time whatever the pattern (it has no backreferences and no lookaround), so that no
admin can make a request slow. Its `\\b`, `\\w` and `\\d` are ASCII's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import re2
from presidio_analyzer import EntityRecognizer, LocalRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from gateway.backends.recognizers.checksums import CHECKS
from gateway.backends.recognizers.finder import Found
from gateway.policy.redaction import Fault
from gateway.privacy.profile import Custom, Pattern
from gateway.privacy.spans import WORD_END, word_start

_VALUE: Final = "value"
_NOT_CHECKED: Final = re.compile("[^0-9A-Z]++")


class CustomRecognizer(LocalRecognizer):
    """Finds what `custom` says. Where a pattern has a group `value`, only that is the finding.

    Raises ValueError for a pattern that RE2 cannot hold; `examine` says which."""

    def __init__(self, custom: Custom) -> None:
        self.custom = custom
        self._patterns = [(_compiled(pattern), pattern.score) for pattern in custom.patterns]
        self._denied = _words(custom.deny)
        self._allowed = frozenset(custom.allow)
        self._context = tuple(word.lower() for word in custom.context)
        super().__init__(supported_entities=[custom.entity], supported_language="en")

    def load(self) -> None:
        """Nothing to load: the policy holds everything."""

    def find(self, text: str) -> Iterator[Found]:
        """Start, end and score of each finding."""
        for shape, score in self._patterns:
            group = shape.groupindex.get(_VALUE, 0)
            for match in shape.finditer(text):
                start, end = match.span(group)
                if start < end and self._passes(text[start:end]):
                    yield start, end, self._surer(text, start, score)
        if self._denied:
            for denied in self._denied.finditer(text):
                if denied[0] not in self._allowed:
                    yield (*denied.span(), EntityRecognizer.MAX_SCORE)

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Presidio's verb. The artifacts of a language model are not needed."""
        entity = self.custom.entity
        return [RecognizerResult(entity, *found) for found in self.find(text)]

    def _passes(self, value: str) -> bool:
        if value in self._allowed:
            return False
        check = self.custom.check
        return check is None or CHECKS[check](_NOT_CHECKED.sub("", value.upper()))

    def _surer(self, text: str, start: int, score: float) -> float:
        before = text[max(0, start - self.custom.context_chars) : start].lower()
        if any(word in before for word in self._context):
            score = min(score + self.custom.context_score, EntityRecognizer.MAX_SCORE)
        return score


def examine(custom: Custom, matches: Sequence[str], nots: Sequence[str]) -> Iterable[Fault]:
    """What is wrong with a recognizer: patterns that RE2 cannot hold, or match nothing at all
    (an empty value), and examples that it does not do right."""
    faults = list(_faults_of_patterns(custom.patterns))
    if faults:
        return faults
    recognizer = CustomRecognizer(custom)
    for index, text in enumerate(matches):
        if not any(recognizer.find(text)):
            faults.append(Fault("matches", index, f"{custom.entity} finds nothing here"))
    for index, text in enumerate(nots):
        if found := next(recognizer.find(text), None):
            value = text[found[0] : found[1]]
            faults.append(Fault("not", index, f"{custom.entity} finds `{value}` here"))
    return faults


def _faults_of_patterns(patterns: Sequence[Pattern]) -> Iterator[Fault]:
    for index, pattern in enumerate(patterns):
        try:
            shape = _compiled(pattern)
        except ValueError as problem:
            yield Fault("patterns", index, str(problem))
            continue
        if shape.fullmatch(""):
            yield Fault(
                "patterns", index, "the pattern matches an empty text; make it ask for a character"
            )


@lru_cache(1024)
def _compiled(pattern: Pattern) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern.regex, options)
    except re2.error as problem:
        said = problem.args[0] if problem.args else b""
        why = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    raise ValueError(
        f"RE2 cannot hold the pattern: {why}; it has no lookaround and no backreferences, and "
        "repeats at most 1000 times"
    )


def _words(words: Iterable[str]) -> re.Pattern[str] | None:
    """Any of the words as a whole word, whatever its case; a longer one before a shorter."""
    longest_first = sorted(words, key=len, reverse=True)
    if not longest_first:
        return None
    return re.compile("|".join(map(_whole, longest_first)), re.IGNORECASE)


def _whole(word: str) -> str:
    before = word_start() if word[0].isascii() and word[0].isalnum() else ""
    behind = WORD_END if word[-1].isascii() and word[-1].isalnum() else ""
    return before + re.escape(word) + behind
