"""Pieces of a reply that are taken as they arrive, without the task that waits for them."""

from __future__ import annotations

import asyncio
import gzip

import pytest
from upstream_world import CHUNKED, END, Peer, chunk, http, opened, serving, target

from gateway.errors import UpstreamTooSlow
from gateway.forward import Reply

pytestmark = pytest.mark.usefixtures("each_loop")

WORDS = [f"word{number} ".encode() for number in range(40)]


async def says_words(peer: Peer) -> None:
    await peer.request()
    await peer.say(CHUNKED)
    for word in WORDS:
        await asyncio.sleep(0.001)
        await peer.say(chunk(word))
    await peer.say(END)


def replied(script, consume, **times: float) -> None:
    async def main() -> None:
        async with (
            serving(script) as served,
            opened(http) as upstream,
            upstream.send(target(served.url, **times), "/x", [], b"{}") as reply,
        ):
            await consume(reply)

    asyncio.run(main())


@pytest.mark.parametrize("taken_of_four", [0, 1, 3, 4])
def test_each_piece_has_one_owner_and_all_are_in_order(taken_of_four: int) -> None:
    got: list[bytes] = []
    taken = 0

    def take(piece: bytes) -> bool:
        nonlocal taken
        if len(got) % 4 >= taken_of_four:
            return False
        taken += 1
        got.append(piece)
        return True

    async def consume(reply: Reply) -> None:
        assert reply.relay is not None
        reply.relay(take)
        async for piece in reply.pieces:
            got.append(piece)

    replied(says_words, consume)
    assert b"".join(got) == b"".join(WORDS)
    assert (taken > 0) == (taken_of_four > 0)


def test_nothing_is_taken_while_nobody_waits() -> None:
    got: list[bytes] = []
    is_busy = False

    def take(piece: bytes) -> bool:
        assert not is_busy
        got.append(piece)
        return True

    async def consume(reply: Reply) -> None:
        nonlocal is_busy
        assert reply.relay is not None
        reply.relay(take)
        async for piece in reply.pieces:
            is_busy = True
            got.append(piece)
            await asyncio.sleep(0.01)
            is_busy = False

    replied(says_words, consume)
    assert b"".join(got) == b"".join(WORDS)


def test_what_is_taken_prolongs_the_idle_time_and_not_the_total_one() -> None:
    async def drips(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED)
        while True:
            await peer.say(chunk(b"x"))
            await asyncio.sleep(0.02)

    taken = 0

    def take(piece: bytes) -> bool:
        nonlocal taken
        taken += 1
        return True

    async def consume(reply: Reply) -> None:
        assert reply.relay is not None
        reply.relay(take)
        with pytest.raises(UpstreamTooSlow):
            async for _ in reply.pieces:
                pass

    loop_time: list[float] = []

    async def timed(reply: Reply) -> None:
        began = asyncio.get_running_loop().time()
        await consume(reply)
        loop_time.append(asyncio.get_running_loop().time() - began)

    replied(drips, timed, idle=0.3, total=0.9)
    assert loop_time[0] > 0.6
    assert taken > 10


def test_silence_after_what_was_taken_is_too_slow() -> None:
    async def stops(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED + chunk(b"a"))
        await asyncio.sleep(0.05)
        await peer.say(chunk(b"b"))
        await peer.gone()

    got: list[bytes] = []

    async def consume(reply: Reply) -> None:
        assert reply.relay is not None
        reply.relay(lambda piece: got.append(piece) is None)
        got.append(await anext(reply.pieces))
        with pytest.raises(UpstreamTooSlow):
            await anext(reply.pieces)

    replied(stops, consume, idle=0.2)
    assert got == [b"a", b"b"]


def test_what_was_compressed_is_never_taken() -> None:
    data = gzip.compress(b"".join(WORDS))

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED[:-2] + b"content-encoding: gzip\r\n\r\n")
        for at in range(0, len(data), 7):
            await asyncio.sleep(0.001)
            await peer.say(chunk(data[at : at + 7]))
        await peer.say(END)

    async def consume(reply: Reply) -> None:
        assert reply.relay is not None
        reply.relay(lambda piece: pytest.fail("it was taken"))
        assert b"".join([piece async for piece in reply.pieces]) == b"".join(WORDS)

    replied(script, consume)


def test_the_last_piece_ends_the_iteration_though_others_were_taken() -> None:
    async def consume(reply: Reply) -> None:
        assert reply.relay is not None
        got: list[bytes] = []
        reply.relay(lambda piece: got.append(piece) is None)
        async with asyncio.timeout(5):
            async for piece in reply.pieces:
                got.append(piece)
        assert b"".join(got) == b"".join(WORDS)

    replied(says_words, consume)
