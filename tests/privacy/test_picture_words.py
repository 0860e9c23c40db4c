"""Words of pictures: their text, the words that a finding touches, and what is remembered."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.privacy.pictures import (
    Picture,
    RememberedReader,
    Unreadable,
    Word,
    over_words,
    text_of,
)
from gateway.privacy.spans import Span


def words_of(*texts: str) -> list[Word]:
    return [Word(text, 0, 0, 1, 1) for text in texts]


def test_words_are_parted_by_a_space_and_lines_by_their_end() -> None:
    words = [Word("a", 0, 0, 1, 1, True), Word("b", 0, 0, 1, 1), Word("c", 0, 0, 1, 1, True)]
    assert text_of(words) == "a b\nc"
    assert text_of([]) == ""


def test_a_finding_takes_all_of_every_word_that_it_touches() -> None:
    words = words_of("mail:ann@x.com,", "now", "41", "11", "end")
    text = text_of(words)
    spans = [
        Span(text.index("ann"), text.index(","), "E", 1),
        Span(text.index("1 1"), text.index("end"), "C", 1),
    ]
    grown = over_words(words, reversed(spans))
    assert [(text[one.start : one.end], one.entity) for one in grown] == [
        ("mail:ann@x.com,", "E"),
        ("41 11", "C"),
    ]


@given(
    st.lists(st.text("ab1", min_size=1, max_size=4), max_size=8),
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=5),
)
def test_every_letter_of_every_finding_is_in_a_run_of_whole_words(
    texts: list[str], found: list[tuple[int, int]]
) -> None:
    words = words_of(*texts)
    text = text_of(words)
    spans = [Span(start, start + size, "E", 1.0) for start, size in found]
    grown = over_words(words, spans)
    covered = [at for one in grown for at in range(one.start, one.end)]
    assert covered == sorted(set(covered))
    private = {at for one in spans for at in range(one.start, one.end) if at < len(text)}
    assert {at for at in private if text[at] != " "} <= set(covered)
    for one in grown:
        assert one.start == 0 or text[one.start - 1] == " "
        assert one.end == len(text) or text[one.end] == " "
        for word_start, word in _placed(words):  # no word that no finding touches
            if one.start <= word_start < one.end:
                assert private & set(range(word_start, word_start + len(word.text)))


def _placed(words: Sequence[Word]) -> list[tuple[int, Word]]:
    at, placed = 0, []
    for word in words:
        placed.append((at, word))
        at += len(word.text) + 1
    return placed


class Counting:
    """Reads the letters of a picture, and remembers which it was asked for."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    async def read(self, pictures: Sequence[bytes]) -> list[list[Word]]:
        await asyncio.sleep(0)
        self.asked += pictures
        if b"bad" in pictures:
            raise Unreadable("is broken")
        return [[Word(one.decode(), 1, 2, 3, 4, True)] for one in pictures]

    async def cover(self, pictures: Sequence[bytes], *_: object) -> list[Picture]:
        await asyncio.sleep(0)
        return [Picture("image/png", one) for one in pictures]


def test_a_picture_is_read_once_while_it_is_remembered() -> None:
    reader = Counting()
    remembered = RememberedReader(reader, bytes(32), 2)

    def read(*pictures: bytes) -> list[list[Word]]:
        return asyncio.run(remembered.read(pictures))

    first = read(b"one", b"two", b"one")
    assert first == [[Word(text, 1, 2, 3, 4, True)] for text in ("one", "two", "one")]
    assert read(b"one", b"two", b"one") == first
    assert reader.asked == [b"one", b"two"]
    read(b"one", b"three")
    read(b"one", b"two")
    assert reader.asked == [b"one", b"two", b"three", b"two"]  # `two` had been the oldest


def test_what_is_kept_can_be_read_with_the_picture_only() -> None:
    remembered = RememberedReader(Counting(), bytes(range(32)), 10)
    asyncio.run(remembered.read([b"ann@example.com"]))
    kept = pickle.dumps(dict(remembered._kept))
    assert len(kept) > 40
    assert b"ann" not in kept
    assert b"example" not in kept


def test_failures_are_not_kept() -> None:
    reader = Counting()
    remembered = RememberedReader(reader, bytes(32), 10)
    for _ in range(2):
        with pytest.raises(Unreadable):
            asyncio.run(remembered.read([b"bad"]))
    assert reader.asked == [b"bad", b"bad"]


def test_with_room_for_none_every_picture_is_read_again() -> None:
    reader = Counting()
    remembered = RememberedReader(reader, bytes(32), 0)
    for _ in range(2):
        assert asyncio.run(remembered.read([b"a", b"b"])) == [
            [Word(text, 1, 2, 3, 4, True)] for text in "ab"
        ]
    assert reader.asked == [b"a", b"b"] * 2
