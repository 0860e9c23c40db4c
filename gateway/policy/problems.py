"""Problems are collected, never raised one at a time: a person wants to see all of them at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from gateway.policy.policy import Problem

SHOWN_MAX = 60
NAMES_MAX = 12
CANDIDATES_MAX = 200  # comparing takes up to 15 µs each


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file; the first is 1, and 0 is the file as a whole."""

    file: str
    line: int

    def seen_from(self, other: Place) -> str:
        """How a message at `other` names this place."""
        return f"line {self.line}" if self.file == other.file else f"{self.file}:{self.line}"


class Findings:
    """Everything that was found so far; the same thing at the same place counts once."""

    def __init__(self) -> None:
        self._problems: dict[Problem, None] = {}

    def error(self, place: Place, message: str) -> None:
        self._problems[Problem(place.file, place.line, message)] = None

    def warning(self, place: Place, message: str) -> None:
        self._problems[Problem(place.file, place.line, message, "warning")] = None

    def note(self, place: Place, message: str) -> None:
        self._problems[Problem(place.file, place.line, message, "note")] = None

    @property
    def failed(self) -> bool:
        return any(problem.severity == "error" for problem in self._problems)

    def in_order(self) -> tuple[Problem, ...]:
        """By file and line; on one line, in the order of finding."""
        return tuple(sorted(self._problems, key=lambda problem: (problem.file, problem.line)))


def quoted(text: str) -> str:
    """A text out of a file, fit for a message: short, on one line, nothing invisible."""
    short = text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "…"
    return "`" + "".join(c if c.isprintable() else repr(c)[1:-1] for c in short) + "`"


def listed(names: Iterable[str]) -> str:
    """The first few names, in their order: "`a`, `b` and 3 more"."""
    every = list(names)
    shown = ", ".join(quoted(name) for name in every[:NAMES_MAX])
    rest = len(every) - NAMES_MAX
    return f"{shown} and {rest} more" if rest > 0 else shown


def suggestion(word: str, known: Iterable[str]) -> str:
    """What was probably meant; otherwise what there is."""
    candidates = list(known)
    if len(candidates) > CANDIDATES_MAX:
        candidates = [name for name in candidates if name[:2] == word[:2]][:CANDIDATES_MAX]
    if len(word) <= SHOWN_MAX and (close := get_close_matches(word, candidates, 1)):
        return f"did you mean {quoted(close[0])}?"
    return f"write one of {listed(candidates)}" if candidates else "there is none yet"
