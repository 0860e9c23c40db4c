"""One request and its answer: HTTP's rules for it, and who hears that a caller left."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop
from edge_world import GET, dialled, eventually, said_to, settings_of, until_closed

from gateway.edge.ending import Ending
from gateway.edge.server import listen, serve
from gateway.edge.turn import WIRE, Turn

App = Callable[[Any, Any, Any], Awaitable[None]]


def talking(app: App, talk: Callable[[int], Awaitable[None]], **changed: Any) -> None:
    async def main() -> None:
        api, ending = listen("127.0.0.1", 0), Ending()
        server = asyncio.create_task(serve(app, api, settings_of(**changed), ending))
        try:
            await asyncio.sleep(0.01)
            await asyncio.wait_for(talk(api.getsockname()[1]), 20)
        finally:
            ending.ask()
            await server

    uvloop.run(main())


def answering(*headers: tuple[bytes, bytes], body: bytes = b"abc", status: int = 200) -> App:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def test_an_answer_without_a_length_is_chunked() -> None:
    async def talk(port: int) -> None:
        got = await said_to(port, GET)
        assert b"\r\ntransfer-encoding: chunked\r\n" in got
        assert got.endswith(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n")

    talking(answering(), talk)


@pytest.mark.parametrize("headers", [(), ((b"content-length", b"3"),)])
def test_the_answer_to_head_has_no_body(headers: Any) -> None:
    async def talk(port: int) -> None:
        got = await said_to(port, GET.replace(b"GET", b"HEAD") * 2)
        assert got.count(b"HTTP/1.1 200 OK\r\n") == 2
        assert b"abc" not in got
        assert got.endswith(b"\r\n\r\n")

    talking(answering(*headers), talk)


def test_an_answer_without_content_has_no_frame() -> None:
    async def talk(port: int) -> None:
        got = await said_to(port, GET)
        assert got.startswith(b"HTTP/1.1 204 No Content\r\n")
        assert b"chunked" not in got
        assert got.endswith(b"\r\n\r\n")

    talking(answering(body=b"", status=204), talk)


def test_a_caller_that_waits_for_it_is_told_to_go_on() -> None:
    async def talk(port: int) -> None:
        reader, writer = await dialled(port)
        writer.write(
            b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
        )
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hi")
        assert (await reader.readuntil(b"0\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()

    talking(answering(), talk)


def test_a_caller_that_is_answered_before_it_may_go_on_has_to_connect_anew() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 413, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    async def talk(port: int) -> None:
        head = b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
        got = await said_to(port, head)
        assert got.startswith(b"HTTP/1.1 413 ")
        assert b"\r\nconnection: close\r\n" in got

    talking(app, talk)


def test_a_caller_of_http_1_0_is_not_told_to_go_on() -> None:
    async def talk(port: int) -> None:
        head = b"POST / HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
        assert (await said_to(port, head, b"hi")).startswith(b"HTTP/1.1 200 ")

    talking(answering(), talk)


def test_an_answer_without_a_length_ends_with_the_connection_in_http_1_0() -> None:
    async def talk(port: int) -> None:
        got = await said_to(port, b"GET / HTTP/1.0\r\nhost: x\r\n\r\n")
        assert b"transfer-encoding" not in got
        assert b"\r\nconnection: close\r\n" in got
        assert got.endswith(b"\r\n\r\nabc")

    talking(answering(), talk)


def test_http_1_0_and_close_end_the_connection() -> None:
    async def talk(port: int) -> None:
        for request in (
            b"GET / HTTP/1.0\r\nhost: x\r\n\r\n",
            b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        ):
            reader, writer = await dialled(port)
            writer.write(request)
            assert b"\r\nconnection: close\r\n" in await until_closed(reader)
            writer.close()

    talking(answering((b"content-length", b"3")), talk)


@pytest.mark.parametrize("length", [b"2", b"4"])
def test_an_answer_of_another_length_than_it_said_ends_the_connection(length: bytes) -> None:
    async def talk(port: int) -> None:
        reader, writer = await dialled(port)
        writer.write(GET)
        got = await until_closed(reader)
        assert len(got.partition(b"\r\n\r\n")[2]) != int(length)
        writer.close()

    talking(answering((b"content-length", length)), talk)


@pytest.mark.parametrize("value", [b"a\r\nx-b: c", b"a\nb", b"a\0b", b"a\x7f"])
def test_a_header_that_would_be_another_line_is_never_sent(value: bytes) -> None:
    async def talk(port: int) -> None:
        reader, writer = await dialled(port)
        writer.write(GET)
        got = await until_closed(reader)
        assert b"x-a" not in got
        writer.close()

    talking(answering((b"x-a", value)), talk)


def test_an_app_that_ends_without_an_answer_is_a_failure_of_ours() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    async def talk(port: int) -> None:
        reader, writer = await dialled(port)
        writer.write(GET)
        head, _, body = (await until_closed(reader)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
        assert json.loads(body)["error"]["code"] == "internal_error"
        writer.close()

    talking(app, talk)


@pytest.mark.parametrize("behind", [b"", GET])
def test_who_watches_hears_at_once_that_the_caller_left(behind: bytes) -> None:
    """Also where another request waits on the same connection."""
    left: list[str] = []
    working = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        wire = scope["extensions"][WIRE]
        gone = asyncio.Event()

        def hear() -> None:
            left.append(scope["path"])
            gone.set()

        wire.watch(hear)
        working.set()
        await gone.wait()
        assert (await receive())["type"] == "http.disconnect"
        assert not wire.is_ready()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def talk(port: int) -> None:
        _, writer = await dialled(port)
        writer.write(GET + behind)
        await working.wait()
        assert left == []
        writer.close()
        await eventually(lambda: left == ["/"])

    talking(app, talk)


def test_pieces_that_are_given_stand_among_those_that_are_sent() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        wire = scope["extensions"][WIRE]
        assert not wire.is_ready()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        assert wire.is_ready()
        wire.give(b"one")
        await send({"type": "http.response.body", "body": b"two", "more_body": True})
        wire.give(b"three")
        await send({"type": "http.response.body"})

    async def talk(port: int) -> None:
        got = await said_to(port, GET)
        assert got.endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n")

    talking(app, talk)


@pytest.mark.parametrize(
    ("pieces", "whole"),
    [((b"2\r\nhi\r\n0\r\n\r\n",), b"hi"), ((b"2\r\nhi\r\n", b"0\r\n\r\n"), None)],
)
def test_a_body_that_is_here_is_had_at_once_and_only_once(
    pieces: tuple[bytes, ...], whole: bytes | None
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        wire = scope["extensions"][WIRE]
        assert wire.whole_body() == whole
        assert wire.whole_body() is None
        if whole is None:
            message = await receive()
            assert message["body"] == b"hi"
            assert wire.whole_body() is None
        await send({"type": "http.response.start", "status": 200, "headers": []})
        wire.give(b"ok")
        wire.end()

    async def talk(port: int) -> None:
        head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        got = await said_to(port, head + pieces[0], *pieces[1:])
        assert got.endswith(b"\r\n\r\n2\r\nok\r\n0\r\n\r\n")

    talking(app, talk)


def test_a_wire_is_not_ready_while_its_caller_does_not_read() -> None:
    given = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal given
        await receive()
        wire = scope["extensions"][WIRE]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while wire.is_ready():
            wire.give(b"a" * 65536)
            given += 1
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"b"})

    async def talk(port: int) -> None:
        reader, writer = await dialled(port)
        writer.write(GET)
        await asyncio.sleep(0.2)
        got = await reader.readuntil(b"1\r\nb\r\n0\r\n\r\n") if given == 0 else b""
        while not got.endswith(b"1\r\nb\r\n0\r\n\r\n"):
            got = (got + await reader.read(65536))[-64:]
        assert given > 0
        writer.close()

    talking(app, talk)


def test_what_comes_after_the_end_of_a_connection_is_dropped() -> None:
    """A server's own closing is heard of a moment later."""
    seen: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        wire = scope["extensions"][WIRE]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        wire._link.transport.abort()
        seen.append(wire.is_ready())
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b"two"})
        seen.append(wire.is_complete)

    async def talk(port: int) -> None:
        reader, writer = await dialled(port)
        writer.write(GET)
        assert b"one" not in await until_closed(reader)
        writer.close()
        await eventually(lambda: seen == [False, False])

    talking(app, talk)


def test_a_turn_leaves_nothing_for_the_collector() -> None:
    async def talk(port: int) -> None:
        reader, writer = await dialled(port)

        async def ask() -> None:
            writer.write(GET)
            await reader.readuntil(b"0\r\n\r\n")

        await ask()
        gc.collect()
        gc.disable()
        try:
            for _ in range(50):
                await ask()
            assert gc.collect() < 50
        finally:
            gc.enable()
        writer.close()

    talking(answering(), talk)


def test_a_body_in_many_small_pieces_is_received_whole() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message["body"]), message["more_body"]
        await answering(body=str(size).encode())(scope, _nothing, send)

    async def talk(port: int) -> None:
        head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        got = await said_to(port, head + b"1\r\na\r\n" * 150_000 + b"0\r\n\r\n")
        assert b"\r\n150000\r\n" in got

    talking(app, talk)


async def _nothing() -> None:
    pass


class Wire:
    """A connection that keeps what is written, write by write."""

    is_writing_paused = False

    def __init__(self) -> None:
        self.transport: Any = self
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return False

    def default_lines(self) -> bytes:
        return b""

    def turn_is_over(self) -> None:
        self.written.append(b"over")


def turn_on(wire: Any) -> Turn:
    return Turn(wire, {"http_version": "1.1", "method": "POST"}, True, False)


def test_an_answer_of_one_piece_is_one_write() -> None:
    wire = Wire()
    turn = turn_on(wire)
    turn.begin(200, [("content-length", "3")])
    turn.give_soon(b"abc")
    turn.end()
    assert wire.written == [b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", b"over"]


def test_the_end_goes_out_with_the_last_piece_if_it_comes_at_once() -> None:
    async def main() -> None:
        wire = Wire()
        turn = turn_on(wire)
        turn.begin(200, [])
        turn.give_soon(b"one")
        assert wire.written[0].endswith(b"\r\n\r\n3\r\none\r\n")
        turn.give_soon(b"two")
        await asyncio.sleep(0)
        turn.give_soon(b"three")
        turn.give(b"four")
        turn.give_soon(b"last")
        turn.end()
        await asyncio.sleep(0)
        assert wire.written[1:] == [
            b"3\r\ntwo\r\n",
            b"5\r\nthree\r\n4\r\nfour\r\n",
            b"4\r\nlast\r\n0\r\n\r\n",
            b"over",
        ]

    asyncio.run(main())


def test_pieces_of_an_answer_of_a_known_length_are_not_chunked() -> None:
    wire = Wire()
    turn = turn_on(wire)
    turn.begin(200, [("content-length", "6")])
    turn.give_soon(b"abc")
    turn.give_soon(b"def")
    turn.end()
    assert b"".join(wire.written).endswith(b"\r\n\r\nabcdefover")


def test_a_head_without_an_end_goes_out_before_the_connection_is_closed() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def talk(port: int) -> None:
        reader, writer = await dialled(port)
        writer.write(GET)
        assert (await until_closed(reader)).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()

    talking(app, talk)
