"""A stream that runs past the cap that was sent is cut, and ends as one of that length does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from gateway.answer import Answer
from gateway.forward import Reply
from gateway.openai.overrun import SLACK_TOKENS, Cap
from gateway.openai.usage import Told
from gateway.privacy.mint import Vault

HEAD = {"id": "c-1", "object": "chat.completion.chunk", "model": "m"}
MAIL = "EMAIL_ADDRESS_ABCDEFGH"
CAP = 8
LIMIT = CAP + CAP // 8 + SLACK_TOKENS


def said(text: str, index: int = 0, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
    return b"data: " + json.dumps({**HEAD, "choices": [choice], **more}).encode() + b"\n\n"


class Played:
    """What the caller got, and how much of it the upstream was asked for."""

    def __init__(self, pieces: Sequence[bytes], cap: Cap | None, **how: Any) -> None:
        self.asked_for = 0
        self.closed = False
        self.answer = Answer(
            Reply(200, [("content-type", "text/event-stream")], self._pieces(pieces)),
            wants_usage=how.get("wants_usage", False),
            content_is_json=False,
            vault=how.get("vault", Vault()),
            answer_bytes_max=10**6,
            upstream_key=None,
            cap=cap,
        )
        self.body = asyncio.run(self._play())

    async def _pieces(self, pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
        try:
            for piece in pieces:
                self.asked_for += 1
                yield piece
        finally:
            self.closed = True

    async def _play(self) -> bytes:
        await self.answer.begin()
        return b"".join([piece async for piece in self.answer.pieces()])

    def events(self) -> list[Any]:
        *events, done = self.body.decode().strip().split("\n\n")
        assert done == "data: [DONE]"
        return [json.loads(event.removeprefix("data: ")) for event in events]


def cap(total: int = CAP, tokenizer: str = "o200k") -> Cap:
    return Cap(CAP, total, 5, tokenizer)


def test_it_ends_with_length_and_the_upstream_is_stopped() -> None:
    played = Played([said(" word")] * 500, cap())
    *words, last = played.events()
    assert len(words) == LIMIT + 1 == played.asked_for
    ended = {"index": 0, "delta": {}, "finish_reason": "length"}
    assert last == {**HEAD, "choices": [ended]}
    assert played.closed
    assert played.answer.cut
    assert played.answer.complete


def test_a_caller_that_asked_gets_the_usage_that_was_counted() -> None:
    played = Played([said(" word")] * 500, cap(), wants_usage=True)
    assert played.events()[-1]["usage"] == {
        "prompt_tokens": 5,
        "completion_tokens": LIMIT + 1,
        "total_tokens": LIMIT + 6,
    }


def test_every_choice_that_is_running_is_ended_and_no_other() -> None:
    over = [said(" word", 2)] * 500
    played = Played([said("a", 0), said("b", 1, "stop"), *over], cap(total=3 * CAP))
    ends = [
        (choice["index"], choice["finish_reason"])
        for event in played.events()
        for choice in event["choices"]
        if choice["finish_reason"]
    ]
    assert ends == [(1, "stop"), (0, "length"), (2, "length")]


def test_what_restoring_holds_back_is_sent_before_the_end() -> None:
    pieces = [said(" word")] * LIMIT + [said(" one EMAIL_ADDRESS_ABC")] + [said("no")] * 99
    played = Played(pieces, cap(), vault=Vault({MAIL: "ann@example.com"}))
    texts = [event["choices"][0]["delta"].get("content", "") for event in played.events()]
    assert "".join(texts).endswith(" one EMAIL_ADDRESS_ABC")
    assert played.answer.cut


@pytest.mark.parametrize("tokenizer", ["o200k", "bytes"])
def test_usage_that_is_told_on_the_way_cuts_without_counting(tokenizer: str) -> None:
    def told(output: int) -> dict[str, Any]:
        return {"usage": {"prompt_tokens": 4, "completion_tokens": output}}

    pieces = [said("w", **told(CAP - 1)), said("w", **told(CAP + 1)), said("w", **told(99))]
    played = Played(pieces, cap(tokenizer=tokenizer))
    assert (played.answer.cut, played.asked_for) == (True, 2)
    assert played.answer.told == Told(4, 0, CAP + 1, 0)
    assert "usage" not in played.body.decode()


def test_usage_over_the_cap_that_comes_when_all_has_ended_cuts_nothing() -> None:
    usage = {"prompt_tokens": 4, "completion_tokens": 99}
    last = b"data: " + json.dumps({**HEAD, "choices": [], "usage": usage}).encode() + b"\n\n"
    pieces = [said("w", finish="stop"), last, b"data: [DONE]\n\n"]
    played = Played(pieces, cap())
    assert not played.answer.cut
    assert played.body == pieces[0] + pieces[2]


@pytest.mark.parametrize("tokenizer", ["o200k", "bytes"])
def test_a_stream_within_its_cap_and_one_without_a_cap_is_not_cut(tokenizer: str) -> None:
    pieces = [said(" word")] * CAP + [said("", finish="length"), b"data: [DONE]\n\n"]
    assert Played(pieces, cap(tokenizer=tokenizer)).body == b"".join(pieces)
    endless = [said(" word")] * 500 + pieces
    assert Played(endless, None).body == b"".join(endless)
