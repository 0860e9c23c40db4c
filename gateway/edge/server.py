"""Listening: sockets bound early so that a taken port is a sentence, two uvicorn servers in one
loop, TLS where it is wanted, and an end that lets requests in work finish
(docs/operate/lifecycle.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from gateway.edge.ending import Ending, first_of
from gateway.edge.peers import Peers
from gateway.edge.protocol import Leaving, Refused, bounded_protocol, no_tags, stays
from gateway.settings import Settings

BACKLOG = 2048
UNREAD_SECONDS = HANDSHAKE_SECONDS = 10.0
TICKS_OF_A_SECOND = 10  # uvicorn looks around so often
LAST_WORDS_SECONDS = 5.0  # for what was cancelled to end its stream and post its entry
LOOK_SECONDS = 0.05


class CannotListen(OSError):
    """An address cannot be used; the message is a sentence that says why."""


def bind(host: str, port: int, reuse_port: bool = False) -> socket.socket:
    """A socket that is bound and does not listen yet: who comes is refused, and not kept waiting.
    With `reuse_port`, others may listen there, too. Raises CannotListen."""
    with _said(host, port):
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind(address[:2])
        except OSError:
            bound.close()
            raise
    bound.setblocking(False)
    return bound


def open_to_callers(bound: socket.socket) -> None:
    """From now on, who comes waits to be served. Raises CannotListen."""
    with _said(*bound.getsockname()[:2]):
        bound.listen(BACKLOG)


def listen(host: str, port: int, reuse_port: bool = False) -> socket.socket:
    """A socket that is bound and open. Raises CannotListen."""
    bound = bind(host, port, reuse_port)
    try:
        open_to_callers(bound)
    except CannotListen:
        bound.close()
        raise
    return bound


@contextlib.contextmanager
def _said(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or "it cannot be resolved").partition(" (while attempting")[0]
        raise CannotListen(
            f"cannot listen on {host}:{port}: {reason}. Choose another port or address."
        ) from None


def url_of(bound: socket.socket, scheme: str = "http") -> str:
    host, port = bound.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


class Server(uvicorn.Server):
    """uvicorn's server without its signal handlers, as one place of ours decides when to stop;
    `ready` is set once it listens. Closing a connection waits for its peer to read the rest, which
    uvicorn does without end, and this does for `unread_seconds`."""

    def __init__(
        self,
        config: uvicorn.Config,
        unread_seconds: float = UNREAD_SECONDS,
        tls: ssl.SSLContext | None = None,
        handshake_seconds: float = HANDSHAKE_SECONDS,
    ) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self._unread_seconds = unread_seconds
        self._tls = tls
        self._handshake_seconds = handshake_seconds
        self._closing: dict[Any, float] = {}

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {"backlog": BACKLOG}
        if self._tls is not None:
            options |= {"ssl": self._tls, "ssl_handshake_timeout": self._handshake_seconds}
        protocol: Any = self.config.http_protocol_class
        make = partial(protocol, config=self.config, server_state=self.server_state, app_state={})
        self.servers = [
            await loop.create_server(make, sock=one, **options) for one in sockets or ()
        ]
        self.started = True
        self.ready.set()

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS_OF_A_SECOND == 0:
            self._abort_unread(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    def _abort_unread(self, now: float) -> None:
        closing = [one for one in self.server_state.connections if one.transport.is_closing()]
        self._closing = {one: self._closing.get(one, now) for one in closing}
        for one, since in self._closing.items():
            if now - since > self._unread_seconds:
                one.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(
    app: ASGIApp,
    settings: Settings,
    peers: Peers,
    tls: ssl.SSLContext | None,
    refused: Refused = no_tags,
    leaving: Leaving = stays,
) -> Server:
    config = uvicorn.Config(
        app,
        http=bounded_protocol(settings, peers, refused, leaving),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_seconds,  # type: ignore[arg-type]
    )
    return Server(config, settings.write_timeout_seconds, tls, settings.header_timeout_seconds)


@asynccontextmanager
async def operations(
    app: ASGIApp, bound: socket.socket, settings: Settings, tls: ssl.SSLContext | None = None
) -> AsyncIterator[None]:
    """The operations port, served while inside: probes see the start and the whole end."""
    server = _server(app, settings, Peers(settings), tls)
    run = asyncio.create_task(server.serve([bound]))
    try:
        await first_of(run, server.ready)
        yield
    finally:
        _leave_all(server)
        server.should_exit = True
        await _ended(server, run)


async def serve(
    app: ASGIApp,
    bound: socket.socket,
    settings: Settings,
    ending: Ending,
    refused: Refused = no_tags,
    peers: Peers | None = None,
    tls: ssl.SSLContext | None = None,
) -> int:
    """Serve the API until its end is asked for; how many requests had to be cut then.

    First, every answer ends its connection, so that callers go elsewhere with the next. After
    `drain_seconds` nobody is let in any more, but on connections whose last answer could not say
    so, for as long again; requests in work have `shutdown_grace_seconds`, and are cancelled after
    that, or when the end is hurried. `refused` hears of heads that are, and `peers` are those of
    this port."""
    leaving = asyncio.Event()
    server = _server(app, settings, peers or Peers(settings), tls, refused, leaving.is_set)
    run = asyncio.create_task(server.serve([bound]))
    await first_of(run, ending.asked)
    leaving.set()
    for connection in list(server.server_state.connections):
        cast(Any, connection).leave()
    await first_of(run, ending.hurried, seconds=settings.drain_seconds)
    server.should_exit = True
    await first_of(run, ending.hurried, seconds=settings.shutdown_grace_seconds)
    _leave_all(server)
    cut = list(server.server_state.tasks)
    for task in cut:
        task.cancel()
    await _ended(server, run)
    return len(cut)


def _leave_all(server: Server) -> None:
    """What is in work ends its connection, and no connection waits for more."""
    for connection in list(server.server_state.connections):
        cast(Any, connection).end_with_answer()


async def _ended(server: Server, run: asyncio.Task[None]) -> None:
    """Wait for what still goes on, and for bytes on their way, but for nobody who does not read."""
    state = server.server_state
    for _ in range(round(LAST_WORDS_SECONDS / LOOK_SECONDS)):
        if run.done() or not (state.tasks or state.connections):
            break
        await asyncio.sleep(LOOK_SECONDS)
    server.force_exit = True
    await asyncio.wait({run}, timeout=LAST_WORDS_SECONDS)
    if not run.cancel():
        run.result()
