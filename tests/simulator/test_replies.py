"""What the simulator answers, within caps and stops."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.simulator.options import Behaviour, ToolCall
from gateway.simulator.prompt import Ask
from gateway.simulator.replies import Choice, chat_choices, cut_to, finished, pieces_of

PLAIN = Behaviour()
ECHO = Ask({}, "echo", PLAIN)
LOOK = {
    "type": "function",
    "function": {
        "name": "look_up",
        "parameters": {
            "type": "object",
            "properties": {
                "query": {"type": "string"},
                "unit": {"enum": ["metric", "imperial"]},
                "days": {"type": "integer"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "deep": {"type": "object", "properties": {"yes": {"type": "boolean"}}},
            },
        },
    },
}


def asked(text: str, **fields: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}], **fields}


def only(body: dict[str, object], model: str = "echo", behaviour: Behaviour = PLAIN) -> Choice:
    (choice,) = chat_choices(Ask(body, model, behaviour))
    return choice


@given(st.text(max_size=200), st.one_of(st.none(), st.integers(1, 9)))
def test_pieces_together_are_the_text(text: str, characters: int | None) -> None:
    assert "".join(pieces_of(text, characters)) == text


@given(st.text(max_size=200), st.integers(0, 40))
def test_a_cut_text_is_a_beginning_within_its_cap(text: str, cap: int) -> None:
    cut = cut_to(ECHO, text, cap)
    assert text.startswith(cut)
    assert ECHO.count(cut) <= cap
    assert cut == text or ECHO.count(text) > cap


def test_echo_repeats_the_last_user_message_and_not_the_answer_before_it() -> None:
    body = asked("first")
    messages = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "second"},
        {"role": "user", "content": [{"type": "text", "text": "thi"}, {"type": "image_url"},
                                     {"type": "text", "text": "rd"}]},
    ]  # fmt: skip
    body["messages"] = messages
    assert only(body).text == "third"


def test_another_model_answers_the_same_to_the_same_request_only() -> None:
    body = asked("Hello")
    assert only(body, "gpt-4o") == only(body, "gpt-4o")
    assert only(body, "gpt-4o").text != only(asked("Hello!"), "gpt-4o").text


def test_choices_differ_from_one_another() -> None:
    first, second = chat_choices(Ask(asked("Hello", n=2), "gpt-4o", PLAIN))
    assert first.text != second.text


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_the_cap_cuts_and_says_length(field: str) -> None:
    choice = only(asked("one two three four five six", **{field: 3}))
    assert choice.finish_reason == "length"
    assert choice.tokens == ECHO.count(choice.text) == 3


def test_the_newer_cap_wins() -> None:
    assert only(asked("one two three", max_tokens=1, max_completion_tokens=100)).tokens == 3


def test_an_answer_that_fits_its_cap_exactly_ends_by_itself() -> None:
    choice = only(asked("one two three", max_tokens=3))
    assert (choice.text, choice.finish_reason) == ("one two three", "stop")


@pytest.mark.parametrize("stop", ["three", ["nothing", "three"]])
def test_a_stop_sequence_ends_before_itself(stop: object) -> None:
    choice = only(asked("one two three four", stop=stop))
    assert (choice.text, choice.finish_reason) == ("one two ", "stop")


def test_reasoning_takes_its_tokens_from_the_cap() -> None:
    behaviour = Behaviour(reasoning_tokens=4)
    choice = only(asked("one two three four", max_tokens=6), behaviour=behaviour)
    assert (choice.text, choice.tokens, choice.reasoning) == ("one two", 6, 4)


def test_reasoning_that_fills_the_cap_leaves_no_answer() -> None:
    behaviour = Behaviour(reasoning_tokens=50)
    choice = only(asked("one", max_tokens=6), behaviour=behaviour)
    assert choice == Choice("", (), "length", 6, 6)


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": "required"},
        {"tool_choice": {"type": "function", "function": {"name": "look_up"}}},
    ],
)
def test_a_demanded_tool_is_called_with_the_prompt_in_its_texts(fields: dict[str, object]) -> None:
    prompt = 'a "quoted"\nprompt'
    choice = only(asked(prompt, tools=[LOOK], **fields))
    (call,) = choice.tool_calls
    assert choice.finish_reason == "tool_calls"
    assert json.loads(call.arguments) == {
        "query": prompt,
        "unit": "metric",
        "days": 1,
        "tags": [prompt],
        "deep": {"yes": True},
    }


@pytest.mark.parametrize("prompt", ["use a tool, please", "look_up the weather"])
def test_a_prompt_can_ask_for_a_tool(prompt: str) -> None:
    assert only(asked(prompt, tools=[LOOK])).tool_calls[0].name == "look_up"


def test_an_offered_tool_is_not_called_for_nothing() -> None:
    assert only(asked("hello", tools=[LOOK])).tool_calls == ()
    assert only(asked("use a tool", tools=[LOOK], tool_choice="none")).tool_calls == ()


def test_a_tool_result_is_answered_with_text() -> None:
    body = asked("use a tool", tools=[LOOK])
    result = {"role": "tool", "content": "sunny", "tool_call_id": "x"}
    body["messages"] = [{"role": "user", "content": "use a tool"}, result]
    assert only(body).text == "use a tool"


def test_arguments_are_cut_by_the_cap_too() -> None:
    choice = finished(ECHO, "", [ToolCall("f", '{"a": "one two three four"}')], 4)
    assert choice.finish_reason == "length"
    assert choice.tokens == 4 == ECHO.count(choice.tool_calls[0].arguments)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": []},
        {"messages": "hello"},
        {"messages": ["hello"]},
        asked("hello", n=1000),
        asked("hello", n="two"),
        asked("hello", max_tokens=-1),
        asked("hello", max_tokens=True),
        asked("hello", max_completion_tokens=1.5),
    ],
)
def test_a_request_that_cannot_be_answered_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        chat_choices(Ask(body, "echo", PLAIN))
