"""Presidio's own recognizers of what ours do not find, one for each of `COUNTRY_ENTITIES`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import regex
from presidio_analyzer import LocalRecognizer, PatternRecognizer, predefined_recognizers

from gateway.backends.entities import COUNTRY_ENTITIES

_BEYOND_ASCII: Final = {"DE_KFZ"}
"""Whose patterns hold letters that are not ASCII: those keep Unicode's boundaries."""

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
            yield make(supported_language="en")


def _with_ascii_boundaries(recognizer: LocalRecognizer) -> LocalRecognizer:
    is_plain = recognizer.supported_entities[0] not in _BEYOND_ASCII
    if isinstance(recognizer, PatternRecognizer) and is_plain:
        recognizer.global_regex_flags |= regex.ASCII
    return recognizer
