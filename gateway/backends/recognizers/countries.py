"""Presidio's own recognizers of what ours do not find, one for each of `COUNTRY_ENTITIES`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import regex

from gateway.backends.entities import COUNTRY_ENTITIES
from gateway.backends.presidio import (
    LocalRecognizer,
    Pattern,
    PatternRecognizer,
    predefined_recognizers,
)

_BEYOND_ASCII: Final = {"DE_KFZ"}
"""Whose patterns hold letters that are not ASCII: those keep Unicode's boundaries."""

_GUARDED: Final = {
    "Non schema URL": (r"(?i)", r"(?i)(?=[a-z0-9.\-]{1,260}?[.][^.\-0-9\s])"),
    "PAN (Low)": (r"\b(", r"\b((?=[\w@#$%^?~-]{10}\b)"),
}
"""Of patterns that take long over ordinary text (dot leaders, one long line): how they begin, and
how they begin here: with a condition that every match fulfils, and that is quick to refuse."""

_ROOMS: Final = ("country_specific", "generic")


@lru_cache(1)
def country_recognizers() -> dict[str, LocalRecognizer]:
    """Entity → its recognizer, for texts of any language.

    Their boundaries are ASCII's, so that a value that touches Chinese text is found."""
    made = {one.supported_entities[0]: one for one in _made()}
    return {entity: _with_ascii_boundaries(made[entity]) for entity in sorted(COUNTRY_ENTITIES)}


def _made() -> Iterator[LocalRecognizer]:
    rooms = tuple(f"{predefined_recognizers.__name__}.{room}." for room in _ROOMS)
    for kind in vars(predefined_recognizers).values():
        if inspect.isclass(kind) and kind.__module__.startswith(rooms):
            make: Any = kind
            yield _guarded(make(supported_language="en"))


def _guarded(recognizer: LocalRecognizer) -> LocalRecognizer:
    """Finds the same. Its patterns are those of its class, so others are put in their place."""
    if isinstance(recognizer, PatternRecognizer):
        patterns: list[Pattern] = recognizer.patterns  # type: ignore[has-type]
        recognizer.patterns = [  # type: ignore[has-type]
            Pattern(one.name, _guard(one.name, one.regex), one.score) for one in patterns
        ]
    return recognizer


def _guard(name: str, written: str) -> str:
    begins, instead = _GUARDED.get(name, ("", ""))
    return instead + written.removeprefix(begins) if written.startswith(begins) else written


def _with_ascii_boundaries(recognizer: LocalRecognizer) -> LocalRecognizer:
    is_plain = recognizer.supported_entities[0] not in _BEYOND_ASCII
    if isinstance(recognizer, PatternRecognizer) and is_plain:
        recognizer.global_regex_flags |= regex.ASCII
    return recognizer
