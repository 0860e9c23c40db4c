"""The URLs of the API, as a table."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.edge.boundary import Boundary
from gateway.edge.completions import Completions
from gateway.edge.models import Models
from gateway.errors import MethodNotAllowed, NotFound
from gateway.parts import Parts
from gateway.policy.policy import Endpoint


def build_api(parts: Parts) -> ASGIApp:
    """The API's ASGI app: everything that a caller's SDK talks to."""
    table: list[tuple[str, str, ASGIApp]] = [
        ("POST", "/v1/chat/completions", Completions(Endpoint.CHAT, parts)),
        ("POST", "/v1/completions", Completions(Endpoint.COMPLETIONS, parts)),
        ("POST", "/v1/engines/{engine:path}/completions", Completions(Endpoint.COMPLETIONS, parts)),
        ("POST", "/v1/embeddings", Completions(Endpoint.EMBEDDINGS, parts)),
        ("GET", "/v1/models", Models(parts)),
        ("GET", "/v1/models/{model:path}", Models(parts)),
    ]
    routes = [Route(path, endpoint=_Only(method, app)) for method, path, app in table]
    router = Router(routes, redirect_slashes=False, default=_unknown_url)
    return Boundary(
        _Found({(how, where): app for how, where, app in table if "{" not in where}, router), parts
    )


class _Found:
    """Finds the usual methods and URLs, those without a part of their own, by one look-up; all
    others by Starlette's router, which tries one pattern after the other."""

    def __init__(self, exact: Mapping[tuple[str, str], ASGIApp], router: ASGIApp) -> None:
        self._exact, self._router = exact, router

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        usual = None if scope.get("root_path") else (scope["method"], scope["path"])
        app = self._exact.get(usual) if usual is not None else None
        return (app or self._router)(scope, receive, send)


class _Only:
    """An endpoint that takes one method."""

    def __init__(self, method: str, app: ASGIApp) -> None:
        self._method = method
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["method"] != self._method:
            raise MethodNotAllowed(
                f"Not allowed to {scope['method']} on {scope['path']}. (HINT: use {self._method}.)"
            )
        return self._app(scope, receive, send)


async def _unknown_url(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    raise NotFound(f"Invalid URL ({scope['method']} {scope['path']})")
