"""The head of a request is bounded in size and in time; every refusal is a JSON body."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from starlette.types import ASGIApp

from gateway.edge.ending import Ending
from gateway.edge.server import CannotListen, listen, serve, url_of
from gateway.settings import Settings

SETTINGS = Settings(
    port=0, ops_port=0, header_bytes_max=2048, header_timeout_seconds=0.3, shutdown_grace_seconds=5
)


async def app(scope, receive, send):
    size, more = 0, True
    if scope["path"] != "/refuse-unread":
        while more:
            message = await receive()
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
    body = str(size).encode()
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})


def served(
    talk: Callable[[int], Awaitable[None]], settings: Settings = SETTINGS, app: ASGIApp = app
) -> None:
    async def run():
        api, ending = listen("127.0.0.1", 0), Ending()
        port = api.getsockname()[1]
        server = asyncio.create_task(serve(app, api, settings, ending))
        try:
            await talk(port)
        finally:
            ending.ask()
            await server

    asyncio.run(run())


async def answer_to(port: int, *pieces: bytes, wait_closed: bool = True) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    got = await asyncio.wait_for(reader.read() if wait_closed else reader.read(65536), 10)
    writer.close()
    return got


def error_of(answer: bytes) -> dict:
    return json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]


def test_a_usual_request_passes():
    async def talk(port):
        got = await answer_to(
            port, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc"
        )
        assert got.startswith(b"HTTP/1.1 200")
        assert got.endswith(b"\r\n\r\n3")

    served(talk)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\nx-bomb: " + b"a" * 5000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"x-many: 1\r\n" * 500 + b"\r\n",
        b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nx-endless: " + b"a" * 5000,
    ],
    ids=["one long header", "many headers", "long url", "never complete"],
)
def test_a_header_bomb_is_answered_with_431(head):
    async def talk(port):
        got = await answer_to(port, head)
        assert got.startswith(b"HTTP/1.1 431 ")
        assert "2048 bytes" in error_of(got)["message"]

    served(talk)


def test_a_large_body_in_the_same_packet_as_the_head_is_not_a_large_head():
    async def talk(port):
        body = b"a" * 20000
        head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 20000\r\nconnection: close\r\n\r\n"
        assert (await answer_to(port, head + body)).endswith(b"\r\n\r\n20000")

    served(talk)


def test_a_connection_on_which_nothing_is_asked_is_closed():
    async def talk(port):
        assert await answer_to(port) == b""

    served(talk)


@pytest.mark.parametrize("begin", [b"G", b"GET / HTTP/1.1\r\nhost: x\r\n"])
def test_a_head_that_never_ends_is_answered_with_408(begin):
    async def talk(port):
        got = await answer_to(port, begin)
        assert got.startswith(b"HTTP/1.1 408 ")
        assert "0.3 seconds" in error_of(got)["message"]

    served(talk)


@pytest.mark.parametrize("hosts", [b"", b"host: x\r\nHost: y\r\n", b"host: x\r\nhost: x\r\n"])
def test_a_request_has_one_host(hosts):
    async def talk(port):
        got = await answer_to(port, b"GET / HTTP/1.1\r\n" + hosts + b"\r\n")
        assert got.startswith(b"HTTP/1.1 400 ")
        assert "host header" in error_of(got)["message"]

    served(talk)


def test_a_request_of_http_1_0_may_have_no_host():
    async def talk(port):
        assert (await answer_to(port, b"GET / HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")

    served(talk)


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01", b"HELO there\r\n\r\n", b"{}\n"])
def test_what_is_not_http_is_answered_with_400_as_json(garbage):
    async def talk(port):
        got = await answer_to(port, garbage)
        assert got.startswith(b"HTTP/1.1 400 ")
        assert error_of(got)["type"] == "invalid_request_error"

    served(talk)


def test_a_connection_serves_several_requests_each_with_a_new_allowance():
    async def talk(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(5):
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nx-pad: " + b"a" * 1500 + b"\r\n\r\n")
            got = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n0"), 5)
            assert got.startswith(b"HTTP/1.1 200")
        writer.close()

    served(talk)


def test_an_answer_before_the_body_was_read_still_arrives():
    async def talk(port):
        got = await answer_to(
            port,
            b"POST /refuse-unread HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n",
            b"a" * 100_000,
            wait_closed=False,
        )
        assert got.startswith(b"HTTP/1.1 200")

    served(talk)


def test_a_taken_port_is_a_sentence():
    taken = listen("127.0.0.1", 0)
    port = taken.getsockname()[1]
    with pytest.raises(CannotListen, match=f"127.0.0.1:{port}.*Choose another port"):
        listen("127.0.0.1", port)
    taken.close()


def test_an_ipv6_url_has_its_brackets():
    try:
        bound = listen("::1", 0)
    except CannotListen:
        pytest.skip("no IPv6 here")
    assert url_of(bound) == f"http://[::1]:{bound.getsockname()[1]}"
    bound.close()


def test_trailers_are_bounded_like_a_head_and_thrown_away():
    async def talk(port):
        head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
        got = await answer_to(
            port, head + b"x-a: 1\r\nconnection: close\r\n\r\n", wait_closed=False
        )
        assert got.startswith(b"HTTP/1.1 200")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + b"x-1: aaaaaaaaaaaaaaaa\r\n" * 500)
        assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 431 ")
        writer.close()

    served(talk)


CHUNKED = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "endless",
    [
        [b"3;" + b"a" * 1000] + [b"a" * 1000] * 20,
        [b"1;" + b"a" * 300 + b"\r\nb\r\n"] * 20,
        [b"3\r\nabc\r\n0\r\nx-trailer: "] + [b"a" * 1000] * 20,
        [b'3;a="' + b"a" * 1000] + [b"a" * 1000] * 20,
    ],
    ids=["one extension", "many extensions", "one trailer", "a quoted extension"],
)
def test_what_chunks_carry_besides_the_body_is_bounded(endless):
    async def talk(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(CHUNKED)
        got = asyncio.create_task(reader.read())
        for piece in endless:
            await asyncio.sleep(0.01)
            writer.write(piece)
        assert (await asyncio.wait_for(got, 5)).startswith(b"HTTP/1.1 431 ")
        assert "extensions" in error_of(got.result())["message"]
        writer.close()

    served(talk)


@pytest.mark.parametrize("chunk", [b"1\r\na\r\n", b"00000001\r\na\r\n", b"1;n=v\r\na\r\n"])
def test_a_body_may_come_in_the_smallest_chunks(chunk):
    async def talk(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(CHUNKED)
        for _ in range(40):
            writer.write(chunk * 500)
            await asyncio.sleep(0.002)
        writer.write(b"0\r\n\r\n")
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n20000"), 5)).startswith(
            b"HTTP/1.1 200 "
        )
        writer.close()

    served(talk)


def test_an_offer_to_upgrade_is_ignored():
    async def talk(port):
        head = (
            b"POST / HTTP/1.1\r\nhost: x\r\nconnection: Upgrade, HTTP2-Settings\r\n"
            b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\ncontent-length: 3\r\n\r\n"
        )
        for pieces in ([head + b"abc"], [head, b"abc"]):
            got = await answer_to(port, *pieces, wait_closed=False)
            assert got.startswith(b"HTTP/1.1 200")
            assert got.endswith(b"\r\n\r\n3")

    served(talk)


@pytest.mark.parametrize(
    "line", [b"GET http://a:99999/ HTTP/1.1", b"GET http:///x HTTP/1.1", b"GET / HTTP/2.0"]
)
@pytest.mark.parametrize("offer", [b"", b"connection: upgrade\r\nupgrade: h2c\r\n"])
def test_a_request_line_that_means_nothing_is_refused_behind_the_answers_that_are_due(line, offer):
    async def talk(port):
        good, bad = (
            b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
            line + b"\r\nhost: x\r\n" + offer + b"\r\n",
        )
        for pieces, due in (([bad], 0), ([good + bad], 1), ([good, bad], 1)):
            got = await answer_to(port, *pieces)
            assert got.count(b"HTTP/1.1 200") == due
            assert got.count(b"HTTP/1.1 400") == 1

    served(talk)


def test_a_url_without_a_path_is_that_of_the_root():
    async def talk(port):
        got = await answer_to(port, b"GET http://a HTTP/1.1\r\nhost: a\r\n\r\n", wait_closed=False)
        assert got.startswith(b"HTTP/1.1 200")

    served(talk)


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4])
def test_what_a_body_says_of_an_upgrade_does_not_change_where_it_ends(cut):
    """However its head is cut: else the end of a body would be taken for another request."""

    async def talk(port):
        hidden = b"GET /hidden HTTP/1.1\r\nhost: xx\r\n\r\n"
        body = b"{}" + b"\r\nupgrade:" * (len(hidden) // 2) + hidden
        size = str(len(body)).encode()
        head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: " + size + b"\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head[: len(head) - cut])
        await asyncio.sleep(0.05)
        writer.write(head[len(head) - cut :] + body)
        await asyncio.sleep(0.2)
        got = await asyncio.wait_for(reader.read(65536), 5)
        assert got.count(b"HTTP/1.1") == 1
        assert got.endswith(b"\r\n\r\n" + size)
        writer.close()

    served(talk)


def test_trailers_take_no_room_from_the_next_head():
    async def talk(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
        writer.write(head + b"x-1: aaaaaaaaaaaaaaaa\r\n" * 80 + b"\r\n")
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n0"), 5)
        for piece in (b"GET / HTTP/1.1\r\nhost: x\r\n", b"a: " + b"b" * 1000, b"\r\n\r\n"):
            writer.write(piece)
            await asyncio.sleep(0.05)
        assert (await reader.read(65536)).startswith(b"HTTP/1.1 200 ")
        writer.close()

    served(talk)


@pytest.mark.parametrize("more", [b"\r\n", b"\r\n\r\n"])
def test_line_ends_do_not_keep_an_idle_connection_for_ever(more):
    async def talk(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n0"), 5)
        writer.write(more)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()

    served(talk, replace(SETTINGS, keep_alive_seconds=0.3))


def test_the_rest_of_a_body_that_was_answered_does_not_keep_its_connection_for_ever():
    async def talk(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /refuse-unread HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab")
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n0"), 5)
        writer.write(b"cd")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()

    served(talk, replace(SETTINGS, keep_alive_seconds=0.3))


def test_garbage_behind_a_request_in_work_is_answered_behind_its_answer():
    working, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        working.set()
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"two"})

    async def talk(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await working.wait()
        writer.write(b"GARBAGE\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)
        go_on.set()
        got = await asyncio.wait_for(reader.read(), 10)
        first, second = got.split(b"0\r\n\r\n", 1)
        assert first.startswith(b"HTTP/1.1 200 ")
        assert first.endswith(b"3\r\none\r\n3\r\ntwo\r\n")
        assert second.startswith(b"HTTP/1.1 400 ")
        writer.close()

    served(talk, app=slow)


def test_a_body_that_spoils_after_its_answer_began_does_not_keep_its_connection(monkeypatch):
    monkeypatch.setattr("gateway.edge.connection.LINGER_SECONDS", 0.1)
    working, go_on = asyncio.Event(), asyncio.Event()

    async def unread(scope, receive, send):
        length = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": b"o", "more_body": True})
        working.set()
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"k"})

    async def talk(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n")
        await working.wait()
        writer.write(b"x-1: aaaaaaaaaaaaaaaa\r\n" * 500 + b"\r\n")
        await asyncio.sleep(0.1)
        go_on.set()
        assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"\r\n\r\nok")
        writer.close()

    served(talk, app=unread)


def test_a_refused_head_is_told_and_its_answer_gets_the_headers_that_are_given():
    heard = []

    def refused(error):
        heard.append(error.status)
        return [("x-request-id", "req_1")]

    async def main():
        api, ending = listen("127.0.0.1", 0), Ending()
        server = asyncio.create_task(serve(app, api, SETTINGS, ending, refused))
        got = await answer_to(api.getsockname()[1], b"HELO there\r\n\r\n")
        assert b"\r\nx-request-id: req_1\r\n" in got
        assert error_of(got)["type"] == "invalid_request_error"
        ending.ask()
        await server

    asyncio.run(main())
    assert heard == [400]
