"""Which recognizers may find something in a text: one cheap look at it instead of one by each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.backends.recognizers.reading import Reading

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Gate:
    """Open for texts with so many ASCII digits, or so many that one number can have all of them,
    and, where there are any needles, with one of them: of `needles` as they are, of
    `small_needles` in small letters, of `shapes` with `a` for each letter and `0` for each digit.
    Where it `needs_long_run`, for texts with one, and no others."""

    digits_min: int = 0
    needles: tuple[str, ...] = ()
    small_needles: tuple[str, ...] = ()
    close_digits_min: int = 0
    shapes: tuple[bytes, ...] = ()
    needs_long_run: bool = False

    @property
    def asks_for_digits_only(self) -> bool:
        return not (self.needles or self.small_needles or self.shapes or self.needs_long_run)

    @property
    def least(self) -> int:
        return max(self.digits_min, self.close_digits_min)


class Gates(Generic[T]):
    """`gated`: each gate, and what stands behind it.

    What needs digits only is known by their number; what needs a word, once that is looked for,
    and words that no ASCII text can hold are not looked for in one."""

    def __init__(self, gated: Sequence[tuple[Gate, T]]) -> None:
        self._behind = [behind for _, behind in gated]
        wordless = [(gate, behind) for gate, behind in gated if gate.asks_for_digits_only]
        self._by_digits = _by_least([pair for pair in wordless if not pair[0].close_digits_min])
        self._by_close_digits = _by_least([pair for pair in wordless if pair[0].close_digits_min])
        close = [gate.close_digits_min for gate, _ in wordless if gate.close_digits_min]
        self._close_min = min(close, default=2**31)
        self._close_least = b"0" * min(close, default=1)
        self._of_long_runs = [behind for gate, behind in gated if gate.needs_long_run]
        self._least = [gate.least for gate, _ in gated]
        self._needles = _by_ascii([gate.needles for gate, _ in gated])
        self._small_needles = _by_ascii([gate.small_needles for gate, _ in gated])
        self._shapes = [(one, at) for at, (gate, _) in enumerate(gated) for one in gate.shapes]

    def open(self, text: Reading) -> list[T]:
        """What stands behind the gates that are open for it, in any order."""
        digits, is_ascii = text.digits, text.isascii()
        by_digits = self._by_digits
        opened = [*by_digits[digits if digits < len(by_digits) else -1]]
        if digits >= self._close_min:
            by_digits = self._by_close_digits
            close = text.close_digits(self._close_least)
            opened += by_digits[close if close < len(by_digits) else -1]
        if self._of_long_runs and text.has_long_run():
            opened += self._of_long_runs
        found = set()
        for needle, at in self._needles[is_ascii]:
            if needle in text:
                found.add(at)
        small = text.small
        for needle, at in self._small_needles[is_ascii]:
            if needle in small:
                found.add(at)
        shape = text.shape
        for one, at in self._shapes:
            if one in shape:
                found.add(at)
        for at in found:
            if self._least[at] <= digits:
                opened.append(self._behind[at])
        return opened


Needles = tuple[tuple[str, int], ...]
"""Each with the number of its gate."""


def _by_least(gated: Sequence[tuple[Gate, T]]) -> list[tuple[T, ...]]:
    """What is open by its digits alone, by their number; the last is for more as well."""
    most = max((gate.least for gate, _ in gated), default=0)
    return [
        tuple(behind for gate, behind in gated if gate.least <= count) for count in range(most + 1)
    ]


def _by_ascii(needles: Sequence[tuple[str, ...]]) -> tuple[Needles, Needles]:
    """All of them, and those that are ASCII."""
    every = tuple((needle, at) for at, of_gate in enumerate(needles) for needle in of_gate)
    return every, tuple(pair for pair in every if pair[0].isascii())
