"""The operations port: /metrics, /livez, /readyz. No key, so it belongs on an inner address."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from gateway.metrics import CONTENT_TYPE
from gateway.parts import Parts

CHECK_SECONDS = 5.0


def build_ops(parts: Parts) -> ASGIApp:
    """The operations' ASGI app."""

    async def metrics(request: Request) -> Response:
        parts.meters.observe_journal(parts.journal.state(parts.clock()))
        return Response(parts.meters.exposition(), headers={"content-type": CONTENT_TYPE})

    async def livez(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        results = {name: await _result(check) for name, check in parts.checks.items()}
        ready = all(result == "ok" for result in results.values())
        body = {"status": "ok" if ready else "not ready"}
        if "verbose" in request.query_params or not ready:
            body |= results
        return JSONResponse(body, status_code=200 if ready else 503)

    endpoints = {"/metrics": metrics, "/livez": livez, "/readyz": readyz}
    return Router([Route(path, endpoint) for path, endpoint in endpoints.items()])


async def _result(check: Callable[[], Awaitable[str | None]]) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check() or "ok"
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS:g} seconds"
