"""What is private leaves as placeholders, comes back as itself, and is written down nowhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from processes import Gateway, Simulator

CARD = "4111 1111 1111 1111"
MAIL = "ann.smith@example.com"
MOBILE = "13812345678"
TEXT = f"Charge {CARD}, write to {MAIL}, and call 我的手机{MOBILE}请回电. Thanks, {MAIL}!"
SECRETS = [CARD, CARD.replace(" ", ""), MAIL, MOBILE]
PLACEHOLDER = re.compile(r"(CREDIT_CARD|EMAIL_ADDRESS|CN_MOBILE)_[A-Z2-7]{8}")
TOOL = {
    "type": "function",
    "function": {
        "name": "charge",
        "parameters": {"type": "object", "properties": {"note": {"type": "string"}}},
    },
}


def events_of(text: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def last_sent(simulator: Simulator) -> str:
    """The newest body that left the gateway, as text."""
    bodies = [note["body"] for note in simulator.received() if note["event"] == "received"]
    return json.dumps(bodies[-1], ensure_ascii=False)


def assert_private(sent: str) -> None:
    for secret in SECRETS:
        assert secret not in sent
    assert {found[0].split("_")[0] for found in PLACEHOLDER.finditer(sent)} == {
        "CREDIT", "EMAIL", "CN",
    }  # fmt: skip


@pytest.mark.parametrize("characters", [1, 2, 4, 7, 1000])
def test_a_streamed_answer_is_restored_wherever_it_is_cut(
    gateway: Gateway, simulator: Simulator, characters: int
) -> None:
    answer = gateway.chat("private", TEXT, stream=True, simulate={"chunk_characters": characters})
    choices = [choice for event in events_of(answer.text) for choice in event["choices"]]
    assert "".join(choice["delta"].get("content") or "" for choice in choices) == TEXT
    assert choices[-1]["finish_reason"] == "stop"
    assert_private(last_sent(simulator))


def test_a_json_answer_is_restored(gateway: Gateway, simulator: Simulator) -> None:
    answer = gateway.chat("private", TEXT)
    assert answer.json()["choices"][0]["message"]["content"] == TEXT
    assert_private(last_sent(simulator))


@pytest.mark.parametrize("stream", [False, True])
def test_tool_arguments_are_restored_as_json(
    gateway: Gateway, simulator: Simulator, stream: bool
) -> None:
    tricky = f'{TEXT} "quoted\\" \n'
    answer = gateway.chat("private", tricky, tools=[TOOL], tool_choice="required", stream=stream)
    if stream:
        arguments = "".join(
            call["function"]["arguments"]
            for event in events_of(answer.text)
            for choice in event["choices"]
            for call in choice["delta"].get("tool_calls", [])
        )
    else:
        message = answer.json()["choices"][0]["message"]
        arguments = message["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {"note": tricky}
    assert_private(last_sent(simulator))


def test_every_place_of_a_conversation_is_redacted(gateway: Gateway, simulator: Simulator) -> None:
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "charge", "arguments": json.dumps({"card": CARD, "n": 3})},
    }
    messages = [
        {"role": "system", "content": f"The customer is {MAIL}."},
        {"role": "user", "content": [{"type": "text", "text": f"Call {MOBILE}"},
                                     {"type": "text", "text": f"or {MAIL}"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": f"charged {CARD}"},
        {"role": "user", "content": f"Repeat {MAIL}"},
    ]  # fmt: skip
    answer = gateway.chat("private", messages=messages)
    assert answer.json()["choices"][0]["message"]["content"] == f"Repeat {MAIL}"
    sent = last_sent(simulator)
    assert_private(sent)
    history = json.loads(sent)["messages"]
    assert history[0]["content"].split()[-1].rstrip(".") == history[-1]["content"].split()[-1]
    arguments = json.loads(history[2]["tool_calls"][0]["function"]["arguments"])
    assert arguments["n"] == 3


def test_a_legacy_prompt_is_redacted_and_its_answer_restored(
    gateway: Gateway, simulator: Simulator
) -> None:
    body = {"prompt": [TEXT, "nothing"], "max_tokens": 200}
    answer = gateway.post("/v1/engines/echo/completions", gateway.key("private"), json=body)
    assert [choice["text"] for choice in answer.json()["choices"]] == [TEXT, "nothing"]
    assert_private(last_sent(simulator))


def test_what_the_policy_blocks_is_refused_and_never_sent(
    gateway: Gateway, simulator: Simulator
) -> None:
    before = simulator.served()["requests"]
    refused = gateway.chat("private", "My SSN is 536-90-4399, as you asked.")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "pii_blocked")
    assert "536-90-4399" not in refused.text
    assert simulator.served()["requests"] == before
    entry = gateway.entry(refused.headers["x-request-id"])
    assert (entry["outcome"], entry["code"]) == ("refused", "pii_blocked")


def test_a_project_without_redaction_sends_its_text_as_it_is(
    gateway: Gateway, simulator: Simulator
) -> None:
    assert gateway.chat("main", TEXT).json()["choices"][0]["message"]["content"] == TEXT
    assert MAIL in last_sent(simulator)


def test_neither_the_disk_nor_the_logs_have_a_text_or_a_key(
    new_gateway: Callable[..., Gateway],
) -> None:
    gateway = new_gateway(log_level="debug")
    key = gateway.key("private")
    for fields in ({}, {"stream": True}, {"n": "wrong " + MAIL}, {"model": MAIL}):
        gateway.chat("private", TEXT, **fields)
    gateway.chat("private", "My SSN is 536-90-4399", simulate={"error": 500})
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    gateway.post("/v1/chat/completions", key, content=f'{{"broken {TEXT}', headers=headers)
    gateway.post(f"/v1/{MAIL}", key, json={})
    assert gateway.stop() == 0
    assert len(gateway.entries()) >= 6
    written = gateway.everything_on_disk() + gateway.program.said.encode()
    for secret in [*SECRETS, "536-90-4399", key, "Charge"]:
        assert secret.encode() not in written, secret
    redacted = [json.loads(entry["redactions"]) for entry in gateway.entries()]
    assert {"CREDIT_CARD:placeholder": 1, "EMAIL_ADDRESS:placeholder": 2,
            "CN_MOBILE:placeholder": 1} in redacted  # fmt: skip
