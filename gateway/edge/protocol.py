"""HTTP/1.1 with bounds: on connections, on what waits on one, on a head's size and time.

uvicorn bounds none of these, so that one caller could hold memory or a connection for ever. Bodies
are bounded in `caller.py`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from gateway.edge.connection import HttpConnection
from gateway.edge.parsing import VERSIONS, parts_of
from gateway.edge.peers import Peers
from gateway.edge.turn import status_line
from gateway.errors import ApiError, BadRequest, Failed, HeadTooLarge, TooSlow, Unavailable
from gateway.settings import Settings

Refused = Callable[[ApiError], Sequence[tuple[str, str]]]
Leaving = Callable[[], bool]
THROWN_BYTES_MAX = 2**20  # behind a refusal
BYTES_FOR_ONE = 16  # of a body, with its frame, in the smallest chunks that anybody sends
BUSY_SECONDS = 0.1  # for what arrived while the event loop was busy to be read after all


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
        farewell_seconds = settings.drain_seconds
        head_bytes_max = settings.header_bytes_max
        headers_max = settings.headers_max
        head_timeout_seconds = settings.header_timeout_seconds
        pipelined_max = settings.pipelined_max
        tags = staticmethod(refused)
        leaving = staticmethod(is_leaving)

    return BoundedProtocol


class _BoundedProtocol(HttpConnection):
    peers: Peers
    head_bytes_max: int
    headers_max: int
    head_timeout_seconds: float
    pipelined_max: int
    tags: Refused
    leaving: Leaving

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = self._trailer_bytes = 0
        self._frame_bytes = self._thrown_bytes = 0
        self._came_bytes = 0  # of this head and maybe more: no head is longer
        self._piece_bytes = 0
        self._head_has_time = False  # it is timed
        self._last_words: Callable[[], None] | None = None  # behind the answers that are due
        self._seat: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._seat = self.peers.enter(self.client[0] if self.client else "")
        if self._seat is None:
            self._turn_away()
        else:
            self._time_head()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._seat is not None:
            self.peers.leave(self._seat)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.is_refused:
            self._throw_away(len(data))
            return
        self._piece_bytes = size = len(data)
        self._came_bytes += size
        if self.in_head:
            self._head_bytes += size
        if self.in_message and not self.in_head:
            self._more_of_body(data)
        else:
            super().data_received(data)
        if self.is_refused or not self.in_head:
            return
        if self._head_bytes > self.head_bytes_max:
            self._refuse(self._too_large())
        elif not self._head_has_time:
            self._time_head()

    def _more_of_body(self, data: bytes) -> None:
        """The parser passes over what chunks carry besides the body (RFC 9112, 7.1.1), and keeps a
        trailer to its end, both without a bound."""
        turn = self.turn
        assert turn is not None
        had_bytes = turn.unread_bytes
        super().data_received(data)
        if turn is not self.turn or turn.is_complete or self.in_head or not self.in_message:
            return
        spent = len(data) - BYTES_FOR_ONE * (turn.unread_bytes - had_bytes)
        self._frame_bytes = max(0, self._frame_bytes + spent)
        if self._frame_bytes > self.head_bytes_max:
            self._spoiled(
                HeadTooLarge(
                    "The chunks of the request's body carry too much besides it. Send larger ones, "
                    "and no extensions or trailers."
                )
            )

    def _throw_away(self, size: int) -> None:
        """What follows a refusal that waits for the answers before it. To read it tells whether the
        caller is still there, but it is not read without end."""
        self._thrown_bytes += size
        if self._thrown_bytes > THROWN_BYTES_MAX:
            self.pause_reading()

    def on_garbage(self) -> None:
        self._spoiled(BadRequest("This is not an HTTP/1.1 request that can be understood."))

    def on_trailer(self, name: bytes, value: bytes) -> None:
        self._trailer_bytes += len(name) + len(value)
        if self._trailer_bytes > self.head_bytes_max:
            self._spoiled(self._too_large())

    def on_headers_complete(self) -> None:
        self.in_head = self._head_has_time = False
        self._head_bytes = self._trailer_bytes = self._frame_bytes = 0
        if self.is_refused:
            return
        self.not_due()
        came, self._came_bytes = self._came_bytes, self._piece_bytes
        hosts = [name for name, _ in self.headers].count(b"host")
        assert self.parser is not None
        if came + 4 * len(self.headers) > self.head_bytes_max and self._is_too_large():
            self._refuse(self._too_large())
        elif len(self.headers) > self.headers_max:
            self._refuse(
                HeadTooLarge(f"The request has more than {self.headers_max} headers. Send fewer.")
            )
        elif (version := self.parser.get_http_version()) not in VERSIONS:
            self._refuse(BadRequest("This server speaks HTTP/1.1."))
        elif hosts != 1 and (hosts or version != "1.0"):
            self._refuse(BadRequest("An HTTP/1.1 request has one host header (RFC 9112, 3.2)."))
        elif self.parser.should_upgrade():
            self._on_offer(self.parser.get_method())
        elif (parts := parts_of(self.url)) is None:
            self._refuse(BadRequest("The URL of this request cannot be understood."))
        elif len(self.waiting) >= self.pipelined_max and not self.is_idle():
            self._refuse(
                BadRequest(
                    f"More than {self.pipelined_max} requests wait on this connection. Send them "
                    "on several, or wait for the answers."
                )
            )
        else:
            self.begin_turn(parts, version)
            if type(self).leaving():
                self.leave()

    def _on_offer(self, method: bytes) -> None:
        """Of another protocol; CONNECT asks for one, and has no other meaning."""
        if method == b"CONNECT":
            self._refuse(BadRequest("This server is no proxy, and opens no tunnels."))
        else:
            self.is_offer = True

    def _is_too_large(self) -> bool:
        size = len(self.url) + sum([len(name) + len(value) + 4 for name, value in self.headers])
        return size > self.head_bytes_max

    def leave(self) -> None:
        """This connection's newest request is its last, where its answer can still say so."""
        if self.turn is not None and not self.turn.is_started:
            self.turn.keep_alive = False

    def wait_for_next(self) -> None:
        if not self._head_has_time:
            super().wait_for_next()

    def failed(self, why: ApiError | None) -> None:
        self.is_refused = True
        self._answer_error(why or Failed("The gateway failed.", code="internal_error"))

    def turn_is_over(self) -> None:
        super().turn_is_over()
        if self._last_words is not None and self.is_idle() and not self.transport.is_closing():
            self._last_words()

    def _time_head(self) -> None:
        self._head_has_time = True
        self.due(self.head_timeout_seconds, self._head_is_due)

    def _head_is_due(self) -> None:
        """Let what has arrived while the event loop was busy be read first; and where it is we who
        do not read, as other requests wait on this connection, nobody is late."""
        if self.is_reading_paused:
            self._time_head()
        else:
            self.due(BUSY_SECONDS, self._head_too_slow)

    def _head_too_slow(self) -> None:
        if not (self._head_bytes or self.in_message):
            self.transport.close()  # nothing was ever asked
            return
        self._refuse(
            TooSlow(
                f"The request's head was not complete after {self.head_timeout_seconds:g} seconds."
            )
        )

    def _turn_away(self) -> None:
        """One connection too many. It asked nothing yet, so there is nothing to write down."""
        self.is_refused = True
        self._answer_error(
            Unavailable(
                "The gateway has as many connections as it may have. Try again in a moment.",
                code="overloaded",
            )
        )

    def _too_large(self) -> ApiError:
        return HeadTooLarge(
            f"The request's head is larger than the {self.head_bytes_max} bytes that this "
            "gateway takes. Send fewer or shorter headers."
        )

    def _spoiled(self, error: ApiError) -> None:
        """What came cannot be read on. Where it is the body of a request, the answer to that one
        says so."""
        if self.is_refused:
            return
        if self.in_head or not self.in_message or self.turn is None:
            self._refuse(error)
            return
        self.is_refused = True
        self.turn.spoil(error)

    def _refuse(self, error: ApiError) -> None:
        """Answer, and close: what follows on this connection cannot be trusted. What was asked
        before has its answers first."""
        self.is_refused = True
        self.not_due()
        if self.transport.is_closing():
            return
        tags = "".join(f"{name}: {value}\r\n" for name, value in type(self).tags(error))
        self._last_words = partial(self._answer_error, error, tags)
        if self.is_idle():
            self._last_words()

    def _answer_error(self, error: ApiError, headers: str = "") -> None:
        body = json.dumps(error.body()).encode()
        head = (
            f"content-type: application/json\r\n{headers}"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(status_line(error.status) + head.encode() + body)
        self.transport.close()
