"""Overlaps are resolved by one rule, and what is replaced is always whole words."""

import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.privacy.spans import WORD_END, Span, resolve, unquoted, whole_words, word_start

ENTITIES = ("CARD", "EMAIL", "PHONE")
TEXT = "alice@example.com"
spans = st.lists(
    st.builds(
        lambda start, length, entity, score: Span(start, start + length, entity, score),
        st.integers(0, 40),
        st.integers(0, 12),
        st.sampled_from(ENTITIES),
        st.sampled_from((0.4, 0.5, 1.0)),
    )
)


def test_overlapping_spans_become_one_named_after_the_longest() -> None:
    short, long = Span(0, 5, "A", 1.0), Span(3, 12, "B", 0.1)
    assert resolve([short, long]) == [Span(0, 12, "B", 0.1)]
    assert resolve([long, Span(4, 6, "C", 1.0)]) == [long]


def test_of_equally_long_spans_the_higher_score_names_it_then_the_first_name() -> None:
    assert resolve([Span(0, 5, "A", 0.5), Span(0, 5, "B", 0.6)]) == [Span(0, 5, "B", 0.6)]
    assert resolve([Span(0, 5, "B", 0.5), Span(0, 5, "A", 0.5)]) == [Span(0, 5, "A", 0.5)]
    assert resolve([Span(2, 7, "B", 0.5), Span(0, 5, "A", 0.5)]) == [Span(0, 7, "A", 0.5)]


def test_a_chain_of_overlaps_is_one_span() -> None:
    chain = [Span(0, 4, "A", 1), Span(3, 13, "B", 1), Span(12, 15, "C", 1), Span(15, 16, "D", 1)]
    assert resolve(chain) == [Span(0, 15, "B", 1), Span(15, 16, "D", 1)]


def test_neighbours_do_not_overlap_and_an_empty_span_is_none() -> None:
    assert resolve([Span(3, 5, "B", 1), Span(0, 3, "A", 1), Span(2, 2, "C", 1)]) == [
        Span(0, 3, "A", 1),
        Span(3, 5, "B", 1),
    ]


@given(spans)
def test_resolved_spans_are_disjoint_sorted_and_cover_exactly_what_was_found(
    found: list[Span],
) -> None:
    resolved = resolve(found)
    for one, next_one in pairwise(resolved):
        assert one.end <= next_one.start
    covered = {at for span in found for at in range(span.start, span.end)}
    assert {at for span in resolved for at in range(span.start, span.end)} == covered
    assert resolve(reversed(found)) == resolved == resolve(resolved)


@given(spans)
def test_a_resolved_span_is_named_after_the_best_of_those_in_it(found: list[Span]) -> None:
    for one in resolve(found):
        inside = [s for s in found if one.start <= s.start < s.end <= one.end]
        longest = max(s.end - s.start for s in inside)
        best = max(s.score for s in inside if s.end - s.start == longest)
        named = {s.entity for s in inside if s.end - s.start == longest and s.score == best}
        assert (one.entity, one.score) == (min(named), best)


def test_a_span_grows_to_the_ends_of_its_word() -> None:
    assert whole_words("see abc123def.", [Span(7, 10, "A", 1)]) == [Span(4, 13, "A", 1)]


def test_a_span_does_not_grow_into_chinese_or_over_a_json_escape() -> None:
    assert whole_words("号123是", [Span(1, 4, "A", 1)]) == [Span(1, 4, "A", 1)]
    assert whole_words(r"a\n123", [Span(3, 6, "A", 1)]) == [Span(3, 6, "A", 1)]
    assert whole_words(r"\u53f7123", [Span(6, 9, "A", 1)]) == [Span(6, 9, "A", 1)]


def test_spans_that_come_to_touch_become_one_named_after_the_longer() -> None:
    assert whole_words("123456789", [Span(0, 3, "A", 1), Span(4, 9, "B", 1)]) == [
        Span(0, 9, "B", 1)
    ]


@given(st.text("aA1_ -\\nu卡5", max_size=40), spans)
def test_whole_words_cover_the_spans_and_stand_apart(text: str, found: list[Span]) -> None:
    inside = resolve(span for span in found if span.end <= len(text))
    whole = whole_words(text, inside)
    for span in inside:
        assert any(one.start <= span.start and span.end <= one.end for one in whole)
    for one in whole:
        assert re.compile(word_start()).match(text, one.start)
        assert not any(other.end == one.start for other in whole)
        assert re.compile(WORD_END).match(text, one.end)


def test_a_pattern_may_begin_with_its_own_first_character() -> None:
    shifted = re.compile(rf"[0-9]{word_start(1)}[0-9]++{WORD_END}")
    plain = re.compile(rf"{word_start()}[0-9]++{WORD_END}")
    for text in ("12", "a12", "号12", r"\n12", r"\u53f712", "\n12", "12a", "_12_", r"\\x12"):
        found = [match.span() for match in shifted.finditer(text)]
        assert found == [match.span() for match in plain.finditer(text) if match[0][1:]]


def test_many_spans_in_one_long_word_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading on to the word's end for each of them would take minutes for a megabyte."""
    read = 0

    class Counted:
        def match(self, text: str, start: int) -> Any:
            nonlocal read
            found = re.compile("[0-9A-Za-z]*").match(text, start)
            read += len(found.group()) if found else 0
            return found

    monkeypatch.setattr("gateway.privacy.spans._WORD_REST", Counted())
    text = "a" * 1000 + " b"
    inside = [Span(at, at + 2, "A", 1.0) for at in range(1, 1000, 3)]
    assert whole_words(text, inside) == [Span(0, 1000, "A", 1.0)]
    assert read <= len(text)


@pytest.mark.parametrize(
    ("text", "found", "left"),
    [
        ('{"u":"a.de/x"}', '"a.de/x"', "a.de/x"),
        ("{'u':'a.de/x'}", "'a.de/x'", "a.de/x"),
        (r'"{\"u\":\"a.de/x\"}"', r'"a.de/x\"', "a.de/x"),
        (r'"{\"u\":\"a.de/x\"}"', "a.de/x\\", "a.de/x"),
        ('say "hi"', 'say "hi"', 'say "hi'),
        ("a.de/x\\ y", "a.de/x\\", "a.de/x\\"),
        ('Tr0ub"4dor', 'Tr0ub"4dor', 'Tr0ub"4dor'),
        ('a """ b', '"""', ""),
    ],
)
def test_the_quotes_at_its_ends_are_no_part_of_a_value(text: str, found: str, left: str) -> None:
    start = text.rindex(found)
    span = unquoted(text, Span(start, start + len(found), "URL", 0.5))
    assert text[span.start : span.end] == left
    assert (span.entity, span.score) == ("URL", 0.5)
