"""What a caller asked for: good bodies are read, bad ones get the API's own words."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.openai.request import PROMPTS_MAX, Bounds, Request, parse_json, read_request

BOUNDS = Bounds()
HI = [{"role": "user", "content": "hi"}]


def read(endpoint: str, engine: str | None = None, **body: Any) -> Request:
    return read_request(body, endpoint, engine, BOUNDS)


def chat(**fields: Any) -> Request:
    return read("chat", **{"model": "gpt", "messages": HI, **fields})


def completion(**fields: Any) -> Request:
    return read("completions", **{"model": "gpt", "prompt": "hi", **fields})


def embedding(**fields: Any) -> Request:
    return read("embeddings", **{"model": "gpt", "input": "hi", **fields})


def outcome(act: Callable[[], Any]) -> Any:
    """What comes of it: a value, or a refusal. Anything else that is raised fails the test."""
    try:
        return act()
    except BadRequest as error:
        return error


READ = {"chat": chat, "completions": completion, "embeddings": embedding}


class TestParseJson:
    @pytest.mark.parametrize(
        ("raw", "why"),
        [
            (b"", "Expecting value at line 1, column 1"),
            (b"hello", "Expecting value at line 1, column 1"),
            (b'{"a": 1,}', "Illegal trailing comma before end of object at line 1, column"),
            (b'{"a": ', "Expecting value at line 1, column 7"),
            (b'{"a": "\n"}', "Invalid control character at line 1, column 8"),
            (b'\xef\xbb\xbf{"a": 1}', "Unexpected UTF-8 BOM at line 1, column 1"),
            (b'{"a": "\xff"}', "it is not UTF-8 at byte 7"),
            ('{"a": 1}'.encode("utf-16"), "it is not UTF-8 at byte 0"),
            (b'{"a": "\xed\xa0\x80"}', "it is not UTF-8 at byte 7"),
            (b'{"a": NaN}', "NaN is not JSON"),
            (b'{"a": -Infinity}', "-Infinity is not JSON"),
            (b'{"a": 1e400}', "it holds a number that is out of range"),
            (b'{"a": ' + b"9" * 5000 + b"}", "it holds a number that is out of range"),
            (b"[]", "expected an object, but got an array"),
            (b"null", "expected an object, but got null"),
            (b"true", "expected an object, but got a boolean"),
            (b"1", "expected an object, but got an integer"),
            (b"1.5", "expected an object, but got a decimal number"),
            (b'"a"', "expected an object, but got a string"),
        ],
    )
    def test_refuses_what_is_not_a_json_object(self, raw: bytes, why: str) -> None:
        if "trailing comma" in why and sys.version_info < (3, 13):
            why = "Expecting property name enclosed in double quotes at line 1, column"
        with pytest.raises(BadRequest) as raised:
            parse_json(raw, 64)
        start = "We could not parse the JSON body of your request. (HINT: "
        assert raised.value.message.startswith(start + why)
        assert raised.value.param is None
        assert raised.value.code is None

    def test_never_repeats_the_body_in_the_refusal(self) -> None:
        with pytest.raises(BadRequest) as raised:
            parse_json(b'{"password": "hunter2" hunter2}', 64)
        assert "hunter2" not in raised.value.message
        assert raised.value.__cause__ is None

    @pytest.mark.parametrize("opening", [b'{"a":', b"["])
    def test_takes_nesting_up_to_its_bound_and_no_more(self, opening: bytes) -> None:
        closing = {b'{"a":': b"}", b"[": b"]"}[opening]

        def nested(depth: int) -> bytes:  # the object around it is one level
            return b'{"x":' + opening * (depth - 1) + b"1" + closing * (depth - 1) + b"}"

        assert parse_json(nested(64), 64)
        with pytest.raises(BadRequest, match="nested deeper than 64 levels"):
            parse_json(nested(65), 64)

    @pytest.mark.parametrize("raw", [b"[" * 200_000, b'{"a":' * 200_000, b'{"a":' + b"[" * 10**6])
    def test_survives_nesting_that_would_exhaust_a_stack(self, raw: bytes) -> None:
        with pytest.raises(BadRequest):
            parse_json(raw, 500)

    def test_does_not_take_brackets_in_texts_for_nesting(self) -> None:
        assert parse_json(json.dumps({"a": "[{" * 1000}).encode(), 8) == {"a": "[{" * 1000}

    def test_the_last_of_repeated_keys_holds(self) -> None:
        assert parse_json(b'{"a": 1, "a": 2}', 8) == {"a": 2}

    def test_keeps_lone_surrogates_and_exact_integers(self) -> None:
        raw = b'{"a": "\\ud800", "b": 12345678901234567890123}'
        assert parse_json(raw, 8) == {"a": "\ud800", "b": 12345678901234567890123}

    @settings(deadline=None)
    @given(st.binary(max_size=200))
    def test_any_bytes_are_an_object_or_a_bad_request(self, raw: bytes) -> None:
        assert isinstance(outcome(lambda: parse_json(raw, 8)), dict | BadRequest)


class TestReadRequest:
    def test_of_the_least_body_has_the_defaults(self) -> None:
        body = {"model": "gpt", "messages": HI}
        assert read_request(body, "chat", None, BOUNDS) == Request("chat", "gpt", body)

    def test_takes_what_the_gateway_acts_on(self) -> None:
        body = {
            "model": "gpt",
            "messages": HI,
            "stream": True,
            "stream_options": {"include_usage": True},
            "user": "u-1",
            "n": 3,
            "max_completion_tokens": 9,
            "response_format": {"type": "json_object"},
        }
        assert read_request(body, "chat", None, BOUNDS) == Request(
            endpoint="chat",
            model="gpt",
            body=body,
            stream=True,
            wants_usage=True,
            user="u-1",
            choices=3,
            cap=9,
            cap_field="max_completion_tokens",
            content_is_json=True,
        )

    def test_takes_null_as_not_given(self) -> None:
        fields = ("stream", "stream_options", "user", "n", "best_of", "max_tokens")
        fields += ("max_completion_tokens", "response_format", "safety_identifier")
        nulls = dict.fromkeys(fields)
        body = {"model": "gpt", "messages": HI, **nulls}
        assert read_request(body, "chat", None, BOUNDS) == Request("chat", "gpt", body)
        assert completion(prompt=None).prompts == 1

    def test_the_engine_of_a_legacy_url_is_the_model(self) -> None:
        assert read("completions", engine="davinci-codex", prompt="hi").model == "davinci-codex"
        assert read("completions", engine="a", model="b", prompt="hi").model == "a"

    def test_the_end_user_is_user_or_else_safety_identifier(self) -> None:
        assert chat(user="a", safety_identifier="b").user == "a"
        assert chat(safety_identifier="b").user == "b"
        assert chat(user="", safety_identifier="b").user == "b"
        assert embedding(user="a").user == "a"

    @pytest.mark.parametrize(
        ("prompt", "prompts"),
        [("a", 1), ("", 1), (["a", "b"], 2), ([1, 2, 3], 1), ([[1, 2], [3]], 2)],
    )
    def test_counts_prompts_and_inputs(self, prompt: Any, prompts: int) -> None:
        assert completion(prompt=prompt).prompts == prompts
        if prompt:
            assert embedding(input=prompt).prompts == prompts

    def test_a_completion_may_have_no_prompt(self) -> None:
        assert read("completions", model="gpt").prompts == 1

    def test_best_of_answers_are_made_where_there_are_more_than_n(self) -> None:
        assert completion(n=2, best_of=5).choices == 5
        assert completion(best_of=5).choices == 5
        assert completion(n=2).choices == 2

    def test_an_embedding_has_no_answers(self) -> None:
        found = embedding(input=["a"], n="nonsense", stream="nonsense", max_tokens=-1)
        assert (found.choices, found.cap, found.stream) == (0, None, False)

    @pytest.mark.parametrize("kind", ["json_object", "json_schema"])
    def test_knows_when_the_answer_s_content_is_json(self, kind: str) -> None:
        assert chat(response_format={"type": kind}).content_is_json
        assert not chat(response_format={"type": "text"}).content_is_json

    def test_max_tokens_is_the_cap_of_both_endpoints(self) -> None:
        assert chat(max_tokens=5).cap_field == "max_tokens"
        assert completion(max_tokens=5).cap == 5
        assert completion(max_completion_tokens="no field of this endpoint").cap is None

    @pytest.mark.parametrize(
        "name", ["temperature", "top_p", "logit_bias", "seed", "x_new", "tools"]
    )
    @pytest.mark.parametrize("value", [None, True, -1, 1e9, "x", [], {"a": []}])
    def test_looks_at_no_other_field(self, name: str, value: Any) -> None:
        for read_it in READ.values():
            assert read_it(**{name: value}).body[name] == value


def wrong_type(name: str, expected: str, got: str) -> str:
    return f"Invalid type for '{name}': expected {expected}, but got {got} instead."


def empty(name: str, kind: str) -> str:
    article = "an" if kind == "array" else "a"
    return (
        f"Invalid '{name}': empty {kind}. Expected {article} {kind} with minimum length 1, but got "
        f"an empty {kind} instead."
    )


PROMPT = "a string, an array of strings, or an array of tokens"
BOTH_CAPS = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
MORE_THAN_MADE = (
    "You requested that the server return more choices than it will generate (HINT: you must set "
    "'n' (currently 3) to be at most 'best_of' (currently 2), or omit either parameter if you "
    "don't specifically want to use them.)"
)

REFUSALS: list[tuple[str, dict[str, Any], str, str]] = [
    ("chat", {"model": None}, "model", "you must provide a model parameter"),
    ("chat", {"model": 7}, "model", wrong_type("model", "a string", "an integer")),
    ("chat", {"model": ""}, "model", empty("model", "string")),
    ("chat", {"messages": "hi"}, "messages",
     wrong_type("messages", "an array of objects", "a string")),
    ("chat", {"messages": None}, "messages", wrong_type("messages", "an array of objects", "null")),
    ("chat", {"messages": []}, "messages", empty("messages", "array")),
    ("chat", {"messages": [*HI, "hi"]}, "messages[1]",
     wrong_type("messages[1]", "an object", "a string")),
    ("chat", {"user": 1}, "user", wrong_type("user", "a string", "an integer")),
    ("chat", {"safety_identifier": []}, "safety_identifier",
     wrong_type("safety_identifier", "a string", "an array")),
    ("chat", {"stream": "true"}, "stream", wrong_type("stream", "a boolean", "a string")),
    ("chat", {"stream": 1}, "stream", wrong_type("stream", "a boolean", "an integer")),
    ("chat", {"stream_options": {"include_usage": True}}, "stream_options",
     "The 'stream_options' parameter is only allowed when 'stream' is enabled."),
    ("chat", {"stream": True, "stream_options": True}, "stream_options",
     wrong_type("stream_options", "an object", "a boolean")),
    ("chat", {"stream": True, "stream_options": {"include_usage": 1}},
     "stream_options.include_usage",
     wrong_type("stream_options.include_usage", "a boolean", "an integer")),
    ("chat", {"n": "2"}, "n", wrong_type("n", "an integer", "a string")),
    ("chat", {"n": True}, "n", wrong_type("n", "an integer", "a boolean")),
    ("chat", {"n": 1.5}, "n", wrong_type("n", "an integer", "a decimal number")),
    ("chat", {"n": 0}, "n",
     "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead."),
    ("chat", {"n": -10**30}, "n",
     "Invalid 'n': integer below minimum value. Expected a value >= 1, but got a number of 31 "
     "digits instead."),
    ("chat", {"n": 129}, "n",
     "Invalid 'n': integer above maximum value. Expected a value <= 128, but got 129 instead."),
    ("chat", {"max_tokens": 0}, "max_tokens",
     "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got 0 "
     "instead."),
    ("chat", {"max_completion_tokens": "5"}, "max_completion_tokens",
     wrong_type("max_completion_tokens", "an integer", "a string")),
    ("chat", {"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens", BOTH_CAPS),
    ("chat", {"response_format": "json"}, "response_format",
     wrong_type("response_format", "an object", "a string")),
    ("completions", {"prompt": 1}, "prompt", wrong_type("prompt", PROMPT, "an integer")),
    ("completions", {"prompt": {}}, "prompt", wrong_type("prompt", PROMPT, "an object")),
    ("completions", {"prompt": []}, "prompt", empty("prompt", "array")),
    ("completions", {"prompt": [None]}, "prompt[0]", wrong_type("prompt[0]", PROMPT, "null")),
    ("completions", {"prompt": ["a", 1]}, "prompt[1]",
     wrong_type("prompt[1]", PROMPT, "an integer")),
    ("completions", {"prompt": [1, "a"]}, "prompt[1]",
     wrong_type("prompt[1]", "an integer", "a string")),
    ("completions", {"prompt": [True]}, "prompt[0]",
     wrong_type("prompt[0]", "an integer", "a boolean")),
    ("completions", {"prompt": [[1], [2.5]]}, "prompt[1][0]",
     wrong_type("prompt[1][0]", "an integer", "a decimal number")),
    ("completions", {"prompt": [[1], []]}, "prompt[1]", empty("prompt[1]", "array")),
    ("completions", {"prompt": ["a"] * (PROMPTS_MAX + 1)}, "prompt",
     "Invalid 'prompt': array too long. Expected an array with maximum length 2048, but got an "
     "array with length 2049 instead."),
    ("completions", {"n": 3, "best_of": 2}, "best_of", MORE_THAN_MADE),
    ("completions", {"best_of": 129}, "best_of",
     "Invalid 'best_of': integer above maximum value. Expected a value <= 128, but got 129 "
     "instead."),
    ("completions", {"max_tokens": False}, "max_tokens",
     wrong_type("max_tokens", "an integer", "a boolean")),
    ("embeddings", {"input": None}, "input", wrong_type("input", PROMPT, "null")),
    ("embeddings", {"input": ""}, "input", empty("input", "string")),
    ("embeddings", {"input": []}, "input", empty("input", "array")),
    ("embeddings", {"input": {"a": 1}}, "input", wrong_type("input", PROMPT, "an object")),
]  # fmt: skip


class TestRefusals:
    @pytest.mark.parametrize(("endpoint", "fields", "param", "message"), REFUSALS)
    def test_name_the_field_and_what_would_be_right(
        self, endpoint: str, fields: dict[str, Any], param: str, message: str
    ) -> None:
        with pytest.raises(BadRequest) as raised:
            READ[endpoint](**fields)
        assert raised.value.body() == {
            "error": {
                "message": message,
                "type": "invalid_request_error",
                "param": param,
                "code": None,
            }
        }
        assert raised.value.status == 400

    @pytest.mark.parametrize(("endpoint", "field"), [("chat", "messages"), ("embeddings", "input")])
    def test_name_what_is_missing(self, endpoint: str, field: str) -> None:
        with pytest.raises(BadRequest) as raised:
            read(endpoint, model="gpt")
        assert raised.value.message == f"Missing required parameter: '{field}'."
        assert raised.value.param == field

    def test_how_many_choices_are_allowed_is_a_bound(self) -> None:
        body = {"model": "gpt", "messages": HI, "n": 3}
        with pytest.raises(BadRequest, match="<= 2"):
            read_request(body, "chat", None, Bounds(choices_max=2))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner,
                                                                 max_size=3),
    max_leaves=8,
)  # fmt: skip
acted_on = ("model", "messages", "prompt", "input", "stream", "stream_options", "n", "best_of")
acted_on += ("user", "max_tokens", "max_completion_tokens", "response_format")


@settings(deadline=None)
@given(
    st.sampled_from(sorted(READ)),
    st.dictionaries(st.sampled_from(acted_on), json_values),
    st.none() | st.text(max_size=4),
)
def test_any_json_object_is_a_request_or_a_bad_request(
    endpoint: str, body: dict[str, Any], engine: str | None
) -> None:
    found = outcome(lambda: read_request(body, endpoint, engine, BOUNDS))
    if isinstance(found, BadRequest):
        assert found.param is not None
    else:
        assert found.model
        assert 0 <= found.choices <= 128
        assert found.cap is None or found.cap >= 1
