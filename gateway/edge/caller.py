"""The caller's side of one exchange: its body, its patience, and the news that it left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from starlette.types import Message, Receive, Send

from gateway.edge.replies import Headers, encoded
from gateway.errors import ClientLeft, TooLarge, TooSlow
from gateway.waiting import Waits

T = TypeVar("T")


class Wire(Protocol):
    """A server that can be spoken to without ASGI's messages (`turn.py`)."""

    def can_begin(self) -> bool: ...
    def begin(self, status: int, headers: Sequence[tuple[str, str]]) -> None: ...
    def is_ready(self) -> bool: ...
    def give(self, piece: bytes) -> None: ...
    def give_soon(self, piece: bytes) -> None: ...
    def end(self) -> None: ...
    def whole_body(self) -> bytes | None: ...
    def declared_bytes(self) -> int: ...
    def watch(self, left: Callable[[], None]) -> None: ...
    def unwatch(self) -> None: ...


class Caller:
    """Reads one request body, then watches for the caller to leave. Where there is a `wire`, it
    tells that without a task of ours, and takes pieces of the answer while it `is_ready`.

    From the end of the body on, a caller that leaves cancels the task that read the body. `close`
    must be called when the exchange is over. After `keep_on`, the task is left alone, and what is
    sent to a caller that left is dropped."""

    def __init__(
        self,
        receive: Receive,
        send: Send,
        *,
        body_bytes_max: int,
        body_timeout_seconds: float,
        write_timeout_seconds: float,
        wire: Wire | None = None,
    ) -> None:
        self.left = False
        self.started = False  # the answer's head is on its way
        self.streams = False  # and what follows are events
        self._keeps_on = False
        self._receive = receive
        self._send = send
        self._body_bytes_max = body_bytes_max
        self._body_timeout_seconds = body_timeout_seconds
        self._write_timeout_seconds = write_timeout_seconds
        self._waits: Waits | None = None  # where there was something to wait for
        self._wire = wire
        self._task: asyncio.Task[object] | None = None
        self._watch: asyncio.Task[None] | None = None

    def has_left(self) -> bool:
        return self.left

    def keep_on(self) -> None:
        self._keeps_on = True

    async def body(self) -> bytes:
        """The whole body. Raises TooLarge, TooSlow or ClientLeft."""
        here = self._wire.whole_body() if self._wire is not None else None
        body = await self._awaited_body() if here is None else self._bounded(here, len(here))
        self._task = asyncio.current_task()
        if self._wire is not None:
            self._wire.watch(self._is_leaving)
        else:
            self._watch = asyncio.create_task(self._until_left())
        return body

    async def _awaited_body(self) -> bytes:
        """Nothing is read, nor does a caller hear that it may go on (RFC 9110, 10.1.1), of a body
        that says itself that it is too large."""
        if self._wire is not None:
            self._bounded(b"", self._wire.declared_bytes())
        try:
            return await self._within(self._body_timeout_seconds, self._read())
        except TimeoutError:
            raise TooSlow(
                f"The request's body was not complete after {self._body_timeout_seconds:g} seconds."
            ) from None

    async def begin(
        self,
        status: int,
        headers: Sequence[tuple[str, str]],
        tags: Callable[[int], Headers] | None,
    ) -> None:
        """The answer begins, with the `tags` that the boundary has for its status."""
        wire = self._wire
        if wire is not None and tags is not None and not self.left and wire.can_begin():
            self.started = True
            wire.begin(status, [*headers, *tags(status)])
            return
        await self.send(
            {"type": "http.response.start", "status": status, "headers": encoded(headers)}
        )

    def is_ready(self) -> bool:
        """Whether a piece of the answer can be given, and need not wait."""
        return self._wire is not None and not self.left and self._wire.is_ready()

    def give(self, piece: bytes) -> None:
        assert self._wire is not None
        self._wire.give(piece)

    def give_soon(self, piece: bytes) -> None:
        """As `give`, where the answer may be at its end."""
        assert self._wire is not None
        self._wire.give_soon(piece)

    async def end(self) -> None:
        """The answer is complete."""
        if self.is_ready():
            assert self._wire is not None
            self._wire.end()
        else:
            await self.send({"type": "http.response.body", "body": b""})

    async def send(self, message: Message) -> None:
        """Send a part of the answer; a caller that takes nothing for too long counts as gone."""
        self.started = True
        if self.left and self._keeps_on:
            return
        try:
            await self._within(self._write_timeout_seconds, self._send(message))
        except TimeoutError:
            self.left = True
            if not self._keeps_on:
                raise ClientLeft from None

    def close(self) -> None:
        """Watch no more. Nobody is cancelled from here on."""
        if self._waits is not None:
            self._waits.close()
        if self._wire is not None:
            self._wire.unwatch()
        if self._watch is not None:
            self._watch.cancel()

    def _within(self, seconds: float, work: Awaitable[T]) -> Awaitable[T]:
        if self._waits is None:
            self._waits = Waits()
        return self._waits.within(seconds, work)

    async def _read(self) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.left = True
                raise ClientLeft
            piece = message.get("body", b"")
            size += len(piece)
            pieces.append(self._bounded(piece, size))
            if not message.get("more_body", False):
                return b"".join(pieces)

    def _bounded(self, piece: bytes, size: int) -> bytes:
        """A piece of the body, with which that has `size`."""
        if size > self._body_bytes_max:
            raise TooLarge(
                f"The request's body is larger than the {self._body_bytes_max} bytes that this "
                "gateway takes. Send less at once, or have GATEWAY_BODY_BYTES_MAX raised."
            )
        return piece

    async def _until_left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._is_leaving()

    def _is_leaving(self) -> None:
        self.left = True
        if self._task is not None and not self._keeps_on:
            self._task.cancel()
