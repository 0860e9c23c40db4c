"""The operations port: /metrics, /livez, /readyz, /counters. No key, so it belongs on an inner
address."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import (
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.errors import Unavailable
from gateway.meters.metrics import CONTENT_TYPE
from gateway.parts import Parts
from gateway.quota.ledger import CounterState
from gateway.scrape import look

CHECK_SECONDS = 5.0
COUNTERS_MAX = 100_000
LINES_AT_ONCE = 1000


class Opening:
    """What the operations port answers from the first moment on: this process lives, and is not
    ready. `open` puts the whole app in its place."""

    def __init__(self) -> None:
        self._waits_for = "starting"
        routes = [Route("/livez", _livez), Route("/readyz", self._not_ready)]
        self._app: ASGIApp = Router(routes, default=_starting)

    def wait_for(self, what: str) -> None:
        """Why it is not ready, as a sentence for people."""
        self._waits_for = what

    def open(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def _not_ready(self, request: Request) -> Response:
        return JSONResponse({"status": "not ready", "start": self._waits_for}, status_code=503)


async def _livez(request: Request) -> Response:
    """That the event loop turns, and nothing else: to start anew would help nothing else."""
    return PlainTextResponse("ok\n")


async def _starting(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("the gateway is starting\n", status_code=503)(scope, receive, send)


def build_ops(parts: Parts) -> ASGIApp:
    """The operations' ASGI app."""

    async def metrics(request: Request) -> Response:
        await look(parts)
        return Response(parts.meters.exposition(), headers={"content-type": CONTENT_TYPE})

    async def readyz(request: Request) -> Response:
        results = {name: await _result(check) for name, check in parts.checks.items()}
        ready = all(result == "ok" for result in results.values())
        body = {"status": "ok" if ready else "not ready"}
        if "verbose" in request.query_params or not ready:
            body |= results
        return JSONResponse(body, status_code=200 if ready else 503)

    async def counters(request: Request) -> Response:
        """What all calendar counters were; then all that they count is written, if that can be
        done in time: the head line says how many entries still wait."""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                found = await parts.ledger.counters()
        except (TimeoutError, Unavailable):
            return PlainTextResponse("the ledger cannot be asked\n", status_code=503)
        with suppress(TimeoutError, RuntimeError):  # a writer that has ended: `pending` tells
            async with asyncio.timeout(CHECK_SECONDS):
                await parts.journal.flush()
        state = parts.journal.state(parts.clock())
        head = {"counters": len(found), "pending": state.pending, "owed": parts.ledger.owed()}
        lines = _lines(head, found[:COUNTERS_MAX])
        return StreamingResponse(lines, media_type="application/jsonl")

    endpoints = {"/metrics": metrics, "/livez": _livez, "/readyz": readyz, "/counters": counters}
    return Router([Route(path, endpoint) for path, endpoint in endpoints.items()])


def _lines(head: dict[str, int], counters: Sequence[CounterState]) -> Iterator[bytes]:
    """JSON, a line each; many lines at once."""
    yield json.dumps(head).encode() + b"\n"
    for start in range(0, len(counters), LINES_AT_ONCE):
        some = counters[start : start + LINES_AT_ONCE]
        yield b"".join(json.dumps(_shown(one)).encode() + b"\n" for one in some)


def _shown(one: CounterState) -> dict[str, Any]:
    return {
        "subject": dict(one.subject),
        "measure": one.measure,
        "window": one.window,
        "since": one.since,
        "until": one.until,
        "used": one.used,
        "reserved": one.reserved,
    }


async def _result(check: Callable[[], Awaitable[str | None]]) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check() or "ok"
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} seconds"
