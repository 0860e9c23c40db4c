"""A stream past its cap is seen, and one within it never."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.openai.overrun import SLACK_TOKENS, Cap, Overrun
from gateway.openai.tokens import LONGEST_TOKEN_BYTES, count
from gateway.openai.usage import Told

HEAD = {"id": "c-1", "object": "chat.completion.chunk", "model": "m"}


def watching(cap: int, tokenizer: str = "o200k", total: int | None = None) -> Overrun:
    return Overrun(Cap(cap, cap if total is None else total, 9, tokenizer))


def chunks_until_past(overrun: Overrun, piece: str, most: int) -> int | None:
    for number in range(1, most + 1):
        overrun.add(0, "content", piece)
        if overrun.is_past(None):
            return number
    return None


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(max_size=12), max_size=80), st.sampled_from(["o200k", "cl100k", "bytes"]))
def test_a_text_within_its_cap_is_never_past_it(pieces: list[str], tokenizer: str) -> None:
    overrun = watching(count("".join(pieces), tokenizer), tokenizer)
    for piece in pieces:
        overrun.add(0, "content", piece)
        assert not overrun.is_past(None)


@pytest.mark.parametrize("cap", [1, 10, 100, 1000])
def test_a_text_past_its_cap_and_the_slack_is_seen_at_the_chunk_that_passes_it(cap: int) -> None:
    assert chunks_until_past(watching(cap), " word", 3 * cap + 99) == (
        cap + cap // 8 + SLACK_TOKENS + 1
    )


def test_without_a_vocabulary_only_what_is_certain_is_past_the_cap() -> None:
    limit = 10 + 10 // 8 + SLACK_TOKENS
    assert chunks_until_past(watching(10, "bytes"), "x" * 64, 10_000) == (
        (limit + 1) * LONGEST_TOKEN_BYTES // 64
    )


def test_each_choice_has_a_cap_of_its_own_and_all_its_texts_count() -> None:
    overrun = watching(10)
    for choice in range(3):
        overrun.add(choice, "content", " word" * 30)
    assert not overrun.is_past(None)
    overrun.add(1, "reasoning", " other" * 30)
    assert overrun.is_past(None)


def test_a_text_that_is_sent_under_two_names_counts_once() -> None:
    overrun = watching(10)
    for _ in range(30):
        overrun.add(0, "reasoning", " word")
        overrun.add(0, "reasoning_content", " word")
    assert not overrun.is_past(None)


def test_more_told_than_all_that_was_reserved_is_past_the_cap() -> None:
    overrun = watching(10, total=30)
    assert not overrun.is_past(Told(1, 0, 30, 0))
    assert overrun.is_past(Told(1, 0, 31, 0))


@pytest.mark.parametrize(
    ("told", "usage"), [(None, (9, 2)), (Told(7, 0, 50, 0), (7, 50)), (Told(0, 0, 1, 0), (9, 2))]
)
def test_the_end_has_every_running_choice_and_the_usage(told: Any, usage: tuple[int, int]) -> None:
    overrun = watching(10)
    overrun.add(0, "content", "hello world")
    *ends, last = overrun.ending({**HEAD, "choices": []}, [0, 2], told, wants_usage=True)
    assert ends == [
        {**HEAD, "choices": [{"index": index, "delta": {}, "finish_reason": "length"}]}
        for index in (0, 2)
    ]
    told_input, told_output = usage
    assert last["choices"] == []
    assert last["usage"] == {
        "prompt_tokens": told_input,
        "completion_tokens": told_output,
        "total_tokens": told_input + told_output,
    }


def test_the_end_of_a_completion_is_an_empty_text() -> None:
    chunk = {"object": "text_completion", "choices": [{"index": 0, "text": "a"}]}
    (only,) = watching(1).ending(chunk, [0], None, wants_usage=False)
    ended = {"index": 0, "text": "", "logprobs": None, "finish_reason": "length"}
    assert only == {"object": "text_completion", "choices": [ended]}
