"""Raw servers for tests of the port Upstream: they say scripted bytes over a socket."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from gateway.backends.http_upstream import HttpUpstream, trusted
from gateway.errors import ApiError
from gateway.forward import Reply, Target, Upstream


def http(connections_max: int) -> HttpUpstream:
    return HttpUpstream(connections_max, _trust())


@functools.cache
def _trust() -> ssl.SSLContext:
    return trusted()  # reading certificates takes longer than a test


UPSTREAMS: list[Callable[[int], Any]] = [http]
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def whole(body: bytes, extra: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n%scontent-length: %d\r\n\r\n%s" % (extra, len(body), body)


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def head(self) -> bytes:
        return await self._reader.readuntil(b"\r\n\r\n")

    async def request(self) -> tuple[bytes, bytes]:
        head = await self.head()
        names = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        lower = {name.lower(): value for name, value in names.items()}
        return head, await self._reader.readexactly(int(lower[b"content-length"]))

    async def say(self, data: bytes) -> None:
        if self.writer.is_closing():
            raise ConnectionResetError  # uvloop would raise a RuntimeError
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> None:
        """Returns when the other side has closed."""
        try:
            while await self._reader.read(65536):
                pass
        except ConnectionError:
            pass


Script = Callable[[Peer], Awaitable[None]]


class Served:
    def __init__(self) -> None:
        self.url = ""
        self.connections = 0
        self.failures: list[BaseException] = []


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[Served]:
    """A server that runs `script` once a connection; what it asserts is raised here."""
    served = Served()
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await script(Peer(reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except BaseException as error:
            served.failures.append(error)
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield served
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for failure in served.failures:
        raise failure


def target(url: str, connect: float = 5, idle: float = 5, total: float = 10) -> Target:
    return Target("main", url, "sk-upstream", connect, idle, total)


async def exchanged(upstream: Upstream, to: Target) -> tuple[int, dict[str, str], bytes]:
    async with upstream.send(to, "/x", [("content-type", "application/json")], b"{}") as reply:
        return reply.status, dict(reply.headers), await body_of(reply)


@asynccontextmanager
async def opened(make: Callable[[int], Any], connections_max: int = 10) -> AsyncIterator[Any]:
    upstream = make(connections_max)
    try:
        yield upstream
    finally:
        await upstream.aclose()


@asynccontextmanager
async def asked(
    make: Callable[[int], Any], script: Script, body: bytes = b"{}"
) -> AsyncIterator[Reply]:
    """The reply of a server that runs `script`, while it is open."""
    async with (
        serving(script) as served,
        opened(make) as upstream,
        upstream.send(target(served.url), "/x", [], body) as reply,
    ):
        yield reply


async def body_of(reply: Reply) -> bytes:
    return b"".join([piece async for piece in reply.pieces])


def run(make: Callable[[int], Any], script: Script, **times: float) -> tuple[int, Any, bytes]:
    """One exchange with a server that runs `script`."""

    async def main() -> tuple[int, Any, bytes]:
        async with serving(script) as served, opened(make) as upstream:
            async with asyncio.timeout(20):  # for a backend whose own time-outs do not work
                return await exchanged(upstream, target(served.url, **times))

    return asyncio.run(main())


def saying(data: bytes, *, hold: bool = False) -> Script:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(data)
        if hold:
            await peer.gone()

    return script


async def told_by(make: Callable[[int], Any], script: Script) -> str:
    try:
        async with asked(make, script) as reply:
            await body_of(reply)
    except ApiError as error:
        return error.code or "an error without a code"
    return "a reply"
