"""An answer as ASGI: the writes of a script in their time, for as long as the client is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Message, Receive, Scope, Send

from gateway.simulator.faults import Ending, Script

DISCONNECT = "http.disconnect"


@dataclass(frozen=True, slots=True)
class Listener:
    """Whom a play tells how far it came. `generated` hears of every write as it is sent."""

    generated: Callable[[int], None]
    left: Callable[[], None]


async def _until_left(receive: Receive) -> None:
    message: Message = await receive()
    while message["type"] != DISCONNECT:
        message = await receive()


@dataclass(frozen=True, slots=True)
class Play:
    """Sends the script; stops when the client leaves, and tells the listener.

    A script None is an answer that never comes. Times in seconds."""

    script: Script | None
    listener: Listener
    delay_seconds: float
    chunk_delay_seconds: float
    headers: tuple[tuple[str, str], ...]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = asyncio.ensure_future(_until_left(receive))
        sending = asyncio.ensure_future(self._send(send))
        try:
            await asyncio.wait((left, sending), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                self.listener.left()
        finally:
            left.cancel()
            sending.cancel()
            await asyncio.gather(left, sending, return_exceptions=True)
        if not sending.cancelled():
            sending.result()

    async def _send(self, send: Send) -> None:
        await asyncio.sleep(self.delay_seconds)
        script = self.script
        if script is None:
            await asyncio.Event().wait()
            return
        headers = [("content-type", script.content_type), *self.headers, *script.headers]
        if script.length is not None:
            headers.append(("content-length", str(script.length)))
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": script.status, "headers": raw})
        for number, write in enumerate(script.writes):
            await asyncio.sleep(self.chunk_delay_seconds if number else 0)
            self.listener.generated(write.tokens)
            await send({"type": "http.response.body", "body": write.data, "more_body": True})
        if script.ending == Ending.HANG:
            await asyncio.Event().wait()
        if script.ending == Ending.COMPLETE:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        # CUT: the answer is left open, at which the server breaks the connection.
