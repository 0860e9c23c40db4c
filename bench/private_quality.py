"""How much is found, and how much of what is found is private."""

from __future__ import annotations

import sysconfig
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from private_corpus import Sample

Found = list[tuple[int, int, str]]
Find = Callable[[str], Found]


@dataclass(slots=True)
class Score:
    """Values that were found whole (as their entity), missed, and findings where nothing is."""

    hit: int = 0
    missed: int = 0
    false: int = 0
    misses: list[str] = field(default_factory=list)

    @property
    def recall(self) -> float:
        return self.hit / max(1, self.hit + self.missed)

    @property
    def precision(self) -> float:
        return self.hit / max(1, self.hit + self.false)

    @property
    def f2(self) -> float:
        """Recall counts twice as much as precision (C. J. van Rijsbergen's F with β = 2)."""
        both = 4 * self.precision + self.recall
        return 5 * self.precision * self.recall / both if both else 0.0


def measured(samples: Iterable[Sample], find: Find, entities: Sequence[str]) -> dict[str, Score]:
    """By entity. A value is found where one finding of its entity covers it; a finding is false
    where it touches no value at all: one that goes by another name is a miss, but hides it."""
    scores = {entity: Score() for entity in entities}
    for sample in samples:
        found = find(sample.text)
        for start, end, entity in sample.spans:
            if entity in scores:
                _count(
                    scores[entity],
                    sample.text[start:end],
                    any(s <= start and end <= t and name == entity for s, t, name in found),
                )
        for start, end, entity in found:
            is_false = not any(s < end and start < t for s, t, _ in sample.spans)
            if is_false and entity in scores:
                scores[entity].false += 1
    return scores


def _count(score: Score, value: str, is_found: bool) -> None:
    if is_found:
        score.hit += 1
    else:
        score.missed += 1
        score.misses.append(value)


def python_source(size: int) -> str:
    """The first `size` characters of Python's own library, tests left out."""
    pieces, total = [], 0
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        text = path.read_text("utf-8", "replace")
        pieces.append(text)
        total += len(text)
        if total >= size:
            break
    return "".join(pieces)[:size]


def spans_in_source(find: Find, size: int = 2**20) -> Counter[str]:
    """Findings in 1 MiB of source code, by entity: nearly all of them are false."""
    return Counter(entity for _, _, entity in find(python_source(size)))
