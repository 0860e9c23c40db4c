"""Which recognizers may find something in a text: one cheap look at it instead of one by each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.backends.recognizers.reading import Reading

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Gate:
    """Open for texts with so many ASCII digits and, where there are any needles, with one of them:
    of `needles` as they are, of `small_needles` in small letters."""

    digits_min: int = 0
    needles: tuple[str, ...] = ()
    small_needles: tuple[str, ...] = ()


class Gates(Generic[T]):
    """`gated`: each gate, and what stands behind it.

    What needs digits only is known by their number; what needs a word, once that is looked for,
    and words that no ASCII text can hold are not looked for in one."""

    def __init__(self, gated: Sequence[tuple[Gate, T]]) -> None:
        self._behind = [behind for _, behind in gated]
        most = max((gate.digits_min for gate, _ in gated), default=0)
        wordless = [
            (gate.digits_min, behind)
            for gate, behind in gated
            if not gate.needles and not gate.small_needles
        ]
        self._by_digits = [
            tuple(behind for least, behind in wordless if least <= count)
            for count in range(most + 1)
        ]
        self._digits_min = [gate.digits_min for gate, _ in gated]
        self._needles = _by_ascii([gate.needles for gate, _ in gated])
        self._small_needles = _by_ascii([gate.small_needles for gate, _ in gated])

    def open(self, text: Reading) -> list[T]:
        """What stands behind the gates that are open for it, in any order."""
        digits, is_ascii = text.digits, text.isascii()
        opened = [*self._by_digits[min(digits, len(self._by_digits) - 1)]]
        found = set()
        for needle, at in self._needles[is_ascii]:
            if needle in text:
                found.add(at)
        small = text.small
        for needle, at in self._small_needles[is_ascii]:
            if needle in small:
                found.add(at)
        for at in found:
            if self._digits_min[at] <= digits:
                opened.append(self._behind[at])
        return opened


Needles = tuple[tuple[str, int], ...]
"""Each with the number of its gate."""


def _by_ascii(needles: Sequence[tuple[str, ...]]) -> tuple[Needles, Needles]:
    """All of them, and those that are ASCII."""
    every = tuple((needle, at) for at, of_gate in enumerate(needles) for needle in of_gate)
    return every, tuple(pair for pair in every if pair[0].isascii())
