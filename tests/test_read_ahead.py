"""The turns of a conversation cost the detector their new text only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from world import POLICY, FakeDetector, World, chat, plain_answer

from gateway.exchange import exchange
from gateway.privacy.redact import Detector
from gateway.privacy.remembered import Remembered
from gateway.privacy.spans import Span

MAIL = "ann@example.com"


class Asked(FakeDetector):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], *rest: object
    ) -> list[list[Span]]:
        self.texts += texts
        return await super().detect(texts, entities, *rest)


def remembering(policy: bytes = POLICY) -> tuple[World, Asked]:
    world, asked = World(policy), Asked()
    detector: Detector = Remembered(asked, b"k" * 32, 1000)
    world.parts = replace(world.parts, detector=detector)
    return world, asked


async def told(world: World, body: dict[str, Any], answer: bytes) -> dict[str, Any]:
    world.upstream.pieces = [answer]
    async with exchange(world.call(body), world.parts) as reply:
        pieces = [piece async for piece in reply.pieces()]
    await asyncio.gather(*world.parts.state.later)
    message: dict[str, Any] = json.loads(b"".join(pieces))["choices"][0]["message"]
    return message


def test_a_turn_is_asked_about_its_new_text_only_even_not_about_the_answer_before_it() -> None:
    world, asked = remembering()

    async def run() -> None:
        body = chat(f"I am {MAIL}")
        for turn in range(4):
            sent = world.upstream.received[-1]["messages"][0]["content"] if turn else "hello"
            message = await told(world, body, plain_answer(f"turn {turn}: {sent}"))
            body["messages"] += [message, {"role": "user", "content": f"go on, {turn}"}]
        asked.texts.clear()
        await told(world, body, plain_answer("done"))

    asyncio.run(run())
    assert asked.texts == ["go on, 3", "done"]


ANCHORED = (
    POLICY.replace(b"{EMAIL_ADDRESS:", b"{STAFF: mask, EMAIL_ADDRESS:")
    + b"""
recognizers: {STAFF: {patterns: [{regex: '^E-[0-9]{6}$'}], matches: [E-123456]}}
"""
)


@pytest.mark.parametrize("policy", [POLICY, ANCHORED], ids=["built-in", "patterns"])
def test_the_arguments_of_a_tool_are_looked_at_as_the_next_turn_sends_them(policy: bytes) -> None:
    world, asked = remembering(policy)
    arguments = json.dumps({"to": MAIL, "note": "said twice"})
    call = {"id": "c", "type": "function", "function": {"name": "mail", "arguments": arguments}}
    answer = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": answer, "finish_reason": "tool_calls"}
    whole = json.dumps({"object": "chat.completion", "choices": [choice]}).encode()

    async def run() -> None:
        body = chat("mail her")
        body["messages"] = [*body["messages"], {"role": "assistant", "content": "Whom?"}]
        message = await told(world, body, whole)
        body["messages"] += [message, {"role": "tool", "tool_call_id": "c", "content": "sent"}]
        asked.texts.clear()
        await told(world, body, plain_answer("done"))

    asyncio.run(run())
    assert asked.texts == ["sent", "done"]


def test_who_asks_once_pays_for_one_look() -> None:
    world, asked = remembering()
    asyncio.run(told(world, chat("hello"), plain_answer("a long answer")))
    assert asked.texts == ["hello"]


def test_a_detector_that_fails_then_is_left_to_the_next_turn() -> None:
    world, asked = remembering()
    body = chat("hello")
    body["messages"] = [*body["messages"], {"role": "assistant", "content": "yes?"}]

    async def run() -> None:
        world.upstream.pieces = [plain_answer("bye")]
        async with exchange(world.call(body), world.parts) as reply:
            asked.broken = True
            assert [piece async for piece in reply.pieces()]
        await asyncio.gather(*world.parts.state.later)

    asyncio.run(run())
    assert asked.texts[-1] == "bye"
