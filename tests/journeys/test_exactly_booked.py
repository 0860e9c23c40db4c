"""What an upstream charges is what is booked: past the cap, over several attempts, for an error
that tells its usage, in every shape of usage, and for a caller that left."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from conftest import MODERN
from processes import Gateway, Simulator, wait_until

WORDS = "word " * 200
CAP = 5
CUT_AT = CAP + CAP // 8 + 32 + 1  # the first token past the slack of docs/internals/bounds.md
TEXT = "one two three four five six seven"


def served(simulator: Simulator, request_id: str) -> list[tuple[int, int]]:
    """Prompt and completion tokens of every attempt of a request that is over."""
    return [
        (note["prompt_tokens"], note["completion_tokens"])
        for note in simulator.received()
        if note["event"] == "served" and note["request_id"] == request_id
    ]


def events_of(text: str) -> list[Any]:
    """The data of a stream's events, which ends in [DONE]."""
    events = [event.removeprefix("data: ") for event in text.split("\n\n") if event]
    assert events.pop() == "[DONE]"
    return [json.loads(event) for event in events]


def endless(**simulate: Any) -> dict[str, Any]:
    return {"ignore_cap": True, "chunk_delay_seconds": 0.01, **simulate}


@pytest.mark.parametrize(
    ("usage", "booked"), [("never", CUT_AT), ("every", CAP + 1), ("last", CUT_AT)]
)
def test_a_stream_past_its_cap_is_cut(
    gateway: Gateway, simulator: Simulator, usage: str, booked: int
) -> None:
    answer = gateway.chat(
        text=WORDS, stream=True, max_tokens=CAP, stream_options={"include_usage": True},
        simulate=endless(usage=usage),
    )  # fmt: skip
    *_, ended, told = events_of(answer.text)
    assert ended["choices"][0]["finish_reason"] == "length"
    assert (told["choices"], told["usage"]["completion_tokens"]) == ([], booked)
    entry = gateway.entry(answer.headers["x-request-id"])
    assert (entry["outcome"], entry["code"]) == ("ok", "cut_at_cap")
    assert (entry["output_tokens"], entry["source"]) == (booked, "estimated")
    (charged,) = wait_until(lambda: served(simulator, entry["id"]), "the upstream has stopped")
    assert booked <= charged[1] < len(WORDS.split())


def test_every_choice_of_a_stream_past_its_cap_is_ended(gateway: Gateway) -> None:
    answer = gateway.chat(text=WORDS, stream=True, max_tokens=CAP, n=2, simulate=endless())
    reasons = [
        (choice["index"], choice["finish_reason"])
        for event in events_of(answer.text)
        for choice in event["choices"]
        if choice["finish_reason"]
    ]
    assert sorted(reasons) == [(0, "length"), (1, "length")]


def test_a_json_answer_past_its_cap_is_booked_as_it_is_and_counted(gateway: Gateway) -> None:
    before = gateway.metric("gateway_reservations_overdrawn_total")
    answer = gateway.chat(text=WORDS, max_tokens=CAP, simulate={"ignore_cap": True})
    entry = gateway.entry(answer.headers["x-request-id"])
    assert entry["output_tokens"] == answer.json()["usage"]["completion_tokens"] > 200
    assert (entry["outcome"], entry["source"]) == ("ok", "provider")
    wait_until(
        lambda: gateway.metric("gateway_reservations_overdrawn_total") == before + 1, "the meter"
    )


@pytest.mark.parametrize("version", MODERN)
def test_the_official_client_reads_a_stream_that_was_cut(
    version: str, gateway: Gateway, sdk: Callable[..., dict[str, Any]]
) -> None:
    seen = sdk(version, gateway.base_url, gateway.key("main"), "cut_stream")["cut_stream"]
    assert seen["reasons"] == ["length"]
    assert seen["tokens"] == CUT_AT
    assert seen["text"] == ("word " * 200)[: len(seen["text"])]


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_a_request_that_got_through_at_the_third_attempt_is_charged_once(
    gateway: Gateway, simulator: Simulator, stream: bool
) -> None:
    wish = {"error": 503, "error_times": 2}
    answer = gateway.chat(text=TEXT, model="again", stream=stream, simulate=wish)
    assert answer.status_code == 200
    entry = gateway.entry(answer.headers["x-request-id"])
    assert (entry["outcome"], entry["source"], entry["requests"]) == ("ok", "provider", 1)
    attempts = wait_until(
        lambda: len(found := served(simulator, entry["id"])) == 3 and found, "three attempts"
    )
    assert attempts[:2] == [(0, 0), (0, 0)]
    assert attempts[2] == (entry["input_tokens"], entry["output_tokens"])
    assert entry["cost_nano"] == entry["input_tokens"] * 2500 + entry["output_tokens"] * 10_000


def test_a_request_that_was_never_taken_up_costs_nothing(
    gateway: Gateway, simulator: Simulator
) -> None:
    answer = gateway.chat(model="again", simulate={"error": 503})
    assert answer.status_code == 503
    entry = gateway.entry(answer.headers["x-request-id"])
    assert (entry["source"], entry["requests"], entry["cost_nano"]) == ("none", 0, 0)
    wait_until(lambda: served(simulator, entry["id"]) == [(0, 0)] * 3, "three attempts")


def test_an_error_that_tells_its_usage_is_booked_and_not_tried_again(
    gateway: Gateway, simulator: Simulator
) -> None:
    wish = {"error": 503, "error_charges": True}
    answer = gateway.chat(text=TEXT, model="again", simulate=wish)
    assert answer.status_code == 503
    entry = gateway.entry(answer.headers["x-request-id"])
    assert (entry["outcome"], entry["source"]) == ("upstream_error", "provider")
    wait_until(
        lambda: served(simulator, entry["id"]) == [(entry["input_tokens"], 0)], "one attempt"
    )
    assert entry["cost_nano"] == entry["input_tokens"] * 2500 > 0


@pytest.mark.parametrize("usage", ["every", "twice", "zero", "wrong", "never"])
def test_usage_told_often_or_not_at_all_is_booked_once(
    gateway: Gateway, simulator: Simulator, usage: str
) -> None:
    """Peers book it fourfold, or lose it."""
    answer = gateway.chat(text=TEXT, stream=True, simulate={"usage": usage})
    assert '"usage":{' not in answer.text, "the caller did not ask for it"
    entry = gateway.entry(answer.headers["x-request-id"])
    (charged,) = wait_until(lambda: served(simulator, entry["id"]), "it is over")
    assert entry["output_tokens"] == charged[1] == len(TEXT.split())
    if usage in ("every", "twice"):
        assert (entry["input_tokens"], entry["source"]) == (charged[0], "provider")
    else:
        assert (entry["input_tokens"] >= charged[0], entry["source"]) == (True, "estimated")


class Leaver:
    """A caller on a socket of its own, that can leave when it likes."""

    def __init__(self, gateway: Gateway, **fields: Any) -> None:
        host, port = gateway.url.removeprefix("http://").split(":")
        messages = [{"role": "user", "content": TEXT}]
        body = json.dumps({"messages": messages, **fields}).encode()
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\n"
            f"authorization: Bearer {gateway.key('main')}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._socket = socket.create_connection((host, int(port)), timeout=60)
        self._socket.sendall(head.encode() + body)

    def leave_after(self, chunks: int) -> None:
        read = b""
        while read.count(b"data: ") < chunks:
            read += self._socket.recv(65536)
        self._socket.close()


@pytest.mark.parametrize("chunks", [1, 4])
@pytest.mark.parametrize("usage", ["last", "every", "twice", "never"])
def test_a_caller_that_leaves_a_drained_stream_is_charged_what_the_provider_says(
    gateway: Gateway, simulator: Simulator, usage: str, chunks: int
) -> None:
    known = gateway.entry_ids()
    wish = {"usage": usage, "chunk_delay_seconds": 0.05}
    Leaver(gateway, model="drained", stream=True, simulate=wish).leave_after(chunks)
    entry = gateway.new_entry(known)
    (charged,) = wait_until(lambda: served(simulator, entry["id"]), "it is over")
    assert entry["outcome"] == "ok"
    assert entry["output_tokens"] == charged[1] == len(TEXT.split())
    assert entry["input_tokens"] >= charged[0]
    if usage != "never":
        assert (entry["input_tokens"], entry["source"]) == (charged[0], "provider")


@pytest.mark.parametrize("usage", ["last", "every", "twice", "never"])
def test_a_caller_that_leaves_a_cancelled_stream_is_charged_what_came(
    gateway: Gateway, simulator: Simulator, usage: str
) -> None:
    """The last chunk may be on its way when the upstream is told to stop."""
    known = gateway.entry_ids()
    wish = {"usage": usage, "chunk_delay_seconds": 0.4}
    Leaver(gateway, model="echo", stream=True, simulate=wish).leave_after(4)
    entry = gateway.new_entry(known)
    (charged,) = wait_until(lambda: served(simulator, entry["id"]), "it is over")
    assert (entry["outcome"], entry["source"]) == ("client_left", "estimated")
    assert 3 <= entry["output_tokens"] <= charged[1] < len(TEXT.split())
    assert charged[1] - entry["output_tokens"] <= 1
    assert entry["input_tokens"] >= charged[0]


@pytest.mark.parametrize(
    ("model", "outcome", "output"), [("drained", "ok", 7), ("echo", "client_left", 0)]
)
def test_a_caller_that_leaves_while_a_json_answer_is_made(
    gateway: Gateway, simulator: Simulator, model: str, outcome: str, output: int
) -> None:
    """Drained it is charged whole; cancelled nothing of it came, so the prompt is booked."""
    known, before = gateway.entry_ids(), simulator.served()["requests"]
    caller = Leaver(gateway, model=model, simulate={"delay_seconds": 0.5})
    wait_until(lambda: simulator.served()["requests"] > before, "the upstream is asked")
    caller.leave_after(0)
    entry = gateway.new_entry(known)
    (charged,) = wait_until(lambda: served(simulator, entry["id"]), "it is over")
    assert (entry["outcome"], entry["output_tokens"]) == (outcome, output)
    assert charged[1] == output
    assert entry["input_tokens"] >= charged[0] > 0


def test_a_stop_ends_an_answer_that_nobody_hears(new_gateway: Callable[..., Gateway]) -> None:
    gateway = new_gateway(shutdown_grace_seconds="0.2")
    wish = {"hang_after_chunks": 3}
    Leaver(gateway, model="drained", stream=True, simulate=wish).leave_after(3)
    assert gateway.metric("gateway_inflight_requests") == 1
    gateway.program.ask_to_stop()
    assert gateway.program.ended() == 0
    (entry,) = gateway.entries()
    assert (entry["outcome"], entry["output_tokens"]) == ("client_left", 2)
    assert "Traceback" not in gateway.program.errors
