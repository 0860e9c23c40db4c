"""Upstreams that refuse, hang, send garbage, break off: the caller is told, and it is booked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from processes import UPSTREAM_KEY, Gateway, Simulator, wait_until

BOTH = pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
BEFORE: dict[str, tuple[str, dict[str, Any], int, str, str]] = {
    "refuses connections": ("closed", {}, 502, "upstream_unreachable", "upstream_error"),
    "never answers": ("brief", {"hang": True}, 504, "upstream_timeout", "timeout"),
    "refuses our key": ("wrong-key", {}, 503, "upstream_key_refused", "upstream_error"),
    "limits our account": ("echo", {"error": 429}, 503, "upstream_rate_limited", "upstream_error"),
    "forbids us": ("echo", {"error": 403}, 503, "upstream_key_refused", "upstream_error"),
    "answers 200 with HTML": (
        "echo", {"error": 200, "error_body": "html"}, 502, "upstream_invalid_answer",
        "upstream_error",
    ),
    "answers 200 with nothing": (
        "echo", {"error": 200, "error_body": "empty"}, 502, "upstream_invalid_answer",
        "upstream_error",
    ),
}  # fmt: skip


def error_of(text: str) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(text)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error


@BOTH
@pytest.mark.parametrize(
    ("model", "wish", "status", "code", "outcome"), BEFORE.values(), ids=BEFORE
)
def test_an_upstream_that_fails_before_the_first_byte(
    gateway: Gateway,
    stream: bool,
    model: str,
    wish: dict[str, Any],
    status: int,
    code: str,
    outcome: str,
) -> None:
    answer = gateway.chat(model=model, stream=stream, simulate=wish)
    assert (answer.status_code, error_of(answer.text)["code"]) == (status, code)
    assert UPSTREAM_KEY not in answer.text
    entry = gateway.entry(answer.headers["x-request-id"])
    assert (entry["status"], entry["outcome"], entry["code"]) == (status, outcome, code)


def test_an_upstream_whose_key_is_not_set(gateway: Gateway, simulator: Simulator) -> None:
    before = simulator.served()["requests"]
    answer = gateway.chat(model="no-key")
    assert answer.status_code == 503
    assert error_of(answer.text)["code"] == "upstream_key_missing"
    assert simulator.served()["requests"] == before
    assert gateway.entry(answer.headers["x-request-id"])["code"] == "upstream_key_missing"


@BOTH
@pytest.mark.parametrize("body", ["openai", "html", "text", "empty"])
@pytest.mark.parametrize("status", [500, 502, 503])
def test_an_upstreams_own_failure_is_told_as_json(
    gateway: Gateway, stream: bool, body: str, status: int
) -> None:
    wish = {"error": status, "error_body": body}
    answer = gateway.chat(stream=stream, simulate=wish)
    assert answer.status_code in (500, 502, 503)
    assert "nginx" not in error_of(answer.text)["message"]
    entry = gateway.entry(answer.headers["x-request-id"])
    assert (entry["status"], entry["outcome"]) == (answer.status_code, "upstream_error")
    assert (entry["source"], entry["cost_nano"]) == ("none", 0)


def test_what_the_upstream_says_of_the_callers_request_is_passed_on(gateway: Gateway) -> None:
    answer = gateway.chat(simulate={"error": 400})
    assert answer.status_code == 400
    assert error_of(answer.text)["message"] == "The simulator was asked to fail with 400."


@pytest.mark.parametrize("wish", [{"garbage": True}, {"half_event": True},
                                  {"disconnect_after_chunks": 0}])  # fmt: skip
def test_a_json_answer_that_is_none(gateway: Gateway, wish: dict[str, Any]) -> None:
    answer = gateway.chat(text="one two three", simulate=wish)
    assert answer.status_code == 502
    assert error_of(answer.text)["code"] in ("upstream_invalid_answer", "upstream_unreachable")
    entry = gateway.entry(answer.headers["x-request-id"])
    assert entry["outcome"] == "upstream_error"


def test_a_json_answer_that_stops_in_its_middle(gateway: Gateway) -> None:
    answer = gateway.chat(model="impatient", simulate={"hang_after_chunks": 0})
    assert (answer.status_code, error_of(answer.text)["code"]) == (504, "upstream_timeout")


@pytest.mark.parametrize(
    ("model", "wish", "code", "outcome"),
    [
        ("echo", {"half_event": True}, "upstream_invalid_answer", "upstream_error"),
        ("echo", {"disconnect_after_chunks": 3}, "upstream_unreachable", "upstream_error"),
        ("impatient", {"hang_after_chunks": 3}, "upstream_timeout", "timeout"),
    ],
    ids=["half an event", "breaks off", "hangs"],
)
def test_a_stream_that_fails_ends_with_an_error_event(
    gateway: Gateway, model: str, wish: dict[str, Any], code: str, outcome: str
) -> None:
    answer = gateway.chat(text="one two three", model=model, stream=True, simulate=wish)
    assert answer.status_code == 200
    events = [event.removeprefix("data: ") for event in answer.text.split("\n\n") if event]
    assert error_of(events[-1])["code"] == code
    assert "[DONE]" not in events
    texts = [json.loads(event)["choices"][0]["delta"].get("content") for event in events[:-1]]
    assert "".join(text or "" for text in texts) in "one two three"
    entry = gateway.entry(answer.headers["x-request-id"])
    assert (entry["outcome"], entry["code"]) == (outcome, code)
    assert entry["source"] == "estimated"
    assert entry["input_tokens"] >= 9
    assert entry["output_tokens"] >= len([text for text in texts if text])


def test_an_event_that_is_none_passes_and_the_rest_is_booked(gateway: Gateway) -> None:
    answer = gateway.chat(text="one two three", stream=True, simulate={"garbage": True})
    assert answer.status_code == 200
    assert b"oops" in answer.content
    assert answer.content.endswith(b"data: [DONE]\n\n")
    entry = gateway.entry(answer.headers["x-request-id"])
    assert (entry["outcome"], entry["output_tokens"]) == ("ok", 3)


def test_an_error_that_the_upstream_sends_as_an_event_is_passed_on(gateway: Gateway) -> None:
    wish = {"error_after_chunks": 2}
    answer = gateway.chat(text="one two three", stream=True, simulate=wish)
    assert answer.status_code == 200
    events = [event.removeprefix("data: ") for event in answer.text.split("\n\n") if event]
    assert any("error" in json.loads(event) for event in events if event != "[DONE]")
    entry = gateway.entry(answer.headers["x-request-id"])
    assert entry["outcome"] == "upstream_error"
    assert entry["output_tokens"] == 1


def test_a_gateway_whose_upstream_failed_goes_on(gateway: Gateway) -> None:
    assert (
        gateway.chat(text="still here").json()["choices"][0]["message"]["content"] == "still here"
    )
    assert "Traceback" not in gateway.program.errors
    assert UPSTREAM_KEY not in gateway.program.errors


def test_an_upstream_that_failed_too_often_in_a_row_is_not_asked_and_then_tried(
    new_gateway: Callable[..., Gateway], simulator: Simulator
) -> None:
    gateway = new_gateway(circuit_failures="3", circuit_open_seconds="0.5")
    before = simulator.served()["requests"]
    statuses = [gateway.chat(simulate={"error": 500}).status_code for _ in range(3)]
    assert statuses == [500] * 3
    refused = gateway.chat()
    assert (refused.status_code, error_of(refused.text)["code"]) == (503, "upstream_circuit_open")
    assert refused.headers["retry-after"] == "1"
    assert simulator.served()["requests"] == before + 3
    assert gateway.metric("gateway_circuit_state", upstream="simulator") > 0
    wait_until(lambda: gateway.chat().status_code == 200, "the upstream is tried")
    assert gateway.metric("gateway_circuit_state", upstream="simulator") == 0
    assert gateway.metric("gateway_circuit_opened_total", upstream="simulator") == 1
    entry = gateway.entry(refused.headers["x-request-id"])
    assert (entry["requests"], entry["cost_nano"]) == (0, 0)
