"""A long text is counted in parts, which have just the tokens of the whole."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.openai.tokens import chat_count, count, load
from gateway.openai.vocabulary import (
    PART_CHARACTERS,
    PART_CHARACTERS_MAX,
    Vocabulary,
    counted,
    parts,
)

VOCABULARIES = ("o200k", "cl100k")
ODD = (
    "a B word Word 's ' \u2019 ll 'LL 've ab1 1ab e\u0301 . , ; : ! ? ( ) - _ / \\ = { } \" "
    "https:// 1 12 3456 \u00b2 \u00bd \u2167 \u0663 \u00e9 \u0301 \u200b "
    "中 文 ， 。 、 ； ： ！ ？ （ ） 🙂 👍🏽 ß \u0130 ñ"
)
PIECES = st.sampled_from([*ODD.split(" "), " ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u3000"])
texts = st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=30).map("".join)


@settings(deadline=None, max_examples=1000)
@given(texts)
def test_wherever_a_text_is_cut_its_parts_have_the_tokens_of_the_whole(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gateway.openai.vocabulary.PART_CHARACTERS", 1)
        pieces = [*parts(text)]
    assert "".join(pieces) == text
    for name in VOCABULARIES:
        vocabulary = load(name)
        whole, _ = counted(text, vocabulary)
        assert sum(counted(piece, vocabulary)[0] for piece in pieces) == whole


@pytest.mark.parametrize("name", VOCABULARIES)
def test_a_long_text_has_the_tokens_that_it_has_at_once(name: str) -> None:
    text = "The quick brown fox, and 12 of them; jumps!\n" * 5000
    vocabulary = load(name)
    assert counted(text, vocabulary) == (vocabulary.count(text), True)
    assert max(map(len, parts(text))) < PART_CHARACTERS + 50


def test_others_have_their_turn_while_a_long_text_is_counted() -> None:
    """Told by turns, not by seconds: with one count at once there would be none."""
    turns, is_done = 0, threading.Event()

    class Watched:
        def count(self, text: str) -> int:
            seen.append(turns)
            return load("o200k").count(text)

    def other() -> None:
        nonlocal turns
        while not is_done.is_set():
            turns += 1
            time.sleep(0)

    seen: list[int] = []
    watched: Vocabulary = Watched()
    thread = threading.Thread(target=other)
    thread.start()
    counted("one two three four. " * 50_000, watched)
    is_done.set()
    thread.join()
    assert len(seen) > 50
    assert len(set(seen)) > 1


def test_a_text_without_a_place_to_be_cut_is_bounded_by_its_bytes() -> None:
    text = "-" * (2 * PART_CHARACTERS_MAX + 5)
    least, most = chat_count(
        {"messages": [{"role": "user", "content": text}]}, "o200k", 1445, 10**6
    )
    assert least < 20
    assert most >= len(text)
    assert abs(count(text, "o200k") - load("o200k").count(text)) <= 3
