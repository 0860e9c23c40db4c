"""The end of a gateway by signals: at any moment, twice, in a hurry, and whoever hangs on."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from processes import GATEWAY, Gateway, Simulator, clean_environment, wait_until

NEVER = "3600"
STREAM = {
    "model": "echo",
    "messages": [{"role": "user", "content": "one two three four five six seven"}],
    "stream": True,
}


@contextmanager
def stream(gateway: Gateway, **simulate: Any) -> Iterator[Iterator[str]]:
    """The events that are still to come of a stream that has begun."""
    headers = {"authorization": f"Bearer {gateway.key('main')}"}
    body = STREAM | {"simulate": simulate}
    url = f"{gateway.base_url}/chat/completions"
    with httpx.stream("POST", url, headers=headers, json=body, timeout=60) as answer:
        lines = (line.removeprefix("data: ") for line in answer.iter_lines() if line)
        next(lines)
        yield lines


def logged(gateway: Gateway, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(one) for one in gateway.program.errors.splitlines() if one[:1] == "{"]
    return [line for line in lines if line["event"] == event]


def test_sigterm_again_does_not_cut_a_stream(new_gateway: Callable[..., Gateway]) -> None:
    gateway = new_gateway()
    with stream(gateway, chunk_delay_seconds=0.1) as events:
        for _ in range(3):
            gateway.program.ask_to_stop()
        assert list(events)[-1] == "[DONE]"
    assert gateway.program.ended() == 0
    assert [entry["outcome"] for entry in gateway.entries()] == ["ok"]
    assert logged(gateway, "requests_cut") == []


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_ctrl_c_hurries_an_end_that_was_asked_for_and_what_it_cuts_is_booked(
    new_gateway: Callable[..., Gateway], first: signal.Signals
) -> None:
    gateway = new_gateway(drain_seconds="600", shutdown_grace_seconds=NEVER)
    with stream(gateway, hang_after_chunks=3) as events:
        gateway.program.process.send_signal(first)
        wait_until(lambda: not gateway.is_ready(), "it has heard of its end")
        assert httpx.get(f"{gateway.ops_url}/livez").status_code == 200
        gateway.program.process.send_signal(signal.SIGINT)
        assert json.loads(list(events)[-1])["error"]["code"] == "draining"
    assert gateway.program.ended() == 0
    (entry,) = gateway.entries()
    assert (entry["code"], entry["source"], entry["requests"]) == ("draining", "estimated", 1)
    assert [line["count"] for line in logged(gateway, "requests_cut")] == [1]
    assert logged(gateway, "library") == []


def test_a_kept_connection_is_served_during_the_drain_and_told_to_go_elsewhere(
    new_gateway: Callable[..., Gateway],
) -> None:
    gateway = new_gateway(drain_seconds="600", shutdown_grace_seconds=NEVER)
    headers = {"authorization": f"Bearer {gateway.key('main')}"}
    body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
    with httpx.Client(base_url=gateway.base_url, headers=headers, timeout=60) as client:
        before = client.post("/chat/completions", json=body)
        gateway.program.ask_to_stop()
        wait_until(lambda: not gateway.is_ready(), "it drains")
        during = client.post("/chat/completions", json=body)
    assert [one.headers.get("connection") for one in (before, during)] == [None, "close"]
    assert during.status_code == 200
    gateway.program.process.send_signal(signal.SIGINT)
    assert gateway.program.ended() == 0
    assert len(gateway.entries()) == 2


def test_a_caller_that_reads_nothing_does_not_hold_the_end_up_and_is_booked(
    new_gateway: Callable[..., Gateway],
) -> None:
    gateway = new_gateway(shutdown_grace_seconds="0.2")
    body = STREAM | {"messages": [{"role": "user", "content": "word " * 4000}]}
    body |= {"model": "echo", "simulate": {"hang_after_chunks": 3}}
    text = json.dumps(body).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(text)}\r\n"
        f"authorization: Bearer {gateway.key('main')}\r\n\r\n"
    )
    url = urlsplit(gateway.url)
    with socket.create_connection((url.hostname, url.port)) as caller:
        caller.sendall(head.encode() + text)
        wait_until(lambda: gateway.metric("gateway_inflight_requests") == 1, "it is in work")
        began = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - began < 40
    assert [entry["requests"] for entry in gateway.entries()] == [1]


def test_a_gateway_that_is_killed_as_it_drains_books_its_streams_when_it_is_back(
    new_gateway: Callable[..., Gateway],
) -> None:
    gateway = new_gateway(shutdown_grace_seconds=NEVER)
    with stream(gateway, hang_after_chunks=3):
        before = gateway.chat(text="before")
        gateway.entry(before.headers["x-request-id"])
        gateway.program.ask_to_stop()
        wait_until(lambda: not gateway.is_ready(), "it drains")
        gateway.program.kill()
    gateway.start()
    outcomes = sorted(entry["outcome"] for entry in gateway.entries())
    assert outcomes == ["abandoned", "ok"]
    assert gateway.metric("gateway_reservations_abandoned_total") == 1


@pytest.mark.parametrize("after_seconds", [0.7, 3.0])
def test_sigterm_during_the_start_is_a_clean_end(
    simulator: Simulator, gateway: Gateway, tmp_path: Path, after_seconds: float
) -> None:
    """Whatever it was doing: importing, migrating, loading. Before Python has come to our code
    there is nobody to catch the signal, which is an end, too."""
    environment = gateway.environment | {
        "GATEWAY_DATABASE_URL": f"sqlite:///{tmp_path}/other.db",
        "GATEWAY_PEPPER_FILE": f"{tmp_path}/pepper",
        "GATEWAY_DRAIN_SECONDS": "600",
    }
    with (tmp_path / "said").open("w+") as said:
        process = subprocess.Popen(
            [*GATEWAY, "serve"], cwd=tmp_path, env=clean_environment(tmp_path, environment),
            stdout=said, stderr=said,
        )  # fmt: skip
        time.sleep(after_seconds)
        process.terminate()
        if (tmp_path / "said").read_text().find('"started"') >= 0:
            process.send_signal(signal.SIGINT)  # it was there already: do not wait for its drain
        assert process.wait(60) in (0, -signal.SIGTERM)
        assert "Traceback" not in (tmp_path / "said").read_text()
