"""Answers that the gateway itself ends, or does not pass on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from test_answer import DONE, FULL, HI, JSON, SSE, STOP, Played, answer_of, chunk, play, said, sse

from gateway.errors import UpstreamFailed
from gateway.forward import Headers, Reply
from gateway.privacy.profile import Profile
from gateway.privacy.watch import Watch


@pytest.mark.parametrize("status", [204, 205])
@pytest.mark.parametrize("headers", [JSON, SSE])
def test_an_answer_that_has_no_content_by_its_status_is_invalid(
    status: int, headers: Headers
) -> None:
    """Nothing may be passed on under 205, nor the other be made up (RFC 9110, 15.3.6)."""
    body = b'{"choices":[]}' if headers is JSON else HI + STOP + DONE
    played = play([body], headers, status)
    assert isinstance(played.error, UpstreamFailed)
    assert (played.error.status, played.error.code) == (502, "upstream_invalid_answer")
    assert (played.sent, played.answer.complete) == ([], False)


async def cut_off(waits: asyncio.Event, played: Played) -> None:
    """The answer of somebody whose task is cancelled once it `waits`."""
    await played.answer.begin()

    async def listen() -> None:
        async for piece in played.answer.pieces():
            played.sent.append(piece)

    task = asyncio.create_task(listen())
    await waits.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    played.sent.append(await played.answer.held_back())
    assert await played.answer.held_back() == b""


@pytest.mark.parametrize("left", [b"", b"data: {"])
def test_what_was_held_back_is_told_where_the_wait_for_more_is_cancelled(left: bytes) -> None:
    """As at the end of a process that waits no longer for its streams."""

    async def main() -> Played:
        waits = asyncio.Event()

        async def received() -> AsyncIterator[bytes]:
            yield said("to EMAIL_ADD") + left
            waits.set()
            await asyncio.sleep(3600)

        played = Played(answer_of(Reply(200, SSE, received()), vault=FULL))
        await cut_off(waits, played)
        return played

    played = asyncio.run(main())
    assert played.content() == "to EMAIL_ADD"
    assert not played.answer.complete


def test_behind_text_that_is_lost_nothing_is_told() -> None:
    """The cancellation comes while an event is looked at: what follows it would leave a gap."""

    async def main() -> Played:
        looks = asyncio.Event()

        class Looking(Watch):
            async def feed(self, lane: Any, text: str, is_json: bool = False) -> str:
                if text == "looked at":
                    looks.set()
                    await asyncio.sleep(3600)
                return text

        async def received() -> AsyncIterator[bytes]:
            yield said("one ")
            both = [chunk({"content": "two EMAIL_ADD"}), chunk({"content": "looked at"}, index=1)]
            yield sse({**both[0], "choices": [one["choices"][0] for one in both]})

        watch = Looking(Profile("p", {}), None, b"")  # type: ignore[arg-type]
        played = Played(answer_of(Reply(200, SSE, received()), vault=FULL, watch=watch))
        await cut_off(looks, played)
        return played

    assert asyncio.run(main()).content() == "one "
