"""What a request may ask of the simulator, and what it is told when that is wrong."""

from __future__ import annotations

import pytest

from gateway.errors import BadRequest
from gateway.simulator.options import Behaviour, ToolCall, UsageShape, behaviour_of


def test_without_a_wish_the_defaults_hold() -> None:
    defaults = Behaviour(delay_seconds=2)
    assert behaviour_of(defaults, None) is defaults


def test_a_wish_changes_only_what_it_names() -> None:
    behaviour = behaviour_of(Behaviour(delay_seconds=2, answer="kept"), {"delay_seconds": 0.5})
    assert behaviour == Behaviour(delay_seconds=0.5, answer="kept")


def test_every_field_can_be_asked_for() -> None:
    wanted = {
        "delay_seconds": 1,
        "chunk_delay_seconds": 0.25,
        "chunk_characters": 3,
        "answer": "text",
        "tool_calls": [{"name": "look", "arguments": "{}"}],
        "usage": "every",
        "cached_tokens": 4,
        "reasoning_tokens": 5,
        "ignore_cap": True,
        "error": 429,
        "error_body": "html",
        "error_times": 2,
        "error_charges": True,
        "error_after_chunks": 1,
        "retry_after_seconds": 2.5,
        "disconnect_after_chunks": 6,
        "hang": True,
        "hang_after_chunks": 7,
        "half_event": True,
        "garbage": True,
    }
    behaviour = behaviour_of(Behaviour(), wanted)
    assert set(wanted) == set(Behaviour.__slots__)
    assert behaviour.tool_calls == (ToolCall("look", "{}"),)
    assert behaviour.usage is UsageShape.EVERY
    assert all(getattr(behaviour, n) == v for n, v in wanted.items() if n != "tool_calls")


def test_usage_can_be_a_literal_object() -> None:
    assert behaviour_of(Behaviour(), {"usage": {"prompt_tokens": 3}}).usage == {"prompt_tokens": 3}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ([], "must be an object"),
        ({"dealy_seconds": 1}, "known are delay_seconds"),
        ({"delay_seconds": "1"}, "seconds from 0 to 3600"),
        ({"delay_seconds": float("nan")}, "seconds from 0 to 3600"),
        ({"chunk_delay_seconds": True}, "seconds from 0 to 3600"),
        ({"chunk_characters": 0}, "whole number from 1"),
        ({"error": 99}, "HTTP status"),
        ({"error": True}, "HTTP status"),
        ({"error_body": "xml"}, "one of openai, html"),
        ({"usage": "sometimes"}, "one of last, with_choices"),
        ({"usage": None}, "one of last, with_choices"),
        ({"hang": 1}, "true or false"),
        ({"tool_calls": [{"name": "look"}]}, "a list of"),
        ({"tool_calls": "look"}, "a list of"),
    ],
)
def test_a_wrong_wish_is_named_with_what_would_be_right(wanted: object, said: str) -> None:
    with pytest.raises(BadRequest, match=said) as refusal:
        behaviour_of(Behaviour(), wanted)
    assert refusal.value.param == "simulate"
