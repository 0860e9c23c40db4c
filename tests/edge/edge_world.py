"""A real server over a small app, and callers that speak to it byte by byte."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvloop

from gateway.edge.ending import Ending
from gateway.edge.peers import Peers
from gateway.edge.server import listen, operations, serve
from gateway.edge.tls import Tls, renewing
from gateway.settings import Settings

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


def settings_of(**changed: Any) -> Settings:
    return Settings(port=0, ops_port=0, **{"shutdown_grace_seconds": 1, **changed})


@dataclass
class Served:
    """Where the two ports are, what was asked, and what the server told."""

    port: int
    ops_port: int
    asked: list[str] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    turned_away: list[str] = field(default_factory=list)
    scopes: list[Any] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)


def serving(
    talk: Callable[[Served], Awaitable[None]],
    settings: Settings,
    tls: Callable[[], Tls | None] = lambda: None,
) -> None:
    """Run `talk` beside a server, on the event loop that the product uses."""

    async def main() -> None:
        api, ops, ending = listen("127.0.0.1", 0), listen("127.0.0.1", 0), Ending()
        served = Served(api.getsockname()[1], ops.getsockname()[1])

        async def app(scope: Any, receive: Any, send: Any) -> None:
            served.asked.append(f"{scope['method']} {scope['path']}")
            served.scopes.append(scope)
            await _answer(scope, receive, send, served)

        def refused(error: Any) -> Sequence[tuple[str, str]]:
            served.refused.append(error.status)
            return ()

        peers = Peers(settings, served.turned_away.append)
        ssl_of = tls()
        of_api, of_ops = (ssl_of.api, ssl_of.ops) if ssl_of else (None, None)
        async with renewing(ssl_of), operations(app, ops, settings, of_ops):
            server = asyncio.create_task(serve(app, api, settings, ending, refused, peers, of_api))
            try:
                await asyncio.sleep(0.01)
                await asyncio.wait_for(talk(served), 30)
            finally:
                served.go_on.set()
                ending.ask()
                await server
        assert peers.count == 0

    uvloop.run(main())


async def _answer(scope: Any, receive: Any, send: Any, served: Served) -> None:
    """`/wait` waits to be told, `/large/N` answers N bytes, everything else its body's length."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = str(size).encode()
    if scope["path"] == "/wait":
        await served.go_on.wait()
    elif scope["path"].startswith("/large/"):
        body = b"a" * int(scope["path"].removeprefix("/large/"))
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def dialled(
    port: int, tls: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    name = "localhost" if tls else None
    return await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)


async def said_to(port: int, *pieces: bytes, tls: ssl.SSLContext | None = None) -> bytes:
    """All that comes back until the server closes, or is silent for a while."""
    reader, writer = await dialled(port, tls)
    got = b""
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        while data := await asyncio.wait_for(reader.read(65536), 0.3):
            got += data
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return got


async def until_closed(reader: asyncio.StreamReader, seconds: float = 5) -> bytes:
    """The rest, once the server has closed; fails where it does not in time."""
    try:
        return await asyncio.wait_for(reader.read(), seconds)
    except ConnectionError:
        return b""


def statuses(answer: bytes) -> list[int]:
    parts = answer.split(b"HTTP/1.1 ")[1:]
    return [int(part[:3]) for part in parts if part[:3].isdigit()]


def error_of(answer: bytes) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]
    return error


async def eventually(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to that")
