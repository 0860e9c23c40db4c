"""Every place where free text lies is found, laid back, and nothing else is touched."""

import copy
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.openai.places import Place, lay_back
from gateway.openai.texts import AnswerPlace, answer_places, free_texts

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
    return [place.text for place in free_texts(endpoint, body)]


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
        ('{"a": "x"}', [Place(ARGUMENTS, ("a",), "a")]),
        ('"x"', [Place(ARGUMENTS, ())]),
        ("{}", []),
        ("", [Place(ARGUMENTS)]),
        ('{"a": "x', [Place(ARGUMENTS)]),
        ('{"a": "x", "a": "y"}', [Place(ARGUMENTS)]),
        ({"a": "x"}, [Place((*ARGUMENTS, "a"), None, "a")]),
        ('{"card": 4111111111111111, "n": 42}', [Place(ARGUMENTS, ("card",), "card")]),
        ("[" * 70 + '"x"' + "]" * 70, [Place(ARGUMENTS)]),
        ("[" * 100_000, [Place(ARGUMENTS)]),
    ],
)
def test_the_places_in_the_arguments_of_a_call(arguments: Any, places: list[Place]) -> None:
    assert free_texts("chat", call(arguments)) == places


def test_what_is_nested_too_deep_is_one_text_and_costs_no_more_than_that() -> None:
    """Each leaf once had a path of 900 steps, some 7 kB, before the depth was looked at."""
    body = call("[" * 900 + ",".join(['"a"'] * 5_000) + "]" * 900)
    tracemalloc.start()
    places = free_texts("chat", body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert places == [Place(ARGUMENTS)]
    assert peak < 5_000 * 60


def test_texts_are_found_no_further_than_they_are_asked_for() -> None:
    arguments = json.dumps([f"T{number:02}" for number in range(100_000)])
    body = call(arguments) | {"metadata": {"key": "T"}}
    parsed = len(arguments) + 100_000 * 70  # what json.loads makes of it
    tracemalloc.start()
    places = free_texts("chat", body, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [place.text for place in places] == ["T00", "T01", "T02"]
    assert peak < parsed


def test_a_leaf_is_led_by_the_nearest_key_of_an_object_that_the_caller_named() -> None:
    arguments = '{"to": {"phone": ["x", [{"b": "y"}, "z"]]}, "ssn": 123456789}'
    schema = {
        "properties": {
            "password": {"type": "string", "default": "d", "examples": ["e", {"pin": "f"}]},
            "list": {"items": {"properties": {"ssn": {"items": {"const": "g"}}}}},
        }
    }
    body = call(arguments) | {
        "metadata": {"password": "m", "0": "n"},
        "tools": [{"function": {"name": "f", "description": "h", "parameters": schema}}],
        "user": "u",
    }
    leads = {place.text: place.lead for place in free_texts("chat", body)}
    assert leads == {
        "x": "phone",
        "y": "b",
        "z": "phone",
        "123456789": "ssn",
        "m": "password",
        "n": "0",
        "d": "password",
        "e": "password",
        "f": "pin",
        "g": "ssn",
        "h": "",
        "u": "",
    }
    assert {p.lead for p in free_texts("chat", call('["x", "y"]'))} == {""}


@pytest.mark.parametrize("key", ["description", "title", "$comment"])
def test_what_a_schema_says_is_looked_at_in_whatever_shape(key: str) -> None:
    said: Any = ["a", {"x": "b", "y": [["c"]]}]
    schema = {"properties": {"p": {key: said}, key: {"type": "string", key: "d"}}, key: ["e"]}
    body = {"tools": [{"function": {"name": "f", "description": ["g"], "parameters": schema}}]}
    assert sorted(texts_of("chat", body)) == ["a", "b", "c", "d", "e", "g"]


def test_a_card_that_is_a_number_is_a_text_that_can_be_replaced() -> None:
    body = call('{"card": 4111111111111111, "n": 42}')
    places = free_texts("chat", body)
    assert [place.text for place in places] == ["4111111111111111"]
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
    assert [place.text for place in places] == [text]
    assert lay_back(body, places, [text]) is body
    new = lay_back(body, places, ["X"])["messages"][0]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(new) == {"n": "X", "m": -1.5}


def test_a_number_stays_one_where_a_number_is_put_in_its_place() -> None:
    body = call('{"card": 4111111111111111, "id": "1"}') | {"metadata": {"card": 4111111111111111}}
    new = lay_back(body, free_texts("chat", body), ["4222222222222222", "2", "012"])
    written = new["messages"][0]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(written) == {"card": 4222222222222222, "id": "2"}
    assert new["metadata"] == {"card": "012"}


@pytest.mark.parametrize(
    "number", ["1e400", "-1E-400", "1.10", "0.1000000000000000055511151231257827", "-0", "-0.0",
               "123456789012.50", "1E+2", "NaN", "9" * 4000]
)  # fmt: skip
@pytest.mark.parametrize("other", ["x", "\\ud800é"])
def test_a_number_stays_to_the_letter_where_another_text_changes(number: str, other: str) -> None:
    body = call(f'{{"n": [{number}, {{"m": {number}}}], "to": "ann", "o": "{other}"}}')
    places = [place for place in free_texts("chat", body) if place.text == "ann"]
    new = lay_back(body, places, ["é"])["messages"][0]["tool_calls"][0]["function"]["arguments"]
    changed = "é" if other == "x" else "\\u00e9"
    told = other if other == "x" else "\\ud800\\u00e9"
    assert new == f'{{"n": [{number}, {{"m": {number}}}], "to": "{changed}", "o": "{told}"}}'


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
))  # fmt: skip
def test_a_document_is_written_as_python_writes_it(value: Any) -> None:
    whole = {"value": value, "to": "ann"}
    body = call(json.dumps(whole))
    places = [one for one in free_texts("chat", body) if one.inner == ("to",)]
    new = lay_back(body, places, ["eve"])["messages"][0]["tool_calls"][0]["function"]["arguments"]
    written = json.dumps(whole | {"to": "eve"}, ensure_ascii=False)
    has_half = any("\ud800" <= c <= "\udfff" for c in written)
    assert new == (json.dumps(whole | {"to": "eve"}) if has_half else written)


@pytest.mark.parametrize("number", ["0.123456789", "123456789.5", "true", "Infinity", "NaN", "-1"])
def test_other_numbers_are_no_text(number: str) -> None:
    assert free_texts("chat", call(f'{{"n": {number}}}')) == []


def test_what_is_laid_back_is_where_it_was_and_nothing_is_mutated() -> None:
    before = copy.deepcopy(CHAT)
    places = free_texts("chat", CHAT)
    new = lay_back(CHAT, places, [f"<{text}>" for text in texts_of("chat", CHAT)])
    assert before == CHAT
    assert texts_of("chat", new) == [f"<{text}>" for text in texts_of("chat", CHAT)]
    undone = lay_back(new, free_texts("chat", new), texts_of("chat", CHAT))
    assert undone == CHAT


def test_only_what_changes_is_copied() -> None:
    places = free_texts("chat", CHAT)
    texts = texts_of("chat", CHAT)
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
    assert texts_of("chat", new) == [text, "y"]
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
    texts = [place.text for place in places]
    assert all(isinstance(text, str) for text in texts)
    assert lay_back(body, places, texts) is body
    new = lay_back(body, places, [text + "!" for text in texts])
    assert texts_of(endpoint, new) == [text + "!" for text in texts]


@given(st.dictionaries(st.sampled_from(["choices", "error"]), JUNK))
def test_an_event_of_any_shape_is_walked(event: dict[str, Any]) -> None:
    for place in answer_places(event):
        found: Any = event
        for step in place.path:
            found = found[step]
        assert isinstance(found, str)
        assert place.lane[0] == ("error" if place.choice is None else place.choice)


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
    assert error == AnswerPlace(("error", "message"), ("error", "message"), None, False)


VALUES = st.sampled_from([None, "", "hi", 1, [], ["a"], [{"type": "text", "text": "b"}], {}])
DELTAS = st.dictionaries(
    st.sampled_from(["role", "content", "refusal", "reasoning", "tool_calls", "other"]), VALUES
)
CHOICES = st.fixed_dictionaries(
    {"delta": DELTAS | VALUES}, optional={"index": st.integers(0, 3), "message": DELTAS}
)


@given(
    st.fixed_dictionaries({"choices": st.lists(CHOICES, max_size=2)}, optional={"error": VALUES}),
    st.booleans(),
)
def test_the_events_that_need_no_walk_have_the_places_of_a_walk(
    event: dict[str, Any], is_json: bool
) -> None:
    walked = {**event, "choices": [*event["choices"], {"index": 9}]}  # two choices are walked
    assert answer_places(event, is_json) == answer_places(walked, is_json)
