"""Recognizers that a policy writes down: RE2 patterns, words, a checksum.

RE2 has no backreferences and no lookaround, and its `\\b`, `\\w` and `\\d` are ASCII's. No pattern
makes a request slow: see search.py, and denied.py for words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import re2

from gateway.backends.presidio import (
    EntityRecognizer,
    LocalRecognizer,
    NlpArtifacts,
    RecognizerResult,
)
from gateway.backends.recognizers.checksums import CHECKS
from gateway.backends.recognizers.denied import Denied
from gateway.backends.recognizers.finder import Found
from gateway.backends.recognizers.plain import folded
from gateway.backends.recognizers.search import Searched
from gateway.privacy.profile import Custom, Pattern

_VALUE: Final = "value"
_NOT_CHECKED: Final = re.compile("[^0-9A-Z]++")
CHECKED_MAX: Final = 128
"""Characters of a value that a checksum can pass: those that there are have up to 34."""


class CustomRecognizer(LocalRecognizer):
    """Finds what `custom` says, also what it allows: allowed.py takes that out. Where a pattern has
    a group `value`, only that is the finding.

    Raises ValueError for a pattern that RE2 cannot hold; `examine` says which."""

    def __init__(self, custom: Custom) -> None:
        self.custom = custom
        self._patterns = [(compiled(pattern), pattern.score) for pattern in custom.patterns]
        self._denied = Denied(custom.deny) if custom.deny else None
        self._allowed = frozenset(map(folded, custom.allow))
        self._context = tuple(map(folded, custom.context))
        super().__init__(supported_entities=[custom.entity], supported_language="en")

    def load(self) -> None:
        """Nothing to load: the policy holds everything."""

    def find(self, text: str) -> Iterator[Found]:
        """Start, end and score of each finding. `text` is plain."""
        if self._patterns:
            searched = Searched(text)
            for shape, score in self._patterns:
                group = shape.groupindex.get(_VALUE, 0)
                for match in searched.matches(shape, again=self.custom.check is not None):
                    start, end = match.span(group)
                    if start >= end:
                        continue
                    value = text[start:end]
                    passes = self._passes(value)
                    match.wrong = not passes or folded(value) in self._allowed
                    if passes:
                        yield start, end, self._surer(text, start, score)
        if self._denied:
            for start, end in self._denied.find(text):
                yield start, end, EntityRecognizer.MAX_SCORE

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Presidio's verb. The artifacts of a language model are not needed."""
        entity = self.custom.entity
        return [RecognizerResult(entity, *found) for found in self.find(text)]

    def _passes(self, value: str) -> bool:
        check = self.custom.check
        if check is None:
            return True
        is_short = len(value) <= CHECKED_MAX
        return is_short and CHECKS[check](_NOT_CHECKED.sub("", value.upper()))

    def _surer(self, text: str, start: int, score: float) -> float:
        before = folded(text[max(0, start - self.custom.context_chars) : start])
        if any(word in before for word in self._context):
            score = min(score + self.custom.context_score, EntityRecognizer.MAX_SCORE)
        return score


@lru_cache(1024)
def compiled(pattern: Pattern) -> Any:
    """Raises ValueError with what RE2 says."""
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
