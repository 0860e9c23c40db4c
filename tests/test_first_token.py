"""A stream is told as it comes, also while values are put back into it: nothing waits for what
follows, so the first token is not later than without."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from gateway.answer import Answer
from gateway.forward import Reply
from gateway.privacy.mint import Vault

MAIL = "EMAIL_ADDRESS_ABCDEFGH"
VAULTS = {"nothing was replaced": Vault(), "a value was": Vault({MAIL: "ann@example.com"})}


def said(text: str) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return b"data: " + json.dumps({"id": "c-1", "choices": [choice]}).encode() + b"\n\n"


@pytest.mark.parametrize("vault", VAULTS.values(), ids=VAULTS)
def test_each_event_goes_out_before_the_next_is_asked_for(vault: Vault) -> None:
    events = [said("Hello "), said("to you"), said(f", {MAIL}, "), said("bye"), b"data: [DONE]\n\n"]
    sent: list[bytes] = []
    sent_when_asked: list[int] = []

    async def received() -> AsyncIterator[bytes]:
        for event in events:
            sent_when_asked.append(len(sent))
            yield event

    async def main() -> None:
        reply = Reply(200, [("content-type", "text/event-stream")], received())
        answer = Answer(
            reply,
            wants_usage=False,
            content_is_json=False,
            vault=vault,
            answer_bytes_max=10_000,
            upstream_key=None,
        )
        await answer.begin()
        async for piece in answer.pieces():
            sent.append(piece)

    asyncio.run(main())
    assert sent_when_asked == [0, 1, 2, 3, 4]
    assert len(sent) == len(events)
