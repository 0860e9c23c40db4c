"""Where something private stands in a text. Pure values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """`text[start:end]` is an `entity`, in code points; `score` is 0..1."""

    start: int
    end: int
    entity: str
    score: float
