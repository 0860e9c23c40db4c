"""The endpoint of every completion: one exchange, written out piece by piece.

An ASGI endpoint of our own: with Starlette's StreamingResponse a generator's `finally` has not run
when the response returns after the caller left.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.types import Receive, Scope, Send

from gateway.answer import Answer
from gateway.call import READ, Call
from gateway.edge.caller import Caller
from gateway.edge.replies import error_event
from gateway.edge.turn import WIRE
from gateway.errors import ApiError, ClientLeft, Unavailable
from gateway.exchange import exchange
from gateway.parts import Parts
from gateway.policy.policy import Endpoint


class Completions:
    """POST a request of one kind; JSON and streams alike."""

    def __init__(self, endpoint: Endpoint, parts: Parts) -> None:
        self._endpoint = endpoint
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        settings = self._parts.settings
        scope["state"]["exchanged"] = True
        caller = Caller(
            receive,
            send,
            body_bytes_max=settings.body_bytes_max,
            body_timeout_seconds=settings.body_timeout_seconds,
            write_timeout_seconds=settings.write_timeout_seconds,
            wire=scope.get("extensions", {}).get(WIRE),
        )
        answer: Answer | None = None
        try:
            async with exchange(self._call(scope, caller), self._parts) as answer:
                caller.streams = answer.streams
                await caller.begin(answer.status, answer.headers, scope["state"].get("tags"))
                if answer.body is not None and caller.is_ready():  # nothing to wait for
                    caller.give_soon(answer.body)
                else:
                    await self._write_out(answer, caller)
                await caller.end()
        except ClientLeft:
            return
        except asyncio.CancelledError:
            if not caller.left:
                await self._tell(caller, _stopping(), answer)
        except ApiError as error:
            await self._tell(caller, error)
        finally:
            caller.close()

    async def _write_out(self, answer: Answer, caller: Caller) -> None:
        async for piece in answer.pieces(caller):
            if caller.is_ready():
                caller.give_soon(piece)
            else:
                await caller.send({"type": "http.response.body", "body": piece, "more_body": True})

    async def _tell(self, caller: Caller, error: ApiError, cut: Answer | None = None) -> None:
        """As an answer, or as the last event of a stream that has begun, behind what it held back
        if it was `cut` by us. An answer of a known length that has begun can only be cut."""
        if not caller.started:
            raise error
        if caller.streams:
            body = error_event(error)
            with suppress(ApiError, asyncio.CancelledError):
                body = (await cut.held_back() if cut else b"") + body
            with suppress(ClientLeft, asyncio.CancelledError):
                await caller.send({"type": "http.response.body", "body": body})

    def _call(self, scope: Scope, caller: Caller) -> Call:
        state = scope["state"]
        return Call(
            state["request_id"],
            self._parts.clock(),
            self._endpoint,
            scope.get("path_params", {}).get("engine"),
            [
                (name, value.decode("latin-1"))
                for raw, value in scope["headers"]
                if (name := READ.get(raw)) is not None
            ],
            caller.body,
            caller.has_left,
            caller.keep_on,
            state.get("client", ""),
        )


def _stopping() -> ApiError:
    return Unavailable("The gateway is shutting down; the answer is not complete.", code="draining")
