"""The verb redact: texts → texts without private values, and the Vault that can put them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from gateway.privacy.spans import Span


class Action(StrEnum):
    ALLOW = "allow"
    MASK = "mask"
    HASH = "hash"
    PLACEHOLDER = "placeholder"  # restored in the answer
    BLOCK = "block"  # refuses the request


@dataclass(frozen=True, slots=True)
class Profile:
    """What to look for, and what to do with it. Entities that are not named are not looked for."""

    name: str
    actions: Mapping[str, Action]
    score_min: float = 0.4


class DetectionFailed(Exception):
    """The detector broke or took too long. Never holds text."""


class Detector(Protocol):
    """Runs off the event loop. Raises DetectionFailed."""

    async def detect(
        self, texts: Sequence[str], entities: frozenset[str]
    ) -> list[list[Span]]:
        """One list of spans a text: any order, overlaps possible."""
        ...
