"""Serve the simulator: inside another program, or as the command's whole life."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TextIO

import uvicorn
from starlette.types import ASGIApp

from gateway.edge.server import Server, listen, url_of
from gateway.simulator.app import build_simulator
from gateway.simulator.options import Options

GRACE_SECONDS = 1
"""How long answers in work may go on after the end was asked for."""


class LineLog:
    """One JSON line for each note, written at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, note: dict[str, Any]) -> None:
        self._stream.write(json.dumps(note, ensure_ascii=True) + "\n")
        self._stream.flush()


@asynccontextmanager
async def running(app: ASGIApp, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve the app while inside, on its own port; yields the URL without a path.

    Raises OSError where the port cannot be had. Leaves logging and signals as they are."""
    listener = listen(host, port)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await server.ready.wait()
        yield url_of(listener)
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def embedded(log: Path, options: Options | None = None) -> AsyncIterator[str]:
    """The simulator inside a gateway, on a free port of loopback; yields its base URL with `/v1`.

    What it receives is appended to the file as JSON lines. Raises OSError."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as lines:
        app = build_simulator(options or Options(), LineLog(lines))
        async with running(app) as url:
            yield f"{url}/v1"
