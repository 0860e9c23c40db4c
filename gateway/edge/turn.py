"""One request and its answer on a connection, as ASGI has it; and, for whoever knows of it, without
ASGI's messages, which would be most of what a piece of a stream costs here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Protocol

from starlette.types import ASGIApp, Message, Scope

from gateway.edge.replies import decoded
from gateway.errors import ApiError

WIRE = "gateway.wire"
"""Under this name the scope's extensions have the Turn."""

_STATUS_LINES = {one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in HTTPStatus}
_CONTROLS = bytes({*range(32), 127} - {9})
_BODILESS = (204, 304)


class Link(Protocol):
    """The connection of a turn."""

    transport: asyncio.Transport
    is_writing_paused: bool

    async def drained(self) -> None: ...
    def resume_reading(self) -> None: ...
    def default_lines(self) -> bytes: ...
    def turn_is_over(self) -> None: ...
    def failed(self, why: ApiError | None) -> None: ...


def status_line(status: int) -> bytes:
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


class Turn:
    """`unread_bytes` came of the request's body and were not received yet. `keep_alive`: another
    request may follow. `is_gone`: the caller left."""

    __slots__ = ("_body", "_expects_continue", "_has_received", "_held", "_is_bodiless",
                 "_is_chunked", "_left", "_link", "_more_body", "_news", "_room", "_scope",
                 "_spoiled", "_waiter", "is_complete", "is_gone", "is_started", "keep_alive",
                 "unread_bytes")  # fmt: skip

    def __init__(self, link: Link, scope: Scope, keep_alive: bool, expects_continue: bool) -> None:
        self.unread_bytes = 0
        self.keep_alive = keep_alive
        self._scope = scope
        scope["extensions"] = {WIRE: self}
        self._body: list[bytes] = []
        self._more_body = True
        self._spoiled: ApiError | None = None  # what came of the body is no good
        self._expects_continue = expects_continue
        self.is_started = self.is_complete = self.is_gone = False
        self._link = link
        self._held = b""  # of the answer, and written with what comes next
        self._room: int | None = None  # bytes of the answer that are missing; None: nobody said
        self._is_chunked = (
            scope["http_version"] != "1.0"
        )  # else such an answer ends with the connection
        self._is_bodiless = scope["method"] == "HEAD"
        self._news = self._has_received = False
        self._waiter: asyncio.Future[None] | None = None
        self._left: Callable[[], None] | None = None

    async def run(self, app: ASGIApp) -> None:
        try:
            await app(self._scope, self.receive, self.send)
        except ApiError as error:
            if error is not self._spoiled:
                raise
        finally:
            self._left = None
            self._scope = {}  # they hold each other
            if self.is_gone:
                pass
            elif not self.is_started:
                self._link.failed(self._spoiled)
            elif not self.is_complete:
                self._write_held()
                self._link.transport.close()

    async def receive(self) -> Message:
        """The next message. Raises what the body was spoiled by."""
        transport = self._link.transport
        if self._expects_continue and not transport.is_closing():
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._expects_continue = False
        if not (self.is_gone or self.is_complete):
            self._link.resume_reading()
            if not self._news:
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter
            self._news = False
        if self.is_gone or self.is_complete:
            return {"type": "http.disconnect"}
        if self._spoiled is not None:
            raise self._spoiled
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self.unread_bytes = 0
        self._has_received = True
        return {"type": "http.request", "body": body, "more_body": self._more_body}

    def whole_body(self) -> bytes | None:
        """The request's body, if all of it is here and none was received: nobody has to wait."""
        if self._more_body or self._has_received or self.is_gone or len(self._body) > 1:
            return None
        self._has_received = True
        self._news = False
        self.unread_bytes = 0
        return self._body.pop() if self._body else b""

    def declared_bytes(self) -> int:
        """How long the request says that its body is; 0 where it does not."""
        named = [value for name, value in self._scope["headers"] if name == b"content-length"]
        return int(named[0]) if named else 0

    async def send(self, message: Message) -> None:
        if self._link.is_writing_paused and not self.is_gone:
            await self._link.drained()
        if self.is_gone or (self.is_started and self._link.transport.is_closing()):
            return
        kind = message["type"]
        if kind == "http.response.start" and not self.is_started:
            self.begin(message["status"], decoded(message.get("headers", ())))
        elif kind == "http.response.body" and self.is_started and not self.is_complete:
            self.give(message.get("body", b""))
            if not message.get("more_body", False):
                self.end()
        else:
            raise RuntimeError(f"{kind} is not what comes next in an answer")

    def can_begin(self) -> bool:
        """Whether the answer can begin now, and need not wait."""
        link = self._link
        is_open = not (self.is_started or self.is_gone)
        return is_open and not (link.is_writing_paused or link.transport.is_closing())

    def begin(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """The head of the answer, which goes out with its first piece, as ASGI has it: one write
        costs less than two. Raises RuntimeError where a header holds what would begin another
        line."""
        named = dict(headers)
        lines = [f"{name}: {value}\r\n" for name, value in headers]
        is_sized = True
        if "transfer-encoding" in named:
            self._room = None
        elif "content-length" in named:
            self._room = int(named["content-length"])
        else:
            is_sized = False
        if self._expects_continue and self._more_body:  # which may never come now
            self.keep_alive = False
        if "connection" in named and "close" in named["connection"].lower():
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append("connection: close\r\n")
        if status in _BODILESS:
            self._is_bodiless = True
        elif self._is_chunked and not (is_sized or self._is_bodiless):
            lines.append("transfer-encoding: chunked\r\n")
        head = "".join(lines).encode("latin-1")
        self.is_started = True
        self._expects_continue = False
        if len(head) - len(head.translate(None, _CONTROLS)) != 2 * len(lines):
            raise RuntimeError("a header holds a control character")
        self._held = b"".join((status_line(status), self._link.default_lines(), head, b"\r\n"))

    def is_ready(self) -> bool:
        """Whether a piece of the answer that is given now need not wait."""
        link = self._link
        is_heard = self.is_started and not self.is_gone
        return is_heard and not (link.is_writing_paused or link.transport.is_closing())

    def give(self, piece: bytes) -> None:
        """A piece of the answer."""
        if self._is_bodiless or not piece:
            return
        room = self._room
        if room is not None:
            if len(piece) > room:
                raise RuntimeError("the answer is longer than its content-length")
            self._room = room - len(piece)
        elif self._is_chunked:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        if self._held:
            piece, self._held = self._held + piece, b""
        self._link.transport.write(piece)

    def give_soon(self, piece: bytes) -> None:
        """A piece that may be the last: the end of the answer, if it comes before the event loop
        does anything else, goes out with it. The first piece goes at once."""
        is_chunk = self._is_chunked and self._room is None and not self._is_bodiless
        if self._held or not is_chunk or not piece:
            self.give(piece)
            return
        self._held = b"%x\r\n%b\r\n" % (len(piece), piece)
        asyncio.get_running_loop().call_soon(self._write_held)

    def end(self) -> None:
        """The answer is complete. Raises RuntimeError where it is shorter than it said."""
        if self._room is None:
            if self._is_chunked and not self._is_bodiless:
                self._held += b"0\r\n\r\n"
        elif self._room and not self._is_bodiless:
            raise RuntimeError("the answer is shorter than its content-length")
        self._write_held()
        self.is_complete = True
        self._left = None
        self._news = True
        if self._waiter is not None:
            self._tell()
        if not self.keep_alive:
            self._link.transport.close()
        self._link.turn_is_over()

    def watch(self, left: Callable[[], None]) -> None:
        """Who is called, once, if the caller leaves before the answer is complete."""
        self._left = left
        self._link.resume_reading()
        if self.is_gone:
            self.gone()

    def unwatch(self) -> None:
        self._left = None

    def came(self, body: bytes) -> None:
        """A piece of the request's body."""
        self._body.append(body)
        self.unread_bytes += len(body)
        self._news = True
        if self._waiter is not None:
            self._tell()

    def came_all(self) -> None:
        """The request's body is whole."""
        self._more_body = False
        self._news = True
        if self._waiter is not None:
            self._tell()

    def spoil(self, error: ApiError) -> None:
        """The body cannot be read on: whoever waits for it is told, and the answer is the last."""
        self._spoiled = error
        if not self.is_started:
            self.keep_alive = False
        self._news = True
        self._tell()

    def gone(self) -> None:
        """The connection is lost."""
        self.is_gone = not self.is_complete
        left, self._left = self._left, None
        if left is not None and self.is_gone:
            left()
        self._news = True
        if self._waiter is not None:
            self._tell()

    def _write_held(self) -> None:
        held, self._held = self._held, b""
        if held and not (self.is_gone or self._link.transport.is_closing()):
            self._link.transport.write(held)

    def _tell(self) -> None:
        """Whoever waits, which is hardly ever anybody, that there is news."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
