"""Whole answers: JSON and events say the same, and usage adds up in every shape."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.simulator.generation import Generation, Stamp, chat, legacy
from gateway.simulator.options import Behaviour, ToolCall, UsageShape
from gateway.simulator.prompt import Ask

PLAIN = Behaviour()
STAMP = Stamp("1", 1_700_000_000)
ASKED = {"stream_options": {"include_usage": True}}


def chat_of(text: str, behaviour: Behaviour = PLAIN, **fields: Any) -> Generation:
    body = {"messages": [{"role": "user", "content": text}], **fields}
    return chat(Ask(body, "echo", behaviour), STAMP)


def legacy_of(behaviour: Behaviour = PLAIN, **body: Any) -> Generation:
    return legacy(Ask(body, "echo", behaviour), STAMP)


def streamed(made: Generation, *path: str) -> dict[int, str]:
    """What a client reads from the events, a text for each choice."""
    assert made.events is not None
    texts: dict[int, str] = {}
    for event in made.events:
        for choice in event.data["choices"]:
            value: Any = choice
            for name in path:
                value = value.get(name) if isinstance(value, dict) else None
            texts[choice["index"]] = texts.get(choice["index"], "") + (value or "")
    return texts


@given(st.text(max_size=80), st.one_of(st.none(), st.integers(1, 5)), st.integers(1, 3))
def test_events_together_say_what_the_json_says(text: str, size: int | None, n: int) -> None:
    behaviour = Behaviour(chunk_characters=size)
    whole = chat_of(text, behaviour, n=n)
    parts = chat_of(text, behaviour, n=n, stream=True)
    said = {c["index"]: c["message"]["content"] for c in whole.body["choices"]}
    assert streamed(parts, "delta", "content") == said == dict.fromkeys(range(n), text)
    assert whole.events is None


@given(st.text(max_size=80), st.integers(0, 20), st.sampled_from(list(UsageShape)))
def test_the_events_tokens_are_the_answers_tokens(text: str, cap: int, shape: UsageShape) -> None:
    made = chat_of(text, Behaviour(usage=shape), n=2, stream=True, max_tokens=cap, **ASKED)
    assert made.events is not None
    assert sum(event.tokens for event in made.events) == made.counts.completion
    assert all(event.tokens >= 0 for event in made.events)
    assert made.counts.completion <= 2 * cap


def test_a_prompt_costs_its_texts_and_three_for_each_message_and_three_more() -> None:
    made = chat_of("one two three")
    assert made.counts.prompt == 3 + 3 + 3
    assert made.body["usage"]["total_tokens"] == 9 + 3


def usages(made: Generation) -> list[Any]:
    assert made.events is not None
    return [event.data.get("usage", "absent") for event in made.events]


def test_usage_last_is_a_chunk_of_its_own_and_null_before_it() -> None:
    made = chat_of("one two", stream=True, **ASKED)
    *before, last = usages(made)
    assert set(before) == {None}
    assert last["completion_tokens"] == 2
    assert made.events is not None
    assert made.events[-1].data["choices"] == []


@pytest.mark.parametrize("shape", ["last", "zero", "wrong"])
def test_usage_that_nobody_asked_for_is_not_told(shape: str) -> None:
    made = chat_of("one two", Behaviour(usage=UsageShape(shape)), stream=True)
    assert set(usages(made)) == {"absent"}


def test_usage_with_choices_comes_with_the_finish_reason() -> None:
    made = chat_of("one two", Behaviour(usage=UsageShape.WITH_CHOICES), stream=True)
    assert made.events is not None
    assert made.events[-1].data["choices"][0]["finish_reason"] == "stop"
    assert usages(made)[-1]["total_tokens"] == 10
    assert set(usages(made)[:-1]) == {"absent"}


def test_usage_in_every_chunk_grows_to_the_total() -> None:
    made = chat_of("one two three", Behaviour(usage=UsageShape.EVERY), stream=True)
    told = [usage["completion_tokens"] for usage in usages(made)]
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, 3)


def test_usage_end_only_comes_unasked() -> None:
    made = chat_of("one two", Behaviour(usage=UsageShape.END_ONLY), stream=True)
    assert usages(made)[-1]["completion_tokens"] == 2
    assert set(usages(made)[:-1]) == {"absent"}


@pytest.mark.parametrize("stream", [False, True])
def test_usage_never_is_never(stream: bool) -> None:
    made = chat_of("one two", Behaviour(usage=UsageShape.NEVER), stream=stream, **ASKED)
    assert "usage" not in made.body
    if stream:
        assert set(usages(made)) == {"absent"}


def test_usage_can_be_zero_wrong_or_a_literal_while_the_count_stays_true() -> None:
    told = {
        name: chat_of("one two", Behaviour(usage=shape)).body["usage"]
        for name, shape in [
            ("zero", UsageShape.ZERO), ("wrong", UsageShape.WRONG), ("literal", {"total_tokens": 5})
        ]
    }  # fmt: skip
    assert told["zero"]["total_tokens"] == 0
    assert told["wrong"]["prompt_tokens"] == -7
    assert told["literal"] == {"total_tokens": 5}
    assert chat_of("one two", Behaviour(usage=UsageShape.ZERO)).counts.completion == 2


def test_cached_and_reasoning_tokens_are_part_of_the_figures() -> None:
    usage = chat_of("one two", Behaviour(cached_tokens=4, reasoning_tokens=5)).body["usage"]
    assert usage["prompt_tokens_details"] == {"cached_tokens": 4}
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 5}
    assert usage["completion_tokens"] == 2 + 5


def test_no_more_than_the_prompt_is_cached() -> None:
    usage = chat_of("one two", Behaviour(cached_tokens=400)).body["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == usage["prompt_tokens"] == 8


CALLS = (ToolCall("first", '{"a": "long enough to be cut"}'), ToolCall("second", "{}"))


def test_tool_calls_are_streamed_in_fragments_that_make_one_json_text() -> None:
    made = chat_of("hi", Behaviour(tool_calls=CALLS), stream=True)
    assert made.events is not None
    calls: dict[int, dict[str, str]] = {}
    fragments = 0
    for event in made.events:
        for part in event.data["choices"][0]["delta"].get("tool_calls", []):
            call = calls.setdefault(part["index"], {"id": "", "name": "", "arguments": ""})
            call["id"] += part.get("id", "")
            call["name"] += part["function"].get("name", "")
            call["arguments"] += part["function"]["arguments"]
            fragments += part["index"] == 0
    assert [call["name"] for call in calls.values()] == ["first", "second"]
    assert json.loads(calls[0]["arguments"]) == {"a": "long enough to be cut"}
    assert calls[0]["id"] != calls[1]["id"]
    assert fragments > 3
    assert made.events[-1].data["choices"][0]["finish_reason"] == "tool_calls"


def test_a_tool_call_in_json_has_no_content() -> None:
    (choice,) = chat_of("hi", Behaviour(tool_calls=CALLS)).body["choices"]
    assert choice["message"]["content"] is None
    assert [c["function"]["name"] for c in choice["message"]["tool_calls"]] == ["first", "second"]


@pytest.mark.parametrize("stream", [False, True])
def test_the_older_functions_are_answered_with_a_function_call(stream: bool) -> None:
    function = {"name": "look", "parameters": {"properties": {"q": {"type": "string"}}}}
    made = chat_of("hi", functions=[function], function_call={"name": "look"}, stream=stream)
    if stream:
        assert streamed(made, "delta", "function_call", "arguments") == {0: '{"q": "hi"}'}
        assert streamed(made, "delta", "function_call", "name") == {0: "look"}
        assert streamed(made, "finish_reason") == {0: "function_call"}
    else:
        (choice,) = made.body["choices"]
        assert choice["message"]["function_call"] == {"name": "look", "arguments": '{"q": "hi"}'}
        assert choice["finish_reason"] == "function_call"


def texts_of(made: Generation) -> list[str]:
    return [choice["text"] for choice in made.body["choices"]]


def test_a_legacy_completion_without_a_cap_has_sixteen_tokens() -> None:
    made = legacy_of(prompt="word " * 40)
    assert made.counts.completion == 16
    assert made.body["choices"][0]["finish_reason"] == "length"


def test_every_prompt_has_its_n_choices_in_order() -> None:
    made = legacy_of(prompt=["one", "two"], n=2)
    assert texts_of(made) == ["one", "one", "two", "two"]
    assert [choice["index"] for choice in made.body["choices"]] == [0, 1, 2, 3]
    assert made.counts.prompt == 2


@pytest.mark.parametrize(("prompt", "tokens"), [([5, 6, 7], 3), ([[5, 6], [7]], 3), (None, 1)])
def test_prompts_may_be_tokens(prompt: list[Any], tokens: int) -> None:
    assert legacy_of(prompt=prompt).counts.prompt == tokens


def test_echo_puts_the_prompt_before_the_answer_and_costs_no_output() -> None:
    behaviour = Behaviour(answer=" and more")
    made = legacy_of(behaviour, prompt="one", echo=True)
    assert texts_of(made) == ["one and more"]
    assert made.counts.completion == 2
    parts = legacy_of(behaviour, prompt="one", echo=True, stream=True)
    assert streamed(parts, "text") == {0: "one and more"}


def test_best_of_is_paid_for_and_not_shown() -> None:
    made = legacy_of(prompt="one two", n=1, best_of=4)
    assert texts_of(made) == ["one two"]
    assert made.counts.completion == 4 * 2


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": 5},
        {"prompt": []},
        {"prompt": [""]} | {"max_tokens": -1},
        {"prompt": ["a", 5]},
        {"prompt": [[1], ["a"]]},
        {"prompt": [True]},
        {"prompt": "a", "n": 3, "best_of": 2},
        {"prompt": "a", "n": -1},
    ],
)
def test_a_legacy_request_that_cannot_be_answered_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        legacy_of(**body)
