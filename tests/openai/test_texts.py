"""Every place where free text lies is found, laid back, and nothing else is touched."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.openai.texts import (
    ERROR_CHOICE,
    AnswerPlace,
    Place,
    answer_places,
    free_texts,
    lay_back,
    read_texts,
)

ENDPOINTS = ("chat", "completions", "embeddings")
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
CHAT: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "T01", "name": "T02"},
        {"role": "developer", "content": "T03"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "T04"},
                PICTURE,
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "file", "file": {"filename": "T05", "file_data": "AAAA"}},
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "refusal", "refusal": "T06"}],
            "refusal": "T07",
            "reasoning_content": "T08",
            "audio": {"id": "audio-1", "transcript": "T09"},
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {
                        "name": "f",
                        "arguments": '{"a": "T10", "b": [1, "T11", {"c": "T12"}], "d": null}',
                    },
                },
                {"id": "call_2", "type": "custom", "custom": {"name": "g", "input": "T13"}},
            ],
            "function_call": {"name": "f", "arguments": '{"a": "T14"'},
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "T15"},
        {"role": "function", "name": "f", "content": "T16"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "f",
                "description": "T17",
                "parameters": {
                    "type": "object",
                    "title": "T18",
                    "properties": {
                        "description": {"type": "string", "description": "T19"},
                        "to": {"enum": ["T20", "T21"], "default": "T22", "examples": [["T23"]]},
                        "of": {"anyOf": [{"const": "T24"}, {"type": "null"}]},
                    },
                    "required": ["to"],
                },
            },
        },
        {"type": "custom", "custom": {"name": "g", "description": "T25"}},
    ],
    "functions": [{"name": "h", "description": "T26"}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "s", "description": "T27", "schema": {"description": "T28"}},
    },
    "prediction": {"type": "content", "content": [{"type": "text", "text": "T29"}]},
    "user": "T30",
    "safety_identifier": "T31",
    "prompt_cache_key": "T32",
    "metadata": {"key": "T33"},
    "stop": ["T34", "T35"],
    "logit_bias": {"50256": -100},
    "seed": 123456789012,
    "service_tier": "auto",
}


def texts_of(endpoint: str, body: Any) -> list[str]:
    return read_texts(body, free_texts(endpoint, body))


def test_every_text_of_a_chat_request_is_found_once_and_nothing_else() -> None:
    expected = [f"T{number:02}" for number in range(1, 36)]
    expected[expected.index("T14")] = '{"a": "T14"'  # no JSON: the text as it is
    assert sorted(texts_of("chat", CHAT)) == sorted(expected)


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ({"prompt": "a", "suffix": "b", "stop": "c", "user": "d"}, ["a", "b", "c", "d"]),
        ({"prompt": ["a", "b"]}, ["a", "b"]),
        ({"prompt": [[1, 2], [3]]}, []),
        ({"prompt": [1, 2]}, []),
    ],
)
def test_a_completion_request(body: dict[str, Any], texts: list[str]) -> None:
    assert texts_of("completions", body) == texts


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ({"input": "a", "user": "b"}, ["a", "b"]),
        ({"input": ["a", "b"]}, ["a", "b"]),
        ({"input": [1, 2]}, []),
        ({"input": "a", "instructions": "b"}, ["a", "b"]),
    ],
)
def test_an_embeddings_request(body: dict[str, Any], texts: list[str]) -> None:
    assert texts_of("embeddings", body) == texts


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_field_of_another_endpoint_does_not_leave_unseen(endpoint: str) -> None:
    body = {"messages": [{"role": "user", "content": "a"}], "prompt": "b", "input": ["c"]}
    assert sorted(texts_of(endpoint, body)) == ["a", "b", "c"]


def test_content_may_be_a_single_part_or_a_list_of_strings() -> None:
    assert texts_of("chat", {"messages": [{"content": {"type": "text", "text": "a"}}]}) == ["a"]
    assert texts_of("chat", {"messages": [{"content": ["a", "b"]}]}) == ["a", "b"]
    parts = [{"type": "tool_result", "content": "a"}, {"type": "thinking", "thinking": "b"}]
    assert texts_of("chat", {"messages": [{"content": parts}]}) == ["a", "b"]


PART = {"type": "text", "text": "a"}


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "tool_result", "content": [PART]}],
        [{"type": "tool_result", "content": PART}],
        [{"type": "tool_result", "content": [{"type": "x", "content": [[PART]]}]}],
        [[PART]],
        [["a"]],
    ],
)
def test_parts_inside_parts_do_not_leave_unseen(content: Any) -> None:
    for body in ({"messages": [{"content": content}]}, {"prompt": content}, {"input": content}):
        assert texts_of("chat", body) == ["a"]


def test_parts_are_read_in_the_order_in_which_they_stand() -> None:
    nested = {"type": "tool_result", "content": [{"text": "b"}, "c"], "text": "a"}
    assert texts_of("chat", {"messages": [{"content": [nested, "d"]}]}) == ["a", "b", "c", "d"]


def call(arguments: Any) -> dict[str, Any]:
    return {"messages": [{"tool_calls": [{"function": {"arguments": arguments}}]}]}


ARGUMENTS = ("messages", 0, "tool_calls", 0, "function", "arguments")


@pytest.mark.parametrize(
    ("arguments", "places"),
    [
        ('{"a": "x"}', [Place(ARGUMENTS, ("a",))]),
        ('"x"', [Place(ARGUMENTS, ())]),
        ("{}", []),
        ("", [Place(ARGUMENTS)]),
        ('{"a": "x', [Place(ARGUMENTS)]),
        ('{"a": "x", "a": "y"}', [Place(ARGUMENTS)]),
        ({"a": "x"}, [Place((*ARGUMENTS, "a"))]),
        ('{"card": 4111111111111111, "n": 42}', [Place(ARGUMENTS, ("card",))]),
        ("[" * 70 + '"x"' + "]" * 70, [Place(ARGUMENTS)]),
        ("[" * 100_000, [Place(ARGUMENTS)]),
    ],
)
def test_the_places_in_the_arguments_of_a_call(arguments: Any, places: list[Place]) -> None:
    assert free_texts("chat", call(arguments)) == places


def test_a_card_that_is_a_number_is_a_text_that_can_be_replaced() -> None:
    body = call('{"card": 4111111111111111, "n": 42}')
    places = free_texts("chat", body)
    assert read_texts(body, places) == ["4111111111111111"]
    assert lay_back(body, places, ["4111111111111111"]) == body
    assert json.loads(lay_back(body, places, ["X"])["messages"][0]["tool_calls"][0]["function"][
        "arguments"
    ]) == {"card": "X", "n": 42}  # fmt: skip


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("-4111111111111111", "-4111111111111111"),
        ("4111111111111111.0", "4111111111111111"),
        ("-123456789.0", "-123456789"),
        ("1e12", "1000000000000"),
    ],
)
def test_a_long_number_is_a_text_however_it_is_written(number: str, text: str) -> None:
    body = call(f'{{"n": {number}, "m": -1.5}}')
    places = free_texts("chat", body)
    assert read_texts(body, places) == [text]
    assert lay_back(body, places, [text]) is body
    new = lay_back(body, places, ["X"])["messages"][0]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(new) == {"n": "X", "m": -1.5}


@pytest.mark.parametrize("number", ["0.123456789", "123456789.5", "true", "Infinity", "NaN", "-1"])
def test_other_numbers_are_no_text(number: str) -> None:
    assert free_texts("chat", call(f'{{"n": {number}}}')) == []


def test_what_is_laid_back_is_where_it_was_and_nothing_is_mutated() -> None:
    before = copy.deepcopy(CHAT)
    places = free_texts("chat", CHAT)
    new = lay_back(CHAT, places, [f"<{text}>" for text in read_texts(CHAT, places)])
    assert before == CHAT
    assert texts_of("chat", new) == [f"<{text}>" for text in texts_of("chat", CHAT)]
    undone = lay_back(new, places, texts_of("chat", CHAT))
    assert undone == CHAT


def test_only_what_changes_is_copied() -> None:
    places = free_texts("chat", CHAT)
    texts = read_texts(CHAT, places)
    assert lay_back(CHAT, places, texts) is CHAT
    texts[texts.index("T15")] = "other"
    new = lay_back(CHAT, places, texts)
    assert new["messages"][4] == {**CHAT["messages"][4], "content": "other"}
    assert new["messages"][3] is CHAT["messages"][3]
    assert new["tools"] is CHAT["tools"]


def test_arguments_that_do_not_change_keep_their_spelling() -> None:
    body = call('{ "a":1.50 ,"b":"\\u0078" }')
    places = free_texts("chat", body)
    assert lay_back(body, places, ["x"]) is body


@pytest.mark.parametrize("text", ["卡 😀", "\ud800", 'say "hi"\n\\'])
def test_arguments_hold_any_text(text: str) -> None:
    body = call('{"a": "x", "b": "\\ud83d"}')
    places = free_texts("chat", body)
    new = lay_back(body, places, [text, "y"])
    assert read_texts(new, places) == [text, "y"]
    new["messages"][0]["tool_calls"][0]["function"]["arguments"].encode()


FIELDS = """messages content text role name tool_calls function arguments custom input tools
parameters description enum prompt metadata stop prediction choices delta message index error audio
transcript response_format json_schema schema"""
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["{}", "[1"]),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS.split()),
            below,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@given(JUNK, st.sampled_from(ENDPOINTS))
def test_a_body_of_any_shape_is_walked_read_and_laid_back(body: Any, endpoint: str) -> None:
    places = free_texts(endpoint, body)
    assert len(set(places)) == len(places)
    texts = read_texts(body, places)
    assert all(isinstance(text, str) for text in texts)
    assert lay_back(body, places, texts) is body
    new = lay_back(body, places, [text + "!" for text in texts])
    assert read_texts(new, places) == [text + "!" for text in texts]


@given(st.dictionaries(st.sampled_from(["choices", "error"]), JUNK))
def test_an_event_of_any_shape_is_walked(event: dict[str, Any]) -> None:
    for place in answer_places(event):
        found: Any = event
        for step in place.path:
            found = found[step]
        assert isinstance(found, str)
        assert place.lane[0] == place.choice


def test_the_texts_of_a_chat_answer() -> None:
    message = {
        "role": "assistant",
        "content": "a",
        "reasoning_content": "b",
        "reasoning": "c",
        "refusal": "d",
        "audio": {"id": "x", "data": "AAAA", "transcript": "e"},
        "tool_calls": [
            {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "y", "type": "custom", "custom": {"name": "g", "input": "h"}},
        ],
        "function_call": {"name": "f", "arguments": "{}"},
    }
    event = {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    assert {(place.lane, place.is_json) for place in answer_places(event)} == {
        ((0, "content"), False),
        ((0, "reasoning_content"), False),
        ((0, "reasoning"), False),
        ((0, "refusal"), False),
        ((0, "audio", "transcript"), False),
        ((0, "tool_calls", 0, "function", "arguments"), True),
        ((0, "tool_calls", 1, "custom", "input"), False),
        ((0, "function_call", "arguments"), True),
    }


def test_parts_inside_parts_of_an_answer_are_read_as_deep_as_requests_may_be() -> None:
    (place,) = answer_places({"choices": [{"message": {"content": [[PART]]}}]})
    assert place.path == ("choices", 0, "message", "content", 0, 0, "text")
    deep: Any = PART
    for _ in range(500):
        deep = [deep]
    assert answer_places({"choices": [{"message": {"content": deep}}]}) == []


def test_a_lane_goes_on_over_the_chunks_of_a_stream_by_index_not_by_position() -> None:
    def chunk(index: int, delta: dict[str, Any]) -> dict[str, Any]:
        return {"object": "chat.completion.chunk", "choices": [{"index": index, "delta": delta}]}

    (content,) = answer_places(chunk(2, {"content": "a"}))
    assert content == AnswerPlace(("choices", 0, "delta", "content"), (2, "content"), 2, False)
    calls = {"tool_calls": [{"index": 3, "function": {"arguments": "{"}}]}
    (arguments,) = answer_places(chunk(1, calls))
    assert arguments.path == ("choices", 0, "delta", "tool_calls", 0, "function", "arguments")
    assert arguments.lane == (1, "tool_calls", 3, "function", "arguments")
    assert answer_places(chunk(0, {"role": "assistant", "content": None})) == []


def test_content_is_json_where_the_request_asked_for_it() -> None:
    said = {"content": "{}", "reasoning": "x", "tool_calls": [{"function": {"arguments": "{}"}}]}
    event = {"choices": [{"message": said}, {"index": 1, "text": "{}"}]}
    documents = {place.lane[1]: place.is_json for place in answer_places(event, True)}
    assert documents == {"content": True, "reasoning": False, "tool_calls": True, "text": True}


def test_the_texts_of_a_completion_and_of_an_error() -> None:
    event = {"choices": [{"text": "a", "index": 0}, {"text": "b", "index": 1}]}
    assert [(place.path, place.choice) for place in answer_places(event)] == [
        (("choices", 0, "text"), 0),
        (("choices", 1, "text"), 1),
    ]
    (error,) = answer_places({"error": {"message": "a", "code": "b"}})
    assert error == AnswerPlace(
        ("error", "message"), (ERROR_CHOICE, "error", "message"), ERROR_CHOICE, 0
    )
