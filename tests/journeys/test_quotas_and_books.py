"""Limits under load, and the books: counters, entries and meters say the same."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
from processes import DEADLINE_SECONDS, Gateway, Simulator, wait_until

REQUESTS = 100
ROOM = 20


def all_at_once(gateway: Gateway, project: str, count: int) -> list[httpx.Response]:
    """So many chats at the same time: half of them streamed, each with another prompt."""
    headers = {"authorization": f"Bearer {gateway.key(project)}"}
    limits = httpx.Limits(max_connections=count)

    def body(number: int) -> dict[str, Any]:
        messages = [{"role": "user", "content": "word " * (number % 7 + 1)}]
        asked = {"simulate": {"delay_seconds": 0.2}, "stream": number % 2 == 0}
        return {"model": "echo", "messages": messages, **asked}

    async def run() -> list[httpx.Response]:
        url = f"{gateway.base_url}/chat/completions"
        async with httpx.AsyncClient(limits=limits, timeout=DEADLINE_SECONDS) as client:
            asked = (client.post(url, headers=headers, json=body(n)) for n in range(count))
            return await asyncio.gather(*asked)

    return asyncio.run(run())


def test_a_hundred_at_once_with_room_for_twenty(
    new_gateway: Callable[..., Gateway], simulator: Simulator
) -> None:
    gateway = new_gateway()
    gateway.key("twenty")
    before = simulator.served()
    answers = all_at_once(gateway, "twenty", REQUESTS)
    served = Counter(simulator.served()) - Counter(before)

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {200: ROOM, 429: REQUESTS - ROOM}
    assert served["requests"] == ROOM

    passed = [answer for answer in answers if answer.status_code == 200]
    remaining = [int(answer.headers["x-ratelimit-remaining-requests"]) for answer in passed]
    assert sorted(remaining) == list(range(ROOM))
    assert {answer.headers["x-ratelimit-limit-requests"] for answer in answers} == {str(ROOM)}
    for answer in answers:
        if answer.status_code == 429:
            error = answer.json()["error"]
            assert error["code"] == "insufficient_quota"
            assert "twenty-requests" in error["message"]
            assert answer.headers["x-should-retry"] == "false"

    wait_until(lambda: len(gateway.entries()) == REQUESTS, "an entry for every request")
    rows = gateway.command_json("usage", "--by", "project,model,status", "--since", "1h")
    by_status = {int(row["status"]): row for row in rows}
    assert {row["project"] for row in rows} == {"twenty"}
    assert {status: row["entries"] for status, row in by_status.items()} == statuses
    assert by_status[200]["requests"] == ROOM
    assert by_status[429]["requests"] == 0

    total = {name: sum(row[name] for row in rows) for name in ("input_tokens", "output_tokens")}
    cost_nano = sum(row["cost_nano"] for row in rows)
    assert total["input_tokens"] == served["prompt_tokens"]
    assert total["output_tokens"] == served["completion_tokens"]
    assert cost_nano > 0

    for status, count in statuses.items():
        assert gateway.metric("gateway_requests_total", status=str(status)) == count
    of_project = {"project": "twenty", "model": "echo"}
    tokens = "gateway_tokens_total"
    assert gateway.metric(tokens, type="input", **of_project) == total["input_tokens"]
    assert gateway.metric(tokens, type="output", **of_project) == total["output_tokens"]
    cost = gateway.metric("gateway_cost_total", currency="USD", **of_project)
    assert round(cost * 10**9) == cost_nano
    decisions = "gateway_limit_decisions_total"
    refused = gateway.metric(decisions, limit="twenty-requests", decision="refused")
    assert refused == REQUESTS - ROOM
    assert gateway.metric("gateway_inflight_requests") == 0

    # The ledger's own counters, as one more request is told them: nothing is reserved any more.
    last = gateway.chat("twenty")
    assert last.status_code == 429
    left = 1_000_000 - total["input_tokens"] - total["output_tokens"]
    assert int(last.headers["x-ratelimit-remaining-tokens"]) == left
    money = gateway.metric("gateway_limit_used_ratio", project="twenty", limit="money")
    assert round(money * 100 * 10**9) == cost_nano


def test_a_restart_forgives_nothing(new_gateway: Callable[..., Gateway]) -> None:
    gateway = new_gateway()
    for _ in range(3):
        assert gateway.chat("prepaid").status_code == 200
    assert gateway.stop() == 0
    gateway.start()
    statuses = [gateway.chat("prepaid").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert gateway.stop() == 0
    gateway.start()
    assert gateway.chat("prepaid").status_code == 429


def test_each_project_has_room_of_its_own(gateway: Gateway) -> None:
    for _ in range(2):
        gateway.chat("spent")
    assert gateway.chat("spent").status_code == 429
    assert gateway.chat("main").status_code == 200


def test_one_request_larger_than_the_context_is_refused(gateway: Gateway) -> None:
    refused = gateway.chat(model="echo", text="word " * 120_000)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "context_length_exceeded"


def test_a_request_without_a_cap_gets_the_models_default(
    gateway: Gateway, simulator: Simulator
) -> None:
    text = "a request without a cap of its own"
    gateway.chat(text=text)
    (sent,) = [
        note["body"]
        for note in simulator.received()
        if note["event"] == "received" and text in str(note["body"])
    ]
    assert [sent.get("max_tokens"), sent.get("max_completion_tokens")].count(256) == 1


def test_usage_that_the_upstream_never_tells_is_made_up_for(gateway: Gateway) -> None:
    """As an estimate here: the `simulate` field may be text for the upstream, so it is bounded."""
    for stream in (False, True):
        for shape, source in [("never", "estimated"), ("zero", "estimated"), ("last", "provider")]:
            answer = gateway.chat(text="one two three", stream=stream, simulate={"usage": shape})
            entry = gateway.entry(answer.headers["x-request-id"])
            assert (entry["source"], entry["output_tokens"]) == (source, 3), (shape, stream)
            assert entry["input_tokens"] >= 9


def test_usage_in_every_shape_is_booked_once(gateway: Gateway) -> None:
    for shape in ("last", "with_choices", "every", "end_only"):
        wish = {"usage": shape, "cached_tokens": 4, "reasoning_tokens": 5}
        answer = gateway.chat(text="one two three", stream=True, simulate=wish)
        entry = gateway.entry(answer.headers["x-request-id"])
        counted = {name: entry[name] for name in entry if name.endswith("_tokens")}
        assert counted == {
            "input_tokens": 9,
            "cached_input_tokens": 4,
            "output_tokens": 8,
            "reasoning_tokens": 5,
            "audio_input_tokens": 0,
            "audio_output_tokens": 0,
        }, shape
        assert entry["source"] == "provider"
        assert entry["cost_nano"] == 5 * 2500 + 4 * 1250 + 3 * 10_000 + 5 * 12_000


def test_usage_that_cannot_be_is_not_believed(gateway: Gateway) -> None:
    answer = gateway.chat(text="one two three", simulate={"usage": "wrong"})
    entry = gateway.entry(answer.headers["x-request-id"])
    assert (entry["status"], entry["source"]) == (200, "estimated")
    assert (entry["input_tokens"] >= 9, entry["output_tokens"]) == (True, 3)
