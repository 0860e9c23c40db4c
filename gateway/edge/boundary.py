"""The outermost room: every answer has its request id, every failure is a JSON body.

The one place that catches everything: what is not an ApiError here is our own fault.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.edge.replies import send_error
from gateway.errors import ApiError, Failed
from gateway.logs import place_of
from gateway.parts import Parts


class Boundary:
    """Wraps the API. Sets `scope["state"]["request_id"]`."""

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self._app = app
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts = self._parts
        began = parts.stopwatch()
        request_id = "req_" + parts.random_bytes(16).hex()
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def tagged(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                duration_ms = round((parts.stopwatch() - began) * 1000)
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", request_id.encode()),
                    (b"openai-processing-ms", str(duration_ms).encode()),
                ]
            await send(message)

        try:
            await self._app(scope, receive, tagged)
        except ApiError as error:
            if not started:
                await send_error(tagged, error, parts.clock())
        except Exception as error:
            parts.log.error("failed", request_id=request_id, **place_of(error))
            if started:
                raise
            failure = Failed(
                f"The gateway failed. Its log tells more under {request_id}.",
                code="internal_error",
            )
            await send_error(tagged, failure, parts.clock())
