"""The port Upstream against networks and servers that do their worst, over real sockets."""

from __future__ import annotations

import asyncio
import gc
import gzip
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from upstream_world import (
    CHUNKED,
    END,
    Peer,
    asked,
    body_of,
    chunk,
    exchanged,
    http,
    opened,
    run,
    saying,
    serving,
    target,
    told_by,
    whole,
)

from gateway.backends import http_connection
from gateway.backends.http_connection import BUFFER_BYTES_MAX
from gateway.backends.http_upstream import HttpUpstream
from gateway.errors import ApiError, UpstreamFailed, UpstreamTooSlow
from gateway.forward import BrokenOff, Target

pytestmark = pytest.mark.usefixtures("each_loop")

REPLIES = {
    "of a length": whole(b"hello", b"content-type: text/plain\r\n"),
    "in chunks": CHUNKED + chunk(b"hel") + chunk(b"lo") + END,
}


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 — what nobody tells of
            await asyncio.sleep(0.005)


async def many(upstream: Any, to: Target, count: int) -> Counter[str]:
    """How exchanges end, one after the other: their body, or the code of their error."""
    ends: Counter[str] = Counter()
    for _ in range(count):
        try:
            ends[(await exchanged(upstream, to))[2].decode()] += 1
        except ApiError as error:
            ends[error.code or ""] += 1
    return ends


@pytest.mark.parametrize("said", REPLIES.values(), ids=REPLIES)
def test_a_reply_cut_at_any_byte_is_broken_off_and_the_next_one_is_whole(said: bytes) -> None:
    async def main() -> None:
        cuts = iter(range(len(said) + 1))

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(said[: next(cuts)])

        async with serving(script) as served, opened(http, 1) as upstream:
            for _ in range(len(said)):
                with pytest.raises(BrokenOff) as raised:
                    await exchanged(upstream, target(served.url))
                assert raised.value.code == "upstream_unreachable"
            assert (await exchanged(upstream, target(served.url)))[2] == b"hello"

    asyncio.run(main())


@pytest.mark.parametrize("said", REPLIES.values(), ids=REPLIES)
def test_a_reply_that_drips_byte_by_byte_is_whole_and_its_connection_is_kept(said: bytes) -> None:
    async def main() -> int:
        async def script(peer: Peer) -> None:
            while True:
                await peer.request()
                for at in range(len(said)):
                    await peer.say(said[at : at + 1])
                    await asyncio.sleep(0.0005)

        async with serving(script) as served, opened(http, 1) as upstream:
            assert await many(upstream, target(served.url), 3) == {"hello": 3}
            return served.connections

    assert asyncio.run(main()) == 1


@pytest.mark.parametrize("more", [b"\r\n", b"garbage", whole(b"not yours"), b"HTTP/1.1 2"])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "later"])
def test_what_follows_a_reply_is_never_the_answer_to_the_next_request(
    more: bytes, late: bool
) -> None:
    async def main() -> int:
        async def script(peer: Peer) -> None:
            while True:
                await peer.request()
                await peer.say(whole(b"yours") + (b"" if late else more))
                if late:
                    await asyncio.sleep(0.01)
                    await peer.say(more)

        async with serving(script) as served, opened(http, 1) as upstream:
            for _ in range(3):
                assert (await exchanged(upstream, target(served.url)))[2] == b"yours"
                await until(lambda: not upstream._pool._places)
            return served.connections

    assert asyncio.run(main()) == 3


def test_a_kept_connection_that_the_server_closed_is_not_used() -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(whole(b"ok"))

        async with serving(script) as served, opened(http, 1) as upstream:
            for _ in range(20):
                assert (await exchanged(upstream, target(served.url)))[2] == b"ok"
                await until(lambda: not upstream._pool._places)

    asyncio.run(main())


@pytest.mark.parametrize("closed", [False, True])
def test_a_kept_connection_closed_while_we_were_busy_is_not_used(closed: bool) -> None:
    async def main() -> None:
        connections: list[Any] = []

        async def script(peer: Peer) -> None:
            connections.append(peer.writer.get_extra_info("socket"))
            while True:
                await peer.request()
                await peer.say(whole(b"ok"))

        async with serving(script) as served, opened(http, 1) as upstream:
            await exchanged(upstream, target(served.url))
            if closed:
                with socket.socket(fileno=socket.dup(connections[0].fileno())) as server_end:
                    server_end.shutdown(socket.SHUT_WR)  # and no turn of the loop to hear of it
            assert (await exchanged(upstream, target(served.url)))[2] == b"ok"
            assert served.connections == 1 + closed

    asyncio.run(main())


@pytest.mark.parametrize(
    ("header", "kept"), [(b"", 1), (b"keep-alive: timeout=1\r\n", 0), (b"keep-alive: x\r\n", 1)]
)
def test_a_connection_that_nobody_uses_is_closed_in_time(
    header: bytes, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connection, "KEEP_ALIVE_SECONDS", 0.3)

    async def main() -> None:
        gone = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(whole(b"ok", header))
            await peer.gone()
            gone.set()

        async with serving(script) as served, opened(http, 1) as upstream:
            await exchanged(upstream, target(served.url))
            assert upstream._pool._places == kept
            await asyncio.wait_for(gone.wait(), 5)
            assert upstream._pool._places == 0

    asyncio.run(main())


def test_a_request_on_a_kept_connection_that_is_then_closed_is_not_sent_again() -> None:
    async def main() -> None:
        requests = 0

        async def script(peer: Peer) -> None:
            nonlocal requests
            await peer.request()
            await peer.say(whole(b"ok"))
            await peer.request()
            requests += 1

        async with serving(script) as served, opened(http, 1) as upstream:
            await exchanged(upstream, target(served.url))
            with pytest.raises(BrokenOff):
                await exchanged(upstream, target(served.url))
        assert (requests, served.connections) == (1, 1)

    asyncio.run(main())


def test_a_caller_may_be_cancelled_at_any_moment() -> None:
    """At each round of the loop in turn; the one place of the pool is free afterwards."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(CHUNKED + chunk(b"hel"))
            await peer.say(chunk(b"lo") + END)

    async def main() -> None:
        ended = Counter[str]()
        async with serving(script) as served, opened(http, 1) as upstream:
            named = target(served.url.replace("127.0.0.1", "localhost"))
            for rounds in range(120):
                fresh = rounds % 2 == 0  # with a connection to make, or one that is kept
                for kept in upstream._pool._kept.copy().values() if fresh else ():
                    kept[0].discard()
                task = asyncio.create_task(exchanged(upstream, named))
                for _ in range(rounds // 2):
                    await asyncio.sleep(0.0001 if rounds % 3 else 0)
                task.cancel()
                (end,) = await asyncio.gather(task, return_exceptions=True)
                ended[type(end).__name__] += 1
                async with asyncio.timeout(5):
                    assert (await exchanged(upstream, named))[2] == b"hello"
            assert ended.keys() <= {"CancelledError", "tuple"}
            assert ended["CancelledError"] > 4  # so many at least, however fast the exchange is
            assert len(upstream._pool._all) <= 1

    asyncio.run(main())


def test_hundreds_of_streams_with_cancellations_leave_nothing_behind() -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(CHUNKED)
            for _ in range(5):
                await peer.say(chunk(b"a" * 100))
                await asyncio.sleep(0)
            await peer.say(END)

    async def main() -> None:
        async with serving(script) as served, opened(http, 40) as upstream:
            to = target(served.url, connect=60, total=60)
            tasks = [asyncio.create_task(exchanged(upstream, to)) for _ in range(500)]
            for number, task in enumerate(tasks):
                if number % 3 == 0:
                    asyncio.get_running_loop().call_later(number / 2000, task.cancel)
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            kinds = Counter(type(end).__name__ for end in ends)
            assert kinds.keys() <= {"tuple", "CancelledError"}
            assert kinds["tuple"] >= 333
            assert all(len(end[2]) == 500 for end in ends if isinstance(end, tuple))
            pool = upstream._pool
            await until(lambda: pool._places == len(pool._all))
            kept = [one for kept in pool._kept.values() for one in kept]
            assert len(kept) == pool._places <= 40
            assert not pool._queue
        assert not pool._all
        gc.collect()  # a transport that was left open would warn

    asyncio.run(main())


def test_a_consumer_that_is_slow_holds_up_the_server_and_loses_nothing() -> None:
    async def main() -> None:
        said = 0

        async def script(peer: Peer) -> None:
            nonlocal said
            await peer.request()
            peer.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024
            )
            await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 60000000\r\n\r\n")
            for number in range(600):
                await peer.say(bytes([number % 256]) * 100_000)
                said += 100_000

        async with asked(http, script) as reply:
            before = -1
            while said != before:
                before = said
                await asyncio.sleep(0.2)
            assert 0 < said < 30_000_000, "it is held up"
            at = 0
            async for piece in reply.pieces:
                assert len(piece) <= 2 * BUFFER_BYTES_MAX
                expected = [at // 100_000 % 256, (at + len(piece) - 1) // 100_000 % 256]
                assert [piece[0], piece[-1]] == expected
                at += len(piece)
            assert at == 60_000_000

    asyncio.run(main())


@pytest.mark.parametrize("takes", [0, 100_000])
def test_an_answer_before_the_body_was_taken_is_told_though_the_server_closes(takes: int) -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        if takes:
            await peer._reader.readexactly(takes)
        await peer.say(b"HTTP/1.1 413 T\r\ncontent-length: 2\r\n\r\nno")

    async def main() -> None:
        async with asked(http, script, b"x" * 5_000_000) as reply:
            assert (reply.status, await body_of(reply)) == (413, b"no")

    for _ in range(10):
        asyncio.run(main())


def test_an_answer_that_refuses_ends_a_large_body() -> None:
    async def main() -> None:
        told = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.head()
            await peer.say(b"HTTP/1.1 413 T\r\ncontent-length: 4\r\n\r\nno")
            await told.wait()
            taken = 0
            with suppress(TimeoutError):
                while data := await asyncio.wait_for(peer._reader.read(1_000_000), 0.5):
                    taken += len(data)
            assert taken < 30_000_000
            await peer.say(b"no")

        async with asked(http, script, bytes(50_000_000)) as reply:
            told.set()
            assert (reply.status, await body_of(reply)) == (413, b"nono")

    asyncio.run(main())


def test_a_connection_with_half_a_request_is_not_used_again() -> None:
    async def main() -> None:
        async def script(peer: Peer) -> None:
            await peer.head()
            await peer.say(b"HTTP/1.1 413 T\r\ncontent-length: 2\r\n\r\nno")
            await peer.gone()

        async with serving(script) as served, opened(http, 1) as upstream:
            for _ in range(2):
                async with upstream.send(target(served.url), "/x", [], bytes(50_000_000)) as reply:
                    assert (reply.status, await body_of(reply)) == (413, b"no")
            assert served.connections == 2

    asyncio.run(main())


def test_a_large_body_goes_on_while_a_good_answer_has_begun() -> None:
    async def script(peer: Peer) -> None:
        await peer.head()
        await peer.say(CHUNKED + chunk(b"a"))
        await peer._reader.readexactly(5_000_000)
        await peer.say(chunk(b"b") + END)

    async def main() -> None:
        async with asked(http, script, b"x" * 5_000_000) as reply:
            assert await body_of(reply) == b"ab"

    asyncio.run(main())


def test_a_large_body_is_not_in_memory_twice() -> None:
    async def main() -> None:
        waits = asyncio.Event()

        async def stuck(peer: Peer) -> None:
            await peer.head()
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            waits.set()
            await asyncio.sleep(30)

        async with serving(stuck) as served, opened(http) as upstream:
            body = bytes(50_000_000)
            task = asyncio.create_task(_sent(upstream, target(served.url), body))
            await waits.wait()
            await asyncio.sleep(0.2)
            (connection,) = upstream._pool._all
            assert connection._transport.get_write_buffer_size() < 1_000_000
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


async def _sent(upstream: HttpUpstream, to: Target, body: bytes) -> None:
    async with upstream.send(to, "/x", [], body):
        pass


def test_closing_the_upstream_ends_what_runs_and_what_waits() -> None:
    async def main() -> None:
        async with serving(saying(b"", hold=True)) as served:
            upstream = http(1)
            tasks = [asyncio.create_task(exchanged(upstream, target(served.url))) for _ in range(3)]
            pool = upstream._pool
            await until(lambda: pool._all and len(pool._queue) == 2)
            await upstream.aclose()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(end) for end in ends] == [BrokenOff, UpstreamFailed, UpstreamFailed]
            with pytest.raises(UpstreamFailed):
                await exchanged(upstream, target(served.url))

    asyncio.run(main())


def test_each_wait_has_an_idle_time_of_its_own() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED)
        for _ in range(12):
            await asyncio.sleep(0.1)
            await peer.say(chunk(b"a"))
        await peer.say(END)

    assert run(http, script, idle=1)[2] == b"a" * 12


def test_a_consumer_that_is_slow_is_not_the_upstreams_fault() -> None:
    async def main() -> None:
        wanted = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(CHUNKED)
            await asyncio.sleep(0.05)
            await peer.say(chunk(b"a"))
            await wanted.wait()
            await peer.say(chunk(b"b") + END)

        async with serving(script) as served, opened(http, 1) as upstream:
            to = target(served.url, idle=0.5, total=20)
            async with upstream.send(to, "/x", [], b"{}") as reply:
                assert await anext(reply.pieces) == b"a"
                await asyncio.sleep(1)
                wanted.set()
                assert await body_of(reply) == b"b"

    asyncio.run(main())


def test_a_time_out_later_than_the_last_one_still_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "KEEP_ALIVE_SECONDS", 0.3)

    async def main() -> None:
        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(whole(b"ok"))
            await peer.request()
            await peer.gone()

        async with serving(script) as served, opened(http, 1) as upstream:
            await exchanged(upstream, target(served.url))
            with pytest.raises(UpstreamTooSlow) as raised:
                async with asyncio.timeout(10):
                    await exchanged(upstream, target(served.url, total=0.6))
            assert raised.value.code == "upstream_timeout"
            assert served.connections == 1

    asyncio.run(main())


def test_bytes_that_are_no_body_do_not_prolong_the_idle_time() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED + b"5;")
        for _ in range(1000):
            await peer.say(b"x")
            await asyncio.sleep(0.02)

    with pytest.raises(UpstreamTooSlow):
        run(http, script, idle=0.2, total=1000)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 2\r\n\r\nab", "invalid"),
        (whole(gzip.compress(b"hello", mtime=0)[:-1], b"content-encoding: gzip\r\n"), "invalid"),
        (CHUNKED + b"zz\r\n", "invalid"),
        (CHUNKED + chunk(b"a") + b"zz\r\n", "invalid"),
        (b"HTTP/1.1 101 S\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", "invalid"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "unreachable"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + whole(b"ok"), "reply"),
        (b"HTTP/1.1 204 N\r\n\r\n", "reply"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", "reply"),
    ],
)
def test_ends(said: bytes, code: str) -> None:
    assert code in asyncio.run(told_by(http, saying(said)))
