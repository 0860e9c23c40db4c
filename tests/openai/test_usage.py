"""The tokens that servers say they used, in the shapes in which they say it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.openai.usage import TOKENS_MAX, Told, larger, tokens_told

BELIEVED: dict[str, tuple[dict[str, Any], Told]] = {
    "chat": (
        {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21},
        Told(9, 0, 12, 0),
    ),
    "chat with details": (
        {
            "prompt_tokens": 2006,
            "completion_tokens": 300,
            "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 64, "audio_tokens": 0},
        },
        Told(2006, 1920, 300, 64),
    ),
    "responses": (
        {
            "input_tokens": 36,
            "input_tokens_details": {"cached_tokens": 4},
            "output_tokens": 87,
            "output_tokens_details": {"reasoning_tokens": 8},
            "total_tokens": 123,
        },
        Told(36, 4, 87, 8),
    ),
    "embeddings": ({"prompt_tokens": 8, "total_tokens": 8}, Told(8, 0, 0, 0)),
    "embeddings, without a total": ({"prompt_tokens": 8}, Told(8, 0, 0, 0)),
    "no total": ({"prompt_tokens": 3, "completion_tokens": 4}, Told(3, 0, 4, 0)),
    "output only in the total": (
        {"prompt_tokens": 3, "completion_tokens": None, "total_tokens": 7},
        Told(3, 0, 4, 0),
    ),
    "input only in the total": ({"completion_tokens": 4, "total_tokens": 7}, Told(3, 0, 4, 0)),
    "nothing was written": ({"prompt_tokens": 3, "completion_tokens": 0}, Told(3, 0, 0, 0)),
    "a prompt that the server did not count": (
        {"prompt_tokens": 0, "completion_tokens": 5, "total_tokens": 5},
        Told(0, 0, 5, 0),
    ),
    "null details": (
        {
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "prompt_tokens_details": None,
            "completion_tokens_details": {"reasoning_tokens": None},
        },
        Told(3, 0, 4, 0),
    ),
    "nonsense in details": (
        {
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": -1},
            "completion_tokens_details": {"reasoning_tokens": "many"},
        },
        Told(3, 0, 4, 0),
    ),
    "more cached than there was": (
        {
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "prompt_tokens_details": {"cached_tokens": 9},
        },
        Told(3, 3, 4, 0),
    ),
    "reasoning beside the output": (
        {
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "total_tokens": 107,
            "completion_tokens_details": {"reasoning_tokens": 100},
        },
        Told(3, 0, 104, 100),
    ),
    "reasoning beside the output, without a total": (
        {
            "prompt_tokens": 3,
            "completion_tokens": 4,
            "completion_tokens_details": {"reasoning_tokens": 100},
        },
        Told(3, 0, 104, 100),
    ),
    "a total with something unnamed in it": (
        {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115},
        Told(10, 0, 105, 0),
    ),
    "a total that is too small": (
        {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 5},
        Told(10, 0, 5, 0),
    ),
    "audio, and a predicted output, which is in the output already": (
        {
            "prompt_tokens": 30,
            "completion_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 12},
            "completion_tokens_details": {
                "reasoning_tokens": 3,
                "audio_tokens": 9,
                "accepted_prediction_tokens": 2,
                "rejected_prediction_tokens": 5,
            },
        },
        Told(30, 8, 20, 3, 12, 9),
    ),
    "cached and audio that are more than the input": (
        {
            "prompt_tokens": 10,
            "completion_tokens": 6,
            "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 9},
            "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 9},
        },
        Told(10, 8, 6, 4, 2, 2),
    ),
    "floats that are whole": (
        {"prompt_tokens": 3.0, "completion_tokens": 4.0},
        Told(3, 0, 4, 0),
    ),
    "both namings, one of them null": (
        {
            "prompt_tokens": None,
            "input_tokens": 3,
            "completion_tokens": 4,
            "output_tokens": None,
        },
        Told(3, 0, 4, 0),
    ),
}

NOT_BELIEVED: dict[str, Any] = {
    "null": None,
    "a list": [3, 4],
    "a number": 7,
    "nothing in it": {},
    "nulls": {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None},
    "zeros": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    "output unknown": {"prompt_tokens": 3, "completion_tokens": None},
    "input unknown": {"completion_tokens": 3},
    "only a total": {"total_tokens": 7},
    "a negative input": {"prompt_tokens": -3, "completion_tokens": 4},
    "a negative output": {"prompt_tokens": 3, "completion_tokens": -4, "total_tokens": 7},
    "a negative total": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": -7},
    "a total smaller than the input": {"prompt_tokens": 9, "total_tokens": 3},
    "text": {"prompt_tokens": "3", "completion_tokens": "4"},
    "bools": {"prompt_tokens": True, "completion_tokens": True},
    "a part of a token": {"prompt_tokens": 3.5, "completion_tokens": 4},
    "not a number": {"prompt_tokens": float("nan"), "completion_tokens": 4},
    "infinite": {"prompt_tokens": float("inf"), "completion_tokens": 4},
    "absurd": {"prompt_tokens": TOKENS_MAX + 1, "completion_tokens": 4},
    "an object": {"prompt_tokens": {}, "completion_tokens": 4},
}


@pytest.mark.parametrize(("usage", "told"), BELIEVED.values(), ids=BELIEVED)
def test_what_can_be_believed_is_told(usage: dict[str, Any], told: Told) -> None:
    assert tokens_told(usage) == told


@pytest.mark.parametrize("usage", NOT_BELIEVED.values(), ids=NOT_BELIEVED)
def test_what_cannot_be_believed_is_not_told(usage: Any) -> None:
    assert tokens_told(usage) is None


VALUES = st.none() | st.integers(-5, 40) | st.floats() | st.text(max_size=2) | st.booleans()
DETAILS = VALUES | st.dictionaries(
    st.sampled_from(["cached_tokens", "reasoning_tokens", "audio_tokens"]), VALUES
)
USAGES = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": VALUES,
        "completion_tokens": VALUES,
        "total_tokens": VALUES,
        "input_tokens": VALUES,
        "output_tokens": VALUES,
        "prompt_tokens_details": DETAILS,
        "completion_tokens_details": DETAILS,
    },
)


@given(USAGES)
def test_whatever_is_told_adds_up(usage: dict[str, Any]) -> None:
    told = tokens_told(usage)
    if told is not None:
        assert 0 <= told.cached_input <= told.input - told.audio_input <= told.input
        assert 0 <= told.reasoning <= told.output - told.audio_output <= told.output
        assert told.input + told.output > 0


def test_of_what_a_stream_tells_again_and_again_the_largest_holds() -> None:
    small, large, again = Told(9, 0, 1, 0), Told(9, 0, 5, 0), Told(9, 3, 5, 0)
    assert larger(None, small) is small
    assert larger(small, None) is small
    assert larger(small, large) is large
    assert larger(large, small) is large
    assert larger(large, again) is again
