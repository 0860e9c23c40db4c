"""The outermost room: every answer has its request id, every failure is a JSON body, and every
request its entry, also where it never became an exchange.

The one place that catches everything: what is not an ApiError here is our own fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.edge.addresses import Clients
from gateway.edge.replies import decoded, encoded, send_error
from gateway.errors import ApiError, Failed, Unauthenticated
from gateway.logs.log import place_of
from gateway.parts import Parts
from gateway.request_id import new_request_id
from gateway.settled import record_costless
from gateway.usage.entry import Entry, Outcome


class Boundary:
    """Wraps the API. Sets `request_id` in the scope's state, and `tags`: whoever begins an answer
    without a message asks it, with the status, for the headers that are to be added. An endpoint
    sets `exchanged` where the exchange posts the entry, else what it knows of `endpoint` and
    `key`."""

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self._app = app
        self._parts = parts
        self._clients = Clients(parts.settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        parts = self._parts
        began, now = parts.stopwatch(), parts.clock()
        request_id = new_request_id(now, parts.id_bytes)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        status = 0

        def tags(begins_with: int) -> list[tuple[str, str]]:
            nonlocal status
            status = begins_with
            return tags_of(request_id, round((parts.stopwatch() - began) * 1000))

        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = encoded(tags(message["status"]))
                message["headers"] = [*message.get("headers", ()), *more]
            await send(message)

        state["tags"] = tags

        code = seat = ""
        try:
            seat = self._clients.enter(scope)
            await self._app(scope, receive, tagged)
        except ApiError as error:
            code = error.code or ""
            if isinstance(error, Unauthenticated) and error.key:
                state["key"] = error.key
            if not status:
                await send_error(tagged, error, now)
        except Exception as error:
            parts.log.error("failed", request_id=request_id, **place_of(error))
            if status:
                raise
            code = "internal_error"
            failure = Failed(
                f"The gateway failed. Its log tells more under {request_id}.", code=code
            )
            await send_error(tagged, failure, now)
        finally:
            if seat:
                self._clients.leave(seat)
            if not state.get("exchanged"):
                duration_ms = round((parts.stopwatch() - began) * 1000)
                entry = _entry(request_id, now, state, status, code, duration_ms)
                client = state.get("client", "")
                record_costless(entry, parts, decoded(scope["headers"]), client)


def tags_of(request_id: str, duration_ms: int) -> list[tuple[str, str]]:
    return [("x-request-id", request_id), ("openai-processing-ms", str(duration_ms))]


def refused_heads(parts: Parts) -> Callable[[ApiError], list[tuple[str, str]]]:
    """For a request that never became one, as its head was refused: an entry, and the tags of its
    answer."""

    def refused(error: ApiError) -> list[tuple[str, str]]:
        now = parts.clock()
        request_id = new_request_id(now, parts.id_bytes)
        entry = _entry(request_id, now, {}, error.status, error.code or "", 0)
        record_costless(entry, parts)
        return tags_of(request_id, 0)

    return refused


def _entry(
    request_id: str, now: float, state: Mapping[str, Any], status: int, code: str, duration_ms: int
) -> Entry:
    """`state` may hold `key`, of whoever proved to have one, and `endpoint`."""
    key = state.get("key")
    return Entry(
        id=request_id,
        time=now,
        organization=key.organization if key else "",
        project=key.project if key else "",
        key_id=key.id if key else "",
        endpoint=state.get("endpoint", ""),
        status=status,
        outcome=_outcome(status),
        code=code,
        duration_ms=duration_ms,
    )


def _outcome(status: int) -> Outcome:
    if 200 <= status < 400:
        return Outcome.OK
    return Outcome.FAILED if status in (0, 500) else Outcome.REFUSED
