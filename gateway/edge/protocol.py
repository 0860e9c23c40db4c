"""HTTP/1.1 with bounds: on connections, on what waits on one, on a head's size and time.

uvicorn bounds none of these, so that one caller could hold memory or a connection for ever. Bodies
are bounded in `caller.py`.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.edge.peers import Peers
from gateway.errors import ApiError, BadRequest, HeadTooLarge, TooSlow, Unavailable
from gateway.settings import Settings

Refused = Callable[[ApiError], Sequence[tuple[str, str]]]
Leaving = Callable[[], bool]
LINGER_SECONDS = 10.0  # how long the rest of a body that was refused is read and thrown away
BUSY_SECONDS = 0.1  # for what arrived while the event loop was busy to be read after all
_HEAD_END = b"\r\n\r\n"
_UPGRADE = re.compile(rb"(\r\n)upgrade:", re.IGNORECASE)
_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


def no_tags(error: ApiError) -> Sequence[tuple[str, str]]:
    return ()


def stays() -> bool:
    return False


def bounded_protocol(
    settings: Settings,
    connected: Peers,
    refused: Refused = no_tags,
    is_leaving: Leaving = stays,
) -> type[asyncio.Protocol]:
    """A protocol class for uvicorn's `http` option, with the bounds of the settings; `connected`
    are the peers of its port. `refused` hears of every head that is refused, and says what headers
    its answer gets. Once `is_leaving`, each answer ends its connection, and says so."""

    class BoundedProtocol(_BoundedProtocol):
        peers = connected
        head_bytes_max = settings.header_bytes_max
        headers_max = settings.headers_max
        head_timeout_seconds = settings.header_timeout_seconds
        pipelined_max = settings.pipelined_max
        tags = staticmethod(refused)
        leaving = staticmethod(is_leaving)

    return BoundedProtocol


def _without_upgrade(before: bytes, data: bytes) -> bytes:
    """We speak HTTP/1.1 only, and an offer of another protocol may be ignored (RFC 9110, 7.8); the
    parser would take what follows it for that protocol.

    `before`: what came last of the same head. Only the head is changed, and no length: else a
    body could be made to end early, and its rest be taken for a request."""
    end = (before + data).find(_HEAD_END)
    end = len(data) if end < 0 else max(0, end - len(before))
    if not _UPGRADE.search(data, 0, end):  # as nearly always: nothing is copied
        return data
    return _UPGRADE.sub(rb"\1ignored:", data[:end]) + data[end:]


class _BoundedProtocol(HttpToolsProtocol):
    peers: Peers
    head_bytes_max: int
    headers_max: int
    head_timeout_seconds: float
    pipelined_max: int
    tags: Refused
    leaving: Leaving

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._head_tail = b""  # where its end may have begun
        self._in_head = True
        self._in_message = False
        self._refused = False
        self._seat: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._seat = self.peers.enter(self.client[0] if self.client else "")
        if self._seat is None:
            self._turn_away()
        else:
            self._start_timer(self.head_timeout_seconds, self._head_is_due)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if self._seat is not None:
            self.peers.leave(self._seat)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._in_head or not self._in_message:
            data = _without_upgrade(self._head_tail, data)
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        self._head_tail = (self._head_tail + data[-3:])[-3:] if self._in_head else b""
        if not self._in_head and not self._in_message and self._is_idle():
            self._wait_for_next()
        if self._in_head and self._head_bytes > self.head_bytes_max:
            self._head_too_large()

    def send_400_response(self, msg: str) -> None:
        if not self._refused:
            self._refuse(BadRequest("This is not an HTTP/1.1 request that can be understood."))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = self._in_message = True
        if self._timer is None:
            self._start_timer(self.head_timeout_seconds, self._head_is_due)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Trailers come here, too: they mean nothing to anybody, but have a bound."""
        if self._in_head:
            super().on_header(name, value)
            return
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > self.head_bytes_max and not self._refused:
            self._head_too_large()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._stop_timer()
        size = len(self.url) + sum([len(name) + len(value) + 4 for name, value in self.headers])
        if size > self.head_bytes_max:
            self._head_too_large()
        elif len(self.headers) > self.headers_max:
            self._refuse(
                HeadTooLarge(f"The request has more than {self.headers_max} headers. Send fewer.")
            )
        elif self.parser.should_upgrade():  # its name came in two pieces: see _without_upgrade
            self._refuse(BadRequest("This server speaks HTTP/1.1 only; do not offer an upgrade."))
        elif len(self.pipeline) >= self.pipelined_max and not self._is_idle():
            self._refuse(
                BadRequest(
                    f"More than {self.pipelined_max} requests wait on this connection. Send them "
                    "on several, or wait for the answers."
                )
            )
        elif not self._refused:
            super().on_headers_complete()
            if type(self).leaving():
                self.leave()

    def leave(self) -> None:
        """This connection's newest request is its last, where its answer can still say so."""
        if self.cycle is not None and not self.cycle.response_started:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_message = False
        if not self._refused:
            super().on_message_complete()
            if self.cycle.response_complete:
                self._stop_timer()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        unread = self._in_message and self.cycle.response_complete
        if unread and not self.transport.is_closing():
            self._start_timer(LINGER_SECONDS, self.transport.close)

    def _wait_for_next(self) -> None:
        """uvicorn stops waiting with whatever arrives, and line ends, or the rest of a body that
        was answered already, begin no request: they must not keep the connection for ever."""
        if self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _start_timer(self, seconds: float, then: Any) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, then)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head_is_due(self) -> None:
        """Let what has arrived while the event loop was busy be read first; and where it is we who
        do not read, as other requests wait on this connection, nobody is late."""
        if self.flow.read_paused:
            self._start_timer(self.head_timeout_seconds, self._head_is_due)
        else:
            self._start_timer(BUSY_SECONDS, self._head_too_slow)

    def _head_too_slow(self) -> None:
        if self._head_bytes == 0:
            self.transport.close()  # nothing was ever asked
            return
        self._refuse(
            TooSlow(
                f"The request's head was not complete after {self.head_timeout_seconds:g} seconds."
            )
        )

    def _turn_away(self) -> None:
        """One connection too many. It asked nothing yet, so there is nothing to write down."""
        self._refused = True
        self._answer(
            Unavailable(
                "The gateway has as many connections as it may have. Try again in a moment.",
                code="overloaded",
            )
        )

    def _head_too_large(self) -> None:
        self._refuse(
            HeadTooLarge(
                f"The request's head is larger than the {self.head_bytes_max} bytes that this "
                "gateway takes. Send fewer or shorter headers."
            )
        )

    def _refuse(self, error: ApiError) -> None:
        """Answer, and close: what follows on this connection cannot be trusted."""
        self._refused = True
        if self.transport.is_closing():
            return
        tags = "".join(f"{name}: {value}\r\n" for name, value in type(self).tags(error))
        if not self._is_idle():
            self.transport.close()  # an answer is on its way: this one would be taken for its rest
            return
        self._answer(error, tags)

    def _answer(self, error: ApiError, headers: str = "") -> None:
        body = json.dumps(error.body()).encode()
        head = (
            f"HTTP/1.1 {error.status} {_REASONS[error.status]}\r\n"
            f"content-type: application/json\r\n{headers}"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
