"""What our recognizers have in common: a Presidio `EntityRecognizer` for one entity.

Presidio's own `PatternRecognizer` is not used: its `\\b` is Unicode's, so that values which touch
Chinese text are missed, and a pattern that takes too long is skipped as if nothing was found.
Patterns here begin with a set of characters (what `re` scans for fast), never try a character more
than a fixed number of times (possessive or bounded repeats), and decide little: checks do. A group
is never possessive: Python before 3.11.5 gets such repeats wrong (python/cpython#106052).
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from gateway.backends.presidio import LocalRecognizer, NlpArtifacts, RecognizerResult
from gateway.backends.recognizers.gates import Gate
from gateway.privacy.spans import WORD_END, word_start

STARTED = word_start(1)
"""Holds behind a word's first character: patterns begin `[set]` + STARTED."""

NOT_A_FRACTION = r"(?<![0-9]\..)(?<![0-9][Ee][+-].)"
"""Holds behind a number's first digit if it is no fraction or exponent of a decimal number."""

NUMBER_END = rf"{WORD_END}(?!\.[0-9])"

_DIGITS = re.compile("[0-9]++")

Found = tuple[int, int, float]
"""Start, end, score."""


def overlapping(shape: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Every match, also one that begins inside another: a check may refuse the first of them."""
    found = shape.search(text)
    while found:
        yield found
        found = shape.search(text, found.start() + 1)


class Finder(LocalRecognizer):
    """A recognizer of the entity that its class names."""

    ENTITY: ClassVar[str]
    DIGITS_MIN: ClassVar[int] = 0
    """The least number of ASCII digits that a text must hold for this to find anything."""
    CLOSE_DIGITS_MIN: ClassVar[int] = 0
    """The same, where all of them are of one number: see `Reading.close_digits`."""
    NEEDLES: ClassVar[tuple[str, ...]] = ()
    """One of these must be in the text for this to find anything, or one of SMALL_NEEDLES or of
    SHAPES; none of any: it may always."""
    SMALL_NEEDLES: ClassVar[tuple[str, ...]] = ()
    """The same, of the text in small letters."""
    SHAPES: ClassVar[tuple[bytes, ...]] = ()
    """The same, of the text with `a` for each letter and `0` for each digit."""

    def __init__(self) -> None:
        super().__init__(supported_entities=[self.ENTITY], supported_language="en")

    def load(self) -> None:
        """Nothing to load: the patterns are constants."""

    NEEDS_LONG_RUN: ClassVar[bool] = False
    """Whether it finds something only where as many characters of keys stand in a row as any key
    has; then it needs nothing else."""

    @property
    def gate(self) -> Gate:
        """Which texts this need not see."""
        return Gate(
            self.DIGITS_MIN,
            self.NEEDLES,
            self.SMALL_NEEDLES,
            self.CLOSE_DIGITS_MIN,
            self.SHAPES,
            self.NEEDS_LONG_RUN,
        )

    @abstractmethod
    def find(self, text: str) -> Iterator[Found]:
        """Where the entity stands. `text` has no full-width characters any more."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Presidio's verb. The artifacts of a language model are not needed."""
        metadata = {
            RecognizerResult.RECOGNIZER_NAME_KEY: type(self).__name__,
            RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
        }
        return [
            RecognizerResult(self.ENTITY, start, end, score, recognition_metadata=dict(metadata))
            for start, end, score in self.find(text)
        ]


def digits_of(text: str) -> str:
    return "".join(_DIGITS.findall(text))
