"""What one connection, one address and all of them may take of the gateway, and for how long."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any

import pytest
from edge_world import (
    GET,
    Served,
    dialled,
    error_of,
    eventually,
    said_to,
    serving,
    settings_of,
    statuses,
    until_closed,
)

WAIT = b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("bound", "reason"),
    [
        ({"connections_max": 2}, "connections"),
        ({"connections_per_address_max": 2}, "connections_per_address"),
    ],
)
def test_a_connection_too_many_is_told_so_and_closed(bound: dict[str, int], reason: str) -> None:
    async def talk(served: Served) -> None:
        kept = [await dialled(served.port) for _ in range(2)]
        for reader, writer in kept:
            writer.write(GET)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        reader, writer = await dialled(served.port)
        got = await until_closed(reader)
        assert statuses(got) == [503]
        assert error_of(got)["code"] == "overloaded"
        writer.close()
        assert served.turned_away == [reason]
        assert served.refused == []  # nothing was asked, so nothing is written down
        assert statuses(await said_to(served.ops_port, GET)) == [200]  # probes have their own
        kept[0][1].close()
        await asyncio.sleep(0.05)
        assert statuses(await said_to(served.port, GET)) == [200]
        kept[1][1].close()

    serving(talk, settings_of(**bound))


def test_connections_of_a_trusted_proxy_are_not_those_of_one_caller() -> None:
    async def talk(served: Served) -> None:
        kept = [await dialled(served.port) for _ in range(5)]
        for reader, writer in kept:
            writer.write(GET)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            writer.close()

    serving(talk, settings_of(connections_per_address_max=2, trusted_proxies="127.0.0.0/8"))


def test_an_idle_connection_is_closed() -> None:
    async def talk(served: Served) -> None:
        reader, writer = await dialled(served.port)
        writer.write(GET)
        got = await until_closed(reader)
        assert statuses(got) == [200]
        writer.close()

    serving(talk, settings_of(keep_alive_seconds=0.2))


@pytest.mark.parametrize("dripped", [b"\r\n", b"\n"])
def test_empty_lines_do_not_keep_an_idle_connection_open(dripped: bytes) -> None:
    async def talk(served: Served) -> None:
        reader, writer = await dialled(served.port)
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n0")
        rest = asyncio.create_task(until_closed(reader))
        for _ in range(100):
            if rest.done():
                break
            writer.write(dripped)
            await asyncio.sleep(0.05)
        assert rest.done()
        writer.close()

    serving(talk, settings_of(keep_alive_seconds=0.5, header_timeout_seconds=0.3))


def test_requests_of_one_packet_are_answered_in_order() -> None:
    async def talk(served: Served) -> None:
        wanted = [f"GET /{number}" for number in range(5)]
        got = await said_to(
            served.port, b"".join(f"{one} HTTP/1.1\r\nhost: x\r\n\r\n".encode() for one in wanted)
        )
        assert statuses(got) == [200] * 5
        assert served.asked == wanted

    serving(talk, settings_of())


@pytest.mark.parametrize("most", [0, 3])
def test_so_many_requests_may_wait_on_a_connection_and_one_more_is_its_last(most: int) -> None:
    async def talk(served: Served) -> None:
        reader, writer = await dialled(served.port)
        writer.write(WAIT + GET * most)
        await eventually(lambda: served.asked == ["GET /wait"])
        await asyncio.sleep(0.05)
        assert served.refused == []
        served.go_on.set()
        got = await reader.readuntil(b"\r\n\r\n")
        for _ in range(most):
            got += await reader.readuntil(b"\r\n\r\n")
        assert statuses(got) == [200] * (1 + most)
        writer.close()

        served.go_on.clear()
        reader, writer = await dialled(served.port)
        writer.write(WAIT + GET * 5000)
        await eventually(lambda: served.refused == [400])
        served.go_on.set()
        got = await until_closed(reader)
        assert statuses(got) == [200] * (1 + most) + [400]
        assert got.index(b"\r\nconnection: close\r\n") > got.index(b"400 ")
        assert served.refused == [400]
        writer.close()

    serving(talk, settings_of(pipelined_max=most))


def test_half_a_head_behind_a_request_in_work_is_not_late_while_nobody_reads_it() -> None:
    async def talk(served: Served) -> None:
        reader, writer = await dialled(served.port)
        writer.write(WAIT + GET)
        await asyncio.sleep(0.05)
        writer.write(GET + b"GET /fourth HTTP/1.1\r\n")
        await asyncio.sleep(0.6)
        writer.write(b"host: x\r\n\r\n")
        served.go_on.set()
        got = b""
        while len(statuses(got)) < 4:
            got += await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert served.asked == ["GET /wait", "GET /", "GET /", "GET /fourth"]
        writer.close()

    serving(talk, settings_of(header_timeout_seconds=0.3))


@pytest.mark.parametrize(
    ("behind", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (GET + b"GET /never HTTP/1.1\r\n", 400),
        (b"GET /never HTTP/1.1\r\n", 408),
    ],
)
def test_an_answer_is_not_cut_by_the_time_of_what_came_behind_its_request(
    behind: bytes, status: int
) -> None:
    async def talk(served: Served) -> None:
        reader, writer = await dialled(served.port)
        writer.write(WAIT)
        await eventually(lambda: served.asked == ["GET /wait"])
        writer.write(behind)
        await asyncio.sleep(0.6)
        served.go_on.set()
        assert statuses(await until_closed(reader)) == [200, status]
        assert served.refused == [status]
        writer.close()

    serving(talk, settings_of(header_timeout_seconds=0.2, pipelined_max=0))


def test_what_follows_a_refusal_behind_a_long_answer_is_not_read_without_end() -> None:
    """Each byte would be thrown away, and cost a turn of the event loop."""

    async def talk(served: Served) -> None:
        reader, writer = await dialled(served.port)
        writer.write(WAIT + b"GARBAGE\r\n\r\n")
        await eventually(lambda: served.refused == [400])
        taken, piece = 0, b"a" * 65536
        with suppress(TimeoutError):
            while taken < 200 * 2**20:
                writer.write(piece)
                await asyncio.wait_for(writer.drain(), 0.5)
                taken += len(piece)
        assert taken < 50 * 2**20  # what the systems of both sides hold
        served.go_on.set()
        assert statuses(await reader.readuntil(b"\r\n\r\n")) == [200]
        writer.transport.abort()

    serving(talk, settings_of())


def test_a_caller_that_leaves_behind_a_refused_request_is_noticed() -> None:
    async def talk(served: Served) -> None:
        _, writer = await dialled(served.port)
        writer.write(WAIT + b"GARBAGE\r\n\r\n" + b"a" * 100_000)
        await eventually(lambda: served.refused == [400])
        turn = served.scopes[0]["extensions"]["gateway.wire"]
        assert not turn.is_gone
        writer.close()
        await eventually(lambda: turn.is_gone)

    serving(talk, settings_of())


def test_a_request_has_at_most_so_many_headers() -> None:
    async def talk(served: Served) -> None:
        for count, status in ((7, 200), (8, 431)):
            head = b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * count + b"\r\n"
            assert statuses(await said_to(served.port, head)) == [status]

    serving(talk, settings_of(headers_max=8))


def test_a_caller_that_does_not_read_its_answer_is_dropped_in_time() -> None:
    """All was written, and the connection is to be closed: what is left must not stay for ever."""

    async def talk(served: Served) -> None:
        with socket.socket() as caller:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            caller.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(caller, ("127.0.0.1", served.port))
            large = b"GET /large/30000000 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
            await loop.sock_sendall(caller, large)
            await eventually(lambda: served.asked != [])
            await asyncio.sleep(3)
            read = 0  # what the systems of both sides hold
            with suppress(ConnectionResetError):
                while data := await asyncio.wait_for(loop.sock_recv(caller, 2**20), 5):
                    read += len(data)
            assert read < 20_000_000

    serving(talk, settings_of(write_timeout_seconds=0.5))


def test_a_caller_that_reads_slowly_but_in_time_gets_everything() -> None:
    async def talk(served: Served) -> None:
        reader, writer = await dialled(served.port)
        writer.write(b"GET /large/3000000 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        got = 0
        while data := await reader.read(200_000):
            got += len(data)
            await asyncio.sleep(0.02)
        assert got > 3_000_000
        writer.close()

    serving(talk, settings_of(write_timeout_seconds=5))


def test_no_answer_tells_by_what_it_is_served() -> None:
    expect = b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n"

    async def talk(served: Served) -> None:
        for port in (served.port, served.ops_port):
            answers: list[Any] = [
                await said_to(port, GET),
                await said_to(port, b"HELO there\r\n\r\n"),
                await said_to(port, b"GET / HTTP/1.1\r\nx: " + b"a" * 70_000),
                await said_to(port, expect, b"a"),
                await said_to(port, b"TRACE / HTTP/1.1\r\nhost: x\r\ncookie: a\r\n\r\n"),
            ]
            assert [statuses(one)[0] for one in answers] == [200, 400, 431, 100, 200]
            for answer in answers:
                head = answer.lower()
                for word in (b"\r\nserver:", b"uvicorn", b"x-powered-by", b"python", b"cookie"):
                    assert word not in head

    serving(talk, settings_of())
