"""Listening: sockets bound early so that a taken port is a sentence, two uvicorn servers in one
loop, TLS where it is wanted, and a stop that lets requests in work finish.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Iterator
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from gateway.edge.peers import Peers
from gateway.edge.protocol import Refused, bounded_protocol, no_tags
from gateway.edge.tls import Tls
from gateway.settings import Settings

BACKLOG = 2048
UNREAD_SECONDS = HANDSHAKE_SECONDS = 10.0
TICKS_OF_A_SECOND = 10  # uvicorn looks around so often
LAST_WORDS_SECONDS = 5.0  # for what was cancelled to end its stream and post its entry


class CannotListen(OSError):
    """An address cannot be used; the message is a sentence that says why."""


def listen(host: str, port: int, reuse_port: bool = False) -> socket.socket:
    """A bound socket; with `reuse_port`, others may listen there, too. Raises CannotListen."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        bound = socket.create_server(
            address[:2], family=family, backlog=BACKLOG, reuse_port=reuse_port
        )
    except OSError as error:
        reason = (error.strerror or "it cannot be resolved").partition(" (while attempting")[0]
        raise CannotListen(
            f"cannot listen on {host}:{port}: {reason}. Choose another port or address."
        ) from None
    bound.setblocking(False)
    return bound


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
    refused: Refused = no_tags,
    tls: ssl.SSLContext | None = None,
) -> Server:
    config = uvicorn.Config(
        app,
        http=bounded_protocol(settings, peers, refused),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_seconds,  # type: ignore[arg-type]
        timeout_graceful_shutdown=settings.shutdown_grace_seconds,  # type: ignore[arg-type]
    )
    return Server(config, settings.write_timeout_seconds, tls, settings.header_timeout_seconds)


async def serve(
    api: tuple[ASGIApp, socket.socket],
    ops: tuple[ASGIApp, socket.socket],
    settings: Settings,
    stopped: Awaitable[None],
    refused: Refused = no_tags,
    peers: Peers | None = None,
    tls: Tls | None = None,
) -> None:
    """Serve both apps until `stopped` returns. Probes see the drain, as their port closes last.
    `refused` hears of heads that the API's port refuses, `peers` are those of that port."""
    api_tls, ops_tls = (tls.api, tls.ops) if tls else (None, None)
    api_server = _server(api[0], settings, peers or Peers(settings), refused, api_tls)
    ops_server = _server(ops[0], settings, Peers(settings), tls=ops_tls)
    api_run = asyncio.create_task(api_server.serve([api[1]]))
    ops_run = asyncio.create_task(ops_server.serve([ops[1]]))
    ended = asyncio.ensure_future(stopped)
    renewals = asyncio.create_task(tls.follow()) if tls else None
    await asyncio.wait({api_run, ops_run, ended}, return_when=asyncio.FIRST_COMPLETED)
    api_server.should_exit = True
    await api_run
    if cancelled := list(api_server.server_state.tasks):
        await asyncio.wait(cancelled, timeout=LAST_WORDS_SECONDS)
    ops_server.should_exit = True
    await ops_run
    ended.cancel()
    if renewals is not None:
        renewals.cancel()
