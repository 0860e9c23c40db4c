"""Long texts are looked at in windows, and nothing is missed or doubled at their borders."""

from __future__ import annotations

import re

import pytest

from gateway.privacy.spans import Span
from gateway.privacy.windows import BEHIND, OWN, find_in_windows

NAME = re.compile(r"(?<![a-z])n(a{3,})b(?![a-z])")


class Finder:
    def __init__(self) -> None:
        self.lengths: list[int] = []

    def __call__(self, text: str) -> list[Span]:
        self.lengths.append(len(text))
        return [Span(*found.span(), "NAME", 1.0) for found in NAME.finditer(text)]


def test_a_short_text_is_looked_at_once_and_whole() -> None:
    find = Finder()
    assert find_in_windows("x naaab", find) == [Span(2, 7, "NAME", 1.0)]
    assert find_in_windows(" " * (OWN + BEHIND), find) == []
    assert find.lengths == [7, OWN + BEHIND]


@pytest.mark.parametrize("offset", [*range(-12, 3), -BEHIND, -OWN, BEHIND, BEHIND - 3])
@pytest.mark.parametrize("length", [3, 40, 1_000])
def test_what_lies_across_a_border_is_found_once(offset: int, length: int) -> None:
    value, at = f"n{'a' * length}b", 2 * OWN + offset
    text = f"{'. ' * at}"[:at] + value + " ." * OWN
    assert find_in_windows(text, Finder()) == [Span(at, at + len(value), "NAME", 1.0)]


@pytest.mark.parametrize("length", [BEHIND, 20_000, OWN, 60_000])
def test_a_value_longer_than_its_window_is_found_whole(length: int) -> None:
    value, at = f"n{'a' * length}b", OWN - 5
    text = f"{'. ' * at}"[:at] + value + " ." * OWN
    assert Span(at, at + len(value), "NAME", 1.0) in find_in_windows(text, Finder())


def test_a_finding_that_ends_where_its_window_does_is_looked_at_in_a_wider_one() -> None:
    lines = re.compile(r"BEGIN(?:\n[a-z]{20})*")

    def find(text: str) -> list[Span]:
        return [Span(*found.span(), "KEY", 1.0) for found in lines.finditer(text)]

    text = "x " * 16_000 + "BEGIN" + f"\n{'k' * 20}" * 3_000 + " x" * OWN
    assert find_in_windows(text, find) == find(text)


def test_no_step_sees_much_more_than_its_window() -> None:
    find = Finder()
    find_in_windows("some words and more " * 50_000, find)
    assert max(find.lengths) <= OWN + 3 * BEHIND
    assert sum(find.lengths) <= 1.1 * 1_000_000
