"""A request is sent again while the upstream does not take it up, and never when it may have."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from gateway.errors import ApiError, UpstreamFailed, UpstreamTooSlow
from gateway.forward import BrokenOff, Headers, Patience, Reply, Target, forward

GOOD = (200, [], b"{}")
UNREACHABLE = UpstreamFailed("no", code="upstream_unreachable")
Step = tuple[int, Headers, bytes] | ApiError


class Scripted:
    """An upstream that takes one step of its script for each attempt."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = list(steps)
        self.sent = self.closed = 0
        self.pauses: list[float] = []

    @asynccontextmanager
    async def send(
        self, target: Target, path: str, headers: Headers, body: bytes
    ) -> AsyncIterator[Reply]:
        self.sent += 1
        step = self.steps.pop(0)
        if isinstance(step, ApiError):
            raise step
        status, told, text = step
        yield Reply(status, told, self._pieces(text))
        self.closed += 1

    async def _pieces(self, text: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(text), 4):
            yield text[at : at + 4]

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.pauses.append(seconds)

    def play(self, retries: int, seconds: float = 600) -> tuple[int, bytes, int]:
        """Status, body and attempts of the reply."""
        target = Target("main", "https://upstream.test/v1", None, 1, 2, seconds, retries)
        patience = Patience(self._sleep, lambda: 1.0)

        async def main() -> tuple[int, bytes, int]:
            async with forward(self, target, "/x", b"{}", [], "r", patience) as reply:
                body = b"".join([piece async for piece in reply.pieces])
                return reply.status, body, reply.attempts

        return asyncio.run(main())


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529])
def test_a_refusal_that_tells_no_usage_is_tried_again(status: int) -> None:
    upstream = Scripted([(status, [], b'{"error": {"message": "busy"}}'), UNREACHABLE, GOOD])
    assert upstream.play(retries=2) == (200, b"{}", 3)
    assert (upstream.sent, upstream.closed) == (3, 2)
    assert upstream.pauses == [0.1, 0.2]


def test_no_more_often_than_the_target_says_and_the_last_one_is_the_reply() -> None:
    upstream = Scripted([(503, [], b"one"), (500, [], b"the last"), GOOD])
    assert upstream.play(retries=1) == (500, b"the last", 2)
    with pytest.raises(UpstreamFailed):
        Scripted([UNREACHABLE, UNREACHABLE, GOOD]).play(retries=1)
    assert Scripted([(503, [], b"only")]).play(retries=0) == (503, b"only", 1)


@pytest.mark.parametrize(
    "step",
    [
        (400, [], b"bad"),
        (401, [], b"who"),
        (200, [], b"good"),
        (500, [], json.dumps({"error": {}, "usage": {"prompt_tokens": 3}}).encode()),
        (500, [], json.dumps({"error": {"usage": {"prompt_tokens": 3}}}).encode()),
        (503, [("retry-after", "6")], b"later"),
        (503, [], b"x" * 100_000),
    ],
    ids=["400", "401", "200", "usage told", "usage in the error", "far too late", "too long"],
)
def test_what_was_taken_up_or_cannot_be_helped_is_the_reply_and_whole(step: Step) -> None:
    assert not isinstance(step, ApiError)
    upstream = Scripted([step, GOOD])
    assert upstream.play(retries=3) == (step[0], step[2], 1)


@pytest.mark.parametrize(
    "error",
    [
        UpstreamTooSlow("no", code="upstream_timeout"),
        UpstreamFailed("no", code="upstream_invalid_answer"),
        BrokenOff("no", code="upstream_unreachable"),
    ],
)
def test_what_may_have_been_charged_is_not_tried_again(error: ApiError) -> None:
    upstream = Scripted([error, GOOD])
    with pytest.raises(type(error)):
        upstream.play(retries=3)
    assert upstream.sent == 1


def test_a_connection_that_was_not_made_in_time_is_tried_again() -> None:
    slow = UpstreamTooSlow("no", code="upstream_unreachable")
    assert Scripted([slow, GOOD]).play(retries=1) == (200, b"{}", 2)


def test_what_the_upstream_wants_to_wait_is_kept_to() -> None:
    upstream = Scripted([(429, [("retry-after", "3")], b""), GOOD])
    assert upstream.play(retries=1) == (200, b"{}", 2)
    assert upstream.pauses == [3.0]


def test_no_attempt_begins_after_the_time_for_all_of_them() -> None:
    upstream = Scripted([(429, [("retry-after", "3")], b"busy"), GOOD])
    assert upstream.play(retries=1, seconds=2) == (429, b"busy", 1)
