"""The port Upstream: what every backend does with servers that behave, and with those that do not.

The servers are raw: they say scripted bytes over a socket of the loopback."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from upstream_world import (
    CHUNKED,
    END,
    UPSTREAMS,
    Peer,
    asked,
    body_of,
    chunk,
    exchanged,
    opened,
    run,
    saying,
    serving,
    target,
    told_by,
    whole,
)

from gateway.errors import UpstreamFailed, UpstreamTooSlow

pytestmark = pytest.mark.usefixtures("each_loop")


@pytest.fixture(params=UPSTREAMS, ids=lambda make: make.__name__)
def make(request: pytest.FixtureRequest) -> Callable[[int], Any]:
    return request.param  # type: ignore[no-any-return]


def test_sends_the_headers_and_the_body_it_was_given_and_nothing_else(make: Any) -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.say(whole(b"ok"))

    async def main() -> None:
        async with serving(script) as served, opened(make) as upstream:
            headers = [
                ("content-type", "application/json"),
                ("accept", "*/*"),
                ("accept-encoding", "identity"),
                ("user-agent", "me"),
                ("authorization", "Bearer sk-1"),
            ]
            async with upstream.send(
                target(served.url + "/"), "/chat/completions", headers, b'{"a":1}'
            ) as reply:
                assert [piece async for piece in reply.pieces] == [b"ok"]

    asyncio.run(main())
    ((head, body),) = seen
    first, *lines = head.decode().lower().strip().split("\r\n")
    assert first == "post /v1/chat/completions http/1.1"
    assert body == b'{"a":1}'
    assert {line.partition(":")[0] for line in lines} == {
        "host",
        "content-length",
        "content-type",
        "accept",
        "accept-encoding",
        "user-agent",
        "authorization",
    }
    assert "authorization: bearer sk-1" in lines


def test_without_headers_it_sends_only_what_http_needs(make: Any) -> None:
    heads: list[bytes] = []

    async def script(peer: Peer) -> None:
        heads.append((await peer.request())[0])
        await peer.say(whole(b"ok"))

    async def main() -> None:
        async with asked(make, script) as reply:
            assert await body_of(reply) == b"ok"

    asyncio.run(main())
    _, *lines = heads[0].decode().lower().strip().split("\r\n")
    assert {line.partition(":")[0] for line in lines} == {"host", "content-length"}


def test_a_large_body_arrives_whole_and_with_its_length(make: Any) -> None:
    sent, seen = bytes(range(256)) * 12_000, list[tuple[bytes, bytes]]()

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.say(whole(b"ok"))

    async def main() -> None:
        async with asked(make, script, sent) as reply:
            assert await body_of(reply) == b"ok"

    asyncio.run(main())
    assert seen[0][1] == sent
    assert b"chunked" not in seen[0][0].lower()


def test_tells_status_headers_in_lower_case_with_repeats_and_body(make: Any) -> None:
    async def main() -> None:
        answer = b"HTTP/1.1 418 T\r\nX-One: 1\r\nX-ONE: 2\r\ncontent-length: 3\r\n\r\nabc"
        async with asked(make, saying(answer)) as reply:
            assert reply.status == 418
            assert [value for name, value in reply.headers if name == "x-one"] == ["1", "2"]
            assert await body_of(reply) == b"abc"

    asyncio.run(main())


def test_each_piece_arrives_before_the_next_one_is_sent(make: Any) -> None:
    async def main() -> None:
        wanted = asyncio.Queue[None]()

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(CHUNKED)
            for data in (b"one", b"two", b"three"):
                await wanted.get()
                await peer.say(chunk(data))
            await peer.say(END)

        async with asked(make, script) as reply:
            pieces = aiter(reply.pieces)
            for data in (b"one", b"two", b"three"):
                wanted.put_nowait(None)
                assert await anext(pieces) == data
            assert [piece async for piece in pieces] == []

    asyncio.run(main())


def test_one_connection_serves_many_requests(make: Any) -> None:
    async def main() -> int:
        async def script(peer: Peer) -> None:
            while True:
                await peer.request()
                await peer.say(CHUNKED + chunk(b"ok") + END)

        async with serving(script) as served, opened(make) as upstream:
            for _ in range(5):
                assert (await exchanged(upstream, target(served.url)))[2] == b"ok"
            return served.connections

    assert asyncio.run(main()) == 1


@pytest.mark.parametrize("times", [{"connect": 0.1, "total": 1000}, {"connect": 9, "total": 0.1}])
def test_at_most_so_many_connections_and_a_full_pool_is_too_slow(make: Any, times: Any) -> None:
    async def main() -> None:
        script = saying(CHUNKED + chunk(b"a"), hold=True)
        async with serving(script) as served, opened(make, 1) as upstream:
            async with upstream.send(target(served.url), "/x", [], b"{}") as first:
                assert await anext(aiter(first.pieces)) == b"a"
                with pytest.raises(UpstreamTooSlow) as raised:
                    async with asyncio.timeout(20):
                        await exchanged(upstream, target(served.url, **times))
                assert raised.value.code == "upstream_unreachable", "nothing was sent"
            assert served.connections == 1

    asyncio.run(main())


def test_leaving_early_is_seen_by_the_server(make: Any) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(CHUNKED + chunk(b"a"))
            await peer.gone()
            gone.set()

        async with serving(script) as served, opened(make) as upstream:
            async with upstream.send(target(served.url), "/x", [], b"{}") as reply:
                assert await anext(aiter(reply.pieces)) == b"a"
            await asyncio.wait_for(gone.wait(), 5)

    asyncio.run(main())


@pytest.mark.parametrize("said", [b"", CHUNKED + chunk(b"a")], ids=["no answer yet", "in a body"])
def test_a_cancelled_caller_is_seen_by_the_server(make: Any, said: bytes) -> None:
    async def main() -> None:
        begun, gone = asyncio.Event(), asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(said)
            begun.set()
            await peer.gone()
            gone.set()

        async with serving(script) as served, opened(make) as upstream:
            task = asyncio.create_task(exchanged(upstream, target(served.url)))
            await asyncio.wait_for(begun.wait(), 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(gone.wait(), 5)

    asyncio.run(main())


def test_closing_the_upstream_closes_idle_connections(make: Any) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def script(peer: Peer) -> None:
            await peer.request()
            await peer.say(whole(b"ok"))
            await peer.gone()
            gone.set()

        async with serving(script) as served:
            async with opened(make) as upstream:
                await exchanged(upstream, target(served.url))
                assert not gone.is_set()
            await asyncio.wait_for(gone.wait(), 5)

    asyncio.run(main())


def test_nobody_listening_is_unreachable(make: Any) -> None:
    async def main() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound, and not listening
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            async with opened(make) as upstream:
                await exchanged(upstream, target(url))

    with pytest.raises(UpstreamFailed) as raised:
        asyncio.run(main())
    assert raised.value.code == "upstream_unreachable"


def test_a_base_url_that_is_none_is_unreachable(make: Any) -> None:
    async def main(url: str) -> None:
        async with opened(make) as upstream:
            await exchanged(upstream, target(url))

    for url in ("http://[", "http://127.0.0.1:99999999", "ftp://127.0.0.1", "nothing"):
        with pytest.raises(UpstreamFailed) as raised:
            asyncio.run(main(url))
        assert raised.value.code == "upstream_unreachable", url


def test_a_connection_that_is_never_accepted_is_too_slow(make: Any) -> None:
    async def main() -> None:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            address = full.getsockname()
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(address)
            try:
                url = f"http://127.0.0.1:{address[1]}"
                async with asyncio.timeout(20), opened(make) as upstream:
                    await exchanged(upstream, target(url, connect=0.2, total=1000))
            finally:
                for filler in fillers:
                    filler.close()

    with pytest.raises(UpstreamTooSlow) as raised:
        asyncio.run(main())
    assert raised.value.code == "upstream_unreachable"


def test_a_handshake_that_never_ends_is_too_slow_and_unreachable(make: Any) -> None:
    async def main() -> None:
        async with serving(Peer.gone) as served, opened(make) as upstream:
            url = served.url.replace("http:", "https:")
            await exchanged(upstream, target(url, connect=0.1))

    with pytest.raises(UpstreamTooSlow, match="No connection") as raised:
        asyncio.run(main())
    assert raised.value.code == "upstream_unreachable"


def test_no_answer_at_all_is_too_slow_after_the_total_time(make: Any) -> None:
    with pytest.raises(UpstreamTooSlow) as raised:
        run(make, saying(b"", hold=True), idle=0.05, total=0.2)
    assert raised.value.code == "upstream_timeout", "it was sent"


def test_the_idle_time_does_not_bound_the_wait_for_the_head(make: Any) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await asyncio.sleep(0.2)  # a long completion that is not streamed
        await peer.say(whole(b"ok"))

    assert run(make, script, idle=0.05)[2] == b"ok"


def test_a_pause_between_pieces_is_too_slow_after_the_idle_time(make: Any) -> None:
    with pytest.raises(UpstreamTooSlow) as raised:
        run(make, saying(CHUNKED + chunk(b"a"), hold=True), idle=0.1, total=1000)
    assert raised.value.code == "upstream_timeout"


def test_pieces_without_an_end_are_too_slow_after_the_total_time(make: Any) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED)
        while True:
            await peer.say(chunk(b"a"))
            await asyncio.sleep(0.01)

    with pytest.raises(UpstreamTooSlow):
        run(make, script, idle=1000, total=0.2)


GARBAGE = {
    "no status line": b"hello\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a status that is no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "a header without a name": b"HTTP/1.1 200 OK\r\n: x\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "a negative length": b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nab",
    "an endless header": b"HTTP/1.1 200 OK\r\nx: " + b"a" * 200_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("said", GARBAGE.values(), ids=GARBAGE)
def test_what_is_not_http_is_an_invalid_answer(make: Any, said: bytes) -> None:
    with pytest.raises(UpstreamFailed) as raised:
        run(make, saying(said, hold=True), total=2)
    assert raised.value.code == "upstream_invalid_answer"
    assert "SSH" not in raised.value.message


BROKEN = {
    "closed before the answer": b"",
    "closed in the status line": b"HTTP/1.1 2",
    "closed in the headers": b"HTTP/1.1 200 OK\r\ncontent-le",
    "closed in a body of known length": whole(b"abc").replace(b": 3", b": 30"),
    "closed in a chunk": CHUNKED + b"a\r\nabc",
    "closed between chunks": CHUNKED + chunk(b"abc"),
}


@pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_a_broken_connection_is_unreachable(make: Any, said: bytes, reset: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(said)
        if reset:
            linger = b"\x01\0\0\0\0\0\0\0"  # on, 0 seconds: close() sends RST
            sock = peer.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            peer.writer.transport.abort()

    with pytest.raises(UpstreamFailed) as raised:
        run(make, script)
    assert raised.value.code == "upstream_unreachable"


def test_pieces_before_the_break_are_told(make: Any) -> None:
    async def main() -> None:
        async with asked(make, saying(CHUNKED + chunk(b"abc"))) as reply:
            assert await anext(aiter(reply.pieces)) == b"abc"
            with pytest.raises(UpstreamFailed):
                await anext(aiter(reply.pieces))

    asyncio.run(main())


def test_a_compressed_body_is_decoded_though_nobody_asked_for_it(make: Any) -> None:
    packed = gzip.compress(b"hello")
    assert run(make, saying(whole(packed, b"content-encoding: gzip\r\n")))[2] == b"hello"


def test_a_body_that_only_says_it_is_compressed_is_an_invalid_answer(make: Any) -> None:
    with pytest.raises(UpstreamFailed) as raised:
        run(make, saying(whole(b"hello", b"content-encoding: gzip\r\n")))
    assert raised.value.code == "upstream_invalid_answer"


def test_a_redirect_is_told_and_not_followed(make: Any) -> None:
    answer = b"HTTP/1.1 307 T\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"
    status, headers, _ = run(make, saying(answer))
    assert (status, headers["location"]) == (307, "/elsewhere")


def test_cookies_are_not_kept(make: Any) -> None:
    heads: list[bytes] = []

    async def script(peer: Peer) -> None:
        while True:
            heads.append((await peer.request())[0])
            await peer.say(whole(b"ok", b"set-cookie: a=b; path=/\r\n"))

    async def main() -> None:
        async with serving(script) as served, opened(make) as upstream:
            named = target(served.url.replace("127.0.0.1", "localhost"))
            await exchanged(upstream, named)
            await exchanged(upstream, named)

    asyncio.run(main())
    assert len(heads) == 2
    assert not any(b"cookie" in head.lower() for head in heads)


def test_proxies_of_the_environment_are_not_used(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert run(make, saying(whole(b"ok")))[2] == b"ok"


def test_an_answer_before_the_body_was_taken_is_told(make: Any) -> None:
    async def main() -> int:
        async def script(peer: Peer) -> None:
            await peer.head()
            await peer.say(b"HTTP/1.1 413 T\r\ncontent-length: 2\r\n\r\nno")
            await peer.gone()

        async with asked(make, script, b"x" * 5_000_000) as reply:
            assert await body_of(reply) == b"no"
            return reply.status

    assert asyncio.run(main()) == 413


_LINES = st.sampled_from(
    [b"HTTP/1.1 200 OK\r\n", b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n", b"\r\n",
     b"5\r\n", b"hello", b"content-encoding: gzip\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"\n"]
)  # fmt: skip


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(_LINES | st.binary(max_size=20), max_size=8).map(b"".join))
def test_whatever_a_server_says_is_a_reply_or_an_error_of_ours(said: bytes) -> None:
    for make in UPSTREAMS:
        told = asyncio.run(told_by(make, saying(said)))
        assert told in {"a reply", "upstream_unreachable", "upstream_invalid_answer"}
