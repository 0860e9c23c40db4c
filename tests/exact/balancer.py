"""A load balancer as Kubernetes has it: connections are dealt out in turn, to those who say that
they are ready, and then left alone for as long as they live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from urllib.parse import urlsplit

from plant import DEADLINE_SECONDS, GatewayProcess

PROBE_SECONDS = 0.2  # between two looks at a replica
PIECE_BYTES = 65536


class Balancer:
    """`url` is where clients go. `refused` counts connections that no ready replica took."""

    def __init__(self, gateways: Sequence[GatewayProcess]) -> None:
        self._gateways = list(gateways)
        self._ready: set[int] = set()
        self._turn = 0
        self._looked = asyncio.Condition()
        self._open: set[asyncio.Task[None]] = set()
        self.refused = 0
        self.url = ""

    async def ready(self, *gateways: GatewayProcess) -> None:
        """Return once all of them were found ready."""
        wanted = {self._gateways.index(gateway) for gateway in gateways}
        async with asyncio.timeout(DEADLINE_SECONDS), self._looked:
            await self._looked.wait_for(lambda: wanted <= self._ready)

    async def probe(self, index: int) -> None:
        while True:
            status = await _status(self._gateways[index].ops_url)
            async with self._looked:
                (self._ready.add if status == 200 else self._ready.discard)(index)
                self._looked.notify_all()
            await asyncio.sleep(PROBE_SECONDS)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client, for all its requests."""
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        try:
            to = urlsplit(self._next())
            theirs, ours = await asyncio.open_connection(to.hostname, to.port)
        except (OSError, LookupError):
            self.refused += 1
            writer.transport.abort()
            return
        try:
            await asyncio.gather(_passed(reader, ours), _passed(theirs, writer))
        finally:
            ours.transport.abort()
            writer.transport.abort()

    def _next(self) -> str:
        """Raises LookupError where nobody is ready."""
        ready = sorted(self._ready)
        if not ready:
            raise LookupError
        self._turn += 1
        return self._gateways[ready[self._turn % len(ready)]].url

    async def close(self) -> None:
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)


@asynccontextmanager
async def balanced(gateways: Sequence[GatewayProcess]) -> AsyncIterator[Balancer]:
    balancer = Balancer(gateways)
    async with AsyncExitStack() as stack:
        probes = [asyncio.create_task(balancer.probe(n)) for n in range(len(gateways))]
        server = await asyncio.start_server(balancer.connected, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        balancer.url = f"http://{host}:{port}"
        for probe in probes:
            stack.callback(probe.cancel)
        stack.push_async_callback(balancer.close)
        stack.callback(server.close)
        yield balancer


async def _passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All bytes of one direction, and its end."""
    with suppress(OSError, RuntimeError):  # the latter where the other direction has closed it
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()


async def _status(ops_url: str) -> int:
    """Of /readyz; 0 where there is no answer."""
    to = urlsplit(ops_url)
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(to.hostname, to.port)
            try:
                writer.write(b"GET /readyz HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\r\n")
                line = await reader.readline()
            finally:
                writer.close()
            return int(line.split()[1]) if line else 0
    except (OSError, TimeoutError):
        return 0
