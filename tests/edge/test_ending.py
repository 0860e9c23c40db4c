"""The end of the API's port: told to every caller, then closed, and bounded whoever hangs on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.edge import server as edge_server
from gateway.edge.ending import Ending
from gateway.edge.server import bind, open_to_callers, operations, serve
from gateway.settings import Settings

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
ROOMY = {"drain_seconds": 30.0, "shutdown_grace_seconds": 30.0}
Talk = Callable[["World"], Awaitable[None]]


class World:
    """An API that answers when `go_on` is set, a stream at `/short` begun before that; the one at
    `/stream` is never done by itself."""

    def __init__(self) -> None:
        self.bound = bind("127.0.0.1", 0)
        self.address = self.bound.getsockname()
        self.ending = Ending()
        self.go_on = asyncio.Event()
        self.working = asyncio.Event()
        self.cancelled = 0
        self.server: asyncio.Task[int] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        begun = {"type": "http.response.start", "status": 200, "headers": []}
        try:
            if scope["path"] == "/stream":
                await send(begun)
                self.working.set()
                while True:
                    await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": 1})
                    await asyncio.sleep(0.01)
            if scope["path"] == "/short":
                await send(begun)
            self.working.set()
            await self.go_on.wait()
            if scope["path"] != "/short":
                await send(begun)
            await send({"type": "http.response.body", "body": b"done"})
        except asyncio.CancelledError:
            self.cancelled += 1
            await send({"type": "http.response.body", "body": b"last words"})

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.address)

    async def ended(self) -> int:
        assert self.server is not None
        return await asyncio.wait_for(self.server, 20)


def ending(talk: Talk, **settings: float) -> None:
    async def main() -> None:
        world = World()
        open_to_callers(world.bound)
        told: Any = {**ROOMY, **settings}
        world.server = asyncio.create_task(
            serve(world, world.bound, Settings(**told), world.ending)
        )
        await talk(world)
        world.ending.interrupt()
        world.ending.interrupt()
        await world.ended()

    asyncio.run(main())


async def answer(reader: asyncio.StreamReader) -> bytes:
    """Head and body, up to the end of the chunked body."""
    return await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 10)


def test_a_kept_connection_is_told_to_go_elsewhere_once_the_end_was_asked_for() -> None:
    async def talk(world: World) -> None:
        reader, writer = await world.connect()
        world.go_on.set()
        writer.write(GET)
        assert b"connection: close" not in await answer(reader)
        world.ending.ask()
        await asyncio.sleep(0)
        writer.write(GET)
        assert b"\r\nconnection: close\r\n" in await answer(reader)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()

    ending(talk)


def test_what_was_in_work_as_the_end_was_asked_for_ends_its_connection_too() -> None:
    async def talk(world: World) -> None:
        reader, writer = await world.connect()
        writer.write(GET)
        await world.working.wait()
        world.ending.ask()
        await asyncio.sleep(0.05)
        world.go_on.set()
        assert b"\r\nconnection: close\r\n" in await answer(reader)
        writer.close()

    ending(talk)


def test_who_has_not_heard_of_the_end_is_served_until_the_drain_is_over() -> None:
    async def talk(world: World) -> None:
        assert world.server is not None
        world.go_on.set()
        world.ending.ask()
        await asyncio.sleep(0.05)
        reader, writer = await world.connect()
        writer.write(GET)
        assert (await answer(reader)).startswith(b"HTTP/1.1 200")
        writer.close()
        assert await world.ended() == 0
        with pytest.raises(OSError, match="onnect"):
            await world.connect()

    ending(talk, drain_seconds=0.5)


def test_a_stream_that_outlives_the_drain_leaves_time_for_the_request_that_is_on_its_way() -> None:
    async def talk(world: World) -> None:
        assert world.server is not None
        reader, writer = await world.connect()
        writer.write(GET.replace(b"/", b"/short", 1))
        await world.working.wait()
        world.ending.ask()
        await asyncio.sleep(0.8)
        world.go_on.set()
        assert b"connection: close" not in await answer(reader)
        await asyncio.sleep(0.2)
        writer.write(GET)
        assert b"\r\nconnection: close\r\n" in await answer(reader)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        assert await world.ended() == 0
        writer.close()

    ending(talk, drain_seconds=0.6)


def test_a_stream_that_ended_in_the_drain_has_its_connection_for_as_long_again() -> None:
    async def talk(world: World) -> None:
        clock = asyncio.get_running_loop().time
        reader, writer = await world.connect()
        writer.write(GET.replace(b"/", b"/short", 1))
        await world.working.wait()
        asked = clock()
        world.ending.ask()
        await asyncio.sleep(0.5)
        world.go_on.set()
        await answer(reader)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        assert clock() - asked >= 0.5 + 0.9  # and not at the end of the drain
        assert await world.ended() == 0
        writer.close()

    ending(talk, drain_seconds=1.0)


def test_the_operations_port_waits_for_no_connection_that_is_kept() -> None:
    async def main() -> None:
        world, clock = World(), asyncio.get_running_loop().time
        world.go_on.set()
        async with operations(world, world.bound, Settings(drain_seconds=30.0)):
            reader, writer = await world.connect()
            writer.write(GET)
            await answer(reader)
            began = clock()
        assert clock() - began < edge_server.LAST_WORDS_SECONDS / 2
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()

    asyncio.run(main())


def test_what_outlives_the_grace_is_cancelled_has_its_last_words_and_is_counted() -> None:
    async def talk(world: World) -> None:
        reader, writer = await world.connect()
        writer.write(GET)
        await world.working.wait()
        world.ending.ask()
        with pytest.raises(asyncio.IncompleteReadError):
            await answer(reader)
        assert (await world.ended(), world.cancelled) == (1, 1)
        writer.close()

    ending(talk, drain_seconds=0, shutdown_grace_seconds=0.1)


@pytest.mark.parametrize("wait_in", ["drain_seconds", "shutdown_grace_seconds"])
def test_a_hurried_end_waits_for_nobody(wait_in: str) -> None:
    async def talk(world: World) -> None:
        reader, writer = await world.connect()
        writer.write(GET.replace(b"/", b"/stream", 1))
        await world.working.wait()
        world.ending.interrupt()
        await asyncio.sleep(0.3)
        assert world.cancelled == 0
        world.ending.interrupt()
        told = await asyncio.wait_for(reader.read(), 10)
        assert b"last words" in told
        assert await world.ended() == 1
        writer.close()

    ending(talk, **{"drain_seconds": 0.0, "shutdown_grace_seconds": 0.0, wait_in: 3600.0})


def test_asked_twice_is_not_hurried() -> None:
    twice = Ending()
    twice.ask()
    twice.ask()
    assert not twice.hurried.is_set()


def test_a_caller_that_never_reads_does_not_hold_the_end_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(edge_server, "LAST_WORDS_SECONDS", 0.5)

    async def talk(world: World) -> None:
        _, writer = await world.connect()
        writer.transport.pause_reading()
        writer.write(GET.replace(b"/", b"/stream", 1))
        await asyncio.sleep(0.5)
        world.ending.ask()
        assert await world.ended() == 1
        writer.transport.abort()

    ending(talk, drain_seconds=0, shutdown_grace_seconds=0.1)


def test_a_port_that_is_bound_only_refuses_who_comes_and_keeps_nobody_waiting() -> None:
    async def main() -> None:
        bound = bind("127.0.0.1", 0)
        with pytest.raises(OSError, match="onnect"):
            await asyncio.open_connection(*bound.getsockname())
        bound.close()

    asyncio.run(main())


def test_a_start_is_left_as_soon_as_the_end_is_asked_for() -> None:
    async def main() -> list[str]:
        ending, seen = Ending(), []
        asyncio.get_running_loop().call_later(0.01, ending.ask)
        async with ending.unless_asked():
            await asyncio.sleep(3600)
            seen.append("went on")
        await asyncio.sleep(0)
        return seen

    assert asyncio.run(main()) == []


def test_a_start_that_is_cancelled_by_somebody_else_is_cancelled() -> None:
    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_soon(task.cancel)
        async with Ending().unless_asked():
            await asyncio.sleep(3600)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
