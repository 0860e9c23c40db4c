"""Callers that leave: at any chunk, while they wait, in the middle of their body."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from processes import Gateway, Simulator, wait_until

TEXT = "one two three four five six"


def head(gateway: Gateway, length: int) -> bytes:
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        "host: gateway",
        f"authorization: Bearer {gateway.key('main')}",
        "content-type: application/json",
        f"content-length: {length}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def asked(gateway: Gateway, **fields: Any) -> bytes:
    """A whole request as bytes."""
    messages = [{"role": "user", "content": TEXT}]
    body = json.dumps({"model": "echo", "messages": messages, **fields}).encode()
    return head(gateway, len(body)) + body


def connected(gateway: Gateway) -> socket.socket:
    host, port = gateway.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def left_notes(simulator: Simulator) -> int:
    return sum(note["event"] == "client_left" for note in simulator.received())


@pytest.mark.parametrize("chunks", range(1, 8))
def test_a_caller_that_leaves_at_any_chunk_has_an_entry(
    gateway: Gateway, simulator: Simulator, chunks: int
) -> None:
    """The upstream sends so many chunks (the first one has no text yet) and then waits."""
    known, left = gateway.entry_ids(), left_notes(simulator)
    with connected(gateway) as caller:
        wish = {"hang_after_chunks": chunks}
        caller.sendall(asked(gateway, stream=True, simulate=wish))
        read = b""
        while read.count(b"data: ") < chunks:
            read += caller.recv(65536)
    entry = gateway.new_entry(known)
    assert (entry["outcome"], entry["source"]) == ("client_left", "estimated")
    assert entry["input_tokens"] >= 12
    assert entry["output_tokens"] == chunks - 1
    assert entry["cost_nano"] == entry["input_tokens"] * 2500 + (chunks - 1) * 10_000
    wait_until(lambda: left_notes(simulator) == left + 1, "the upstream is told to stop")


@pytest.mark.parametrize("fields", [{}, {"stream": True}])
def test_a_caller_that_leaves_before_the_first_byte_has_an_entry(
    gateway: Gateway, simulator: Simulator, fields: dict[str, Any]
) -> None:
    known, left = gateway.entry_ids(), left_notes(simulator)
    before = simulator.served()["requests"]
    with connected(gateway) as caller:
        caller.sendall(asked(gateway, simulate={"hang": True}, **fields))
        wait_until(lambda: simulator.served()["requests"] > before, "the upstream is asked")
    entry = gateway.new_entry(known)
    assert (entry["outcome"], entry["source"]) == ("client_left", "estimated")
    wait_until(lambda: left_notes(simulator) == left + 1, "the upstream is told to stop")


def test_a_caller_that_leaves_in_the_middle_of_its_body_has_an_entry(gateway: Gateway) -> None:
    known = gateway.entry_ids()
    with connected(gateway) as caller:
        caller.sendall(head(gateway, 1000) + b'{"model": "echo", ')
    entry = gateway.new_entry(known)
    assert (entry["outcome"], entry["source"]) == ("client_left", "none")
    assert (entry["requests"], entry["cost_nano"]) == (0, 0)


def test_nobody_who_left_is_still_counted_as_being_in_work(gateway: Gateway) -> None:
    with connected(gateway) as caller:
        caller.sendall(asked(gateway, stream=True, simulate={"hang_after_chunks": 2}))
        caller.recv(10)
        assert gateway.metric("gateway_inflight_requests") >= 1
    wait_until(lambda: gateway.metric("gateway_inflight_requests") == 0, "nobody is in work")
