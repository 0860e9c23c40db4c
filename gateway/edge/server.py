"""Listening: sockets bound early so that a taken port is a sentence, two uvicorn servers in one
loop, and a stop that lets requests in work finish.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Iterator

import uvicorn
from starlette.types import ASGIApp

from gateway.edge.protocol import Refused, bounded_protocol, no_tags
from gateway.settings import Settings

BACKLOG = 2048
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


def url_of(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """uvicorn's server without its signal handlers, as one place of ours decides when to stop;
    `ready` is set once it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(app: ASGIApp, settings: Settings, refused: Refused = no_tags) -> Server:
    config = uvicorn.Config(
        app,
        http=bounded_protocol(settings.header_bytes_max, settings.header_timeout_seconds, refused),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_seconds,  # type: ignore[arg-type]
        timeout_graceful_shutdown=settings.shutdown_grace_seconds,  # type: ignore[arg-type]
    )
    return Server(config)


async def serve(
    api: tuple[ASGIApp, socket.socket],
    ops: tuple[ASGIApp, socket.socket],
    settings: Settings,
    stopped: Awaitable[None],
    refused: Refused = no_tags,
) -> None:
    """Serve both apps until `stopped` returns. Probes see the drain, as their port closes last.
    `refused` hears of heads that the API's port refuses."""
    api_server, ops_server = _server(api[0], settings, refused), _server(ops[0], settings)
    api_run = asyncio.create_task(api_server.serve([api[1]]))
    ops_run = asyncio.create_task(ops_server.serve([ops[1]]))
    ended = asyncio.ensure_future(stopped)
    await asyncio.wait({api_run, ops_run, ended}, return_when=asyncio.FIRST_COMPLETED)
    api_server.should_exit = True
    await api_run
    if cancelled := list(api_server.server_state.tasks):
        await asyncio.wait(cancelled, timeout=LAST_WORDS_SECONDS)
    ops_server.should_exit = True
    await ops_run
    ended.cancel()
