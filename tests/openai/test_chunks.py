"""Answers as JSON objects: read, write, taken apart."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.json_text import write
from gateway.openai.chunks import choices, continued, read_object, says_only_usage
from gateway.openai.texts import answer_places

HEAD = {"id": "c-1", "object": "chat.completion.chunk", "created": 7, "model": "m"}


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "1", "null", '"a"', "{", "{}x", b"\xff", "[" * 100_000, "9" * 5000]
)
def test_what_is_no_json_object_is_none(text: str | bytes) -> None:
    assert read_object(text) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"a":12345678901234567890123456789,"b":0.1,"c":-0.0,"d":1e+300}',
        '{"e":-1.7976931348623157e+308}',
        '{"logprob":-0.00020256353}',
        '{"a":"我😀é","b":"\\u0000\\"\\\\\\n"}',
        '{"a":[],"b":{},"c":null,"d":true}',
    ],
)
def test_what_was_read_is_written_as_it_was(text: str) -> None:
    value = read_object(text)
    assert value is not None
    assert write(value) == text.encode()


def test_half_a_surrogate_pair_is_written_as_an_escape() -> None:
    value = read_object('{"a":"\\ud83d","b":"我"}')
    assert value is not None
    assert json.loads(write(value)) == {"a": "\ud83d", "b": "我"}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON))
def test_any_object_survives(value: dict[str, Any]) -> None:
    assert read_object(write(value)) == value


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ([{"index": 0, "finish_reason": None}], {0: False}),
        ([{"index": 1, "finish_reason": "stop"}, {"index": 0}], {1: True, 0: False}),
        ([{"finish_reason": "length"}, {}], {0: True, 1: False}),
        ([{"index": 0, "finish_reason": ""}], {0: False}),
        ([], {}),
        ([None, 3], {}),
        (None, {}),
        ("text", {}),
    ],
)
def test_a_choice_is_finished_when_it_says_why(listed: Any, said: dict[int, bool]) -> None:
    assert choices({"choices": listed}) == said


def test_the_chunk_that_was_asked_for_says_only_usage() -> None:
    assert says_only_usage({"choices": [], "usage": {"prompt_tokens": 1}})
    assert not says_only_usage({"choices": [], "usage": None})
    assert not says_only_usage({"choices": [{}], "usage": {}})
    assert not says_only_usage({"usage": {}})


CONTINUED = [
    ({"delta": {"role": "assistant", "content": "x"}}, {"delta": {"content": "new"}}),
    ({"delta": {"reasoning_content": "x"}}, {"delta": {"reasoning_content": "new"}}),
    (
        {"delta": {"content": [{"type": "text", "text": "x"}]}},
        {"delta": {"content": [{"type": "text", "text": "new"}]}},
    ),
    ({"text": "x", "logprobs": {"tokens": ["x"]}}, {"text": "new"}),
    (
        {
            "delta": {
                "tool_calls": [
                    {
                        "index": 3,
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "f", "arguments": "x"},
                    }
                ]
            }
        },
        {"delta": {"tool_calls": [{"index": 3, "function": {"arguments": "new"}}]}},
    ),
]


@pytest.mark.parametrize(("choice", "expected"), CONTINUED)
def test_a_continued_chunk_has_the_text_in_its_place_and_nothing_twice(
    choice: dict[str, Any], expected: dict[str, Any]
) -> None:
    other = {"index": 0, "delta": {"role": "assistant"}}
    chunk = {**HEAD, "choices": [other, {"index": 2, **choice, "finish_reason": "stop"}], "x": 1}
    (place,) = answer_places(chunk)
    assert continued(chunk, place, "new") == {
        **HEAD,
        "choices": [{"index": 2, **expected, "finish_reason": None}],
    }
