"""One connection to an upstream: one exchange at a time, sent and read without a task of its own.

All waiting of an exchange is one future at a time and one timer of the connection, which is armed
anew only when it fires too early: a deadline moves with each piece, and most are never reached.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from math import inf
from typing import cast

from gateway.backends.http_reply import CutOff, NotHttp, ReplyReader
from gateway.backends.http_request import Origin

KEEP_ALIVE_SECONDS = 15.0
KEPT_LESS_SECONDS = 1.0  # than the server says: what is sent as it closes may be lost
BUFFER_BYTES_MAX = 256 * 1024  # of a body that nobody took yet; more is left to the kernel
SLICE_BYTES = 64 * 1024  # of a request's body; more at once would hold up the event loop
_TICK_SECONDS = 0.001  # the finest that timers are

Told = Callable[["Connection"], None]


class Connection(asyncio.Protocol):
    """`free` hears when an exchange is over and another one can follow, `gone` (once) when none
    ever can, `lost` (once) when the socket is closed, if there was one."""

    def __init__(self, origin: Origin, free: Told, gone: Told, lost: Told) -> None:
        self.origin = origin
        self.discarded = False
        self.failure: Exception | None = None
        self.free_since = 0.0
        self._free, self._gone, self._lost = free, gone, lost
        self._loop = asyncio.get_running_loop()
        self.now: Callable[[], float] = self._loop.time
        self._transport: asyncio.Transport | None = None
        self._reader: ReplyReader | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = inf
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._reading_paused = self._writing_paused = False
        self._unsent: memoryview | None = None
        self._was_cut = False  # the request, because the answer came first

    def begin(self, reader: ReplyReader, head: bytes, body: bytes) -> None:
        """Send a request, whose reply `reader` gets. A large body goes out in slices as the other
        side takes them, so that it is not in memory twice."""
        assert self._transport is not None
        assert self._reader is None
        self._reader = reader
        if len(body) <= SLICE_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._unsent = memoryview(body)
            self._send_on()

    def more(self, until: float) -> asyncio.Future[None]:
        """Done when something arrived, or `failure` says why nothing will; it is a TimeoutError
        at `until` of the loop's clock."""
        self._waiter = self._loop.create_future()
        self._due(until)
        return self._waiter

    def took(self, reader: ReplyReader) -> None:
        """The reader was emptied."""
        if self._reading_paused and self._reader is reader and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()

    def leave(self, reader: ReplyReader) -> None:
        """Nobody wants the rest of the reply: if it is not whole, the upstream is to stop."""
        if self._reader is reader:
            self.discard()

    def is_usable(self) -> bool:
        """Whether the server has, as far as can be seen, not closed it. The kernel is asked, as
        there are servers that close right behind an answer and do not say so in it."""
        if self.discarded or self._transport is None or self._transport.is_closing():
            return False
        return not _readable(self._transport)

    def discard(self) -> None:
        """Close at once, whatever the state."""
        if self.discarded:
            return
        self.discarded = True
        if self._reader is not None:
            self._reader.drop()
            self._reader = None
        self._unsent = None
        self._deadline = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()
        self._gone(self)

    def fail(self, error: Exception) -> None:
        if self.failure is None:
            self.failure = error
        self.discard()
        self._wake()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self.discarded:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader is None:
            self.discard()  # nobody asked
            return
        try:
            reader.feed(data)
        except NotHttp as error:
            self.fail(error)
            return
        if self._unsent is not None and reader.begun and reader.status >= 300:
            self._unsent, self._was_cut = None, True
        if reader.complete:
            self._finish(reader)
        elif (
            reader.relayed is not None
            and (waiter := self._waiter) is not None
            and not waiter.done()
            and (until := reader.relayed())
        ):
            self._deadline = until
            return
        elif reader.buffered > BUFFER_BYTES_MAX and not self._reading_paused:
            assert self._transport is not None
            self._reading_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._ended()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None:
            self._ended()
        elif self._reader is not None:
            self.fail(CutOff())
        self.discard()
        self._lost(self)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._send_on()

    def _send_on(self) -> None:
        while self._unsent is not None and not self._writing_paused:
            assert self._transport is not None
            piece, rest = self._unsent[:SLICE_BYTES], self._unsent[SLICE_BYTES:]
            self._unsent = rest or None
            self._transport.write(piece)

    def _ended(self) -> None:
        reader = self._reader
        if reader is None:
            self.discard()
            return
        try:
            reader.end()
        except CutOff as error:
            self.fail(error)
        else:
            self._finish(reader)
            self._wake()

    def _finish(self, reader: ReplyReader) -> None:
        """The reply is whole; the connection is free, though its last bytes may wait here."""
        self.took(reader)
        self._reader = None
        seconds = KEEP_ALIVE_SECONDS
        if reader.kept_seconds is not None:
            seconds = min(seconds, reader.kept_seconds - KEPT_LESS_SECONDS)
        if not reader.reusable or self._was_cut or self._unsent is not None or seconds <= 0:
            self.discard()
            return
        self.free_since = self._loop.time()
        self._due(self.free_since + seconds)
        self._free(self)

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if self._reader is not None:
                self._deadline = inf
            if not waiter.done():
                waiter.set_result(None)

    def _due(self, when: float) -> None:
        self._deadline = when
        if self._timer is None or when < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._timer_at = self._loop.call_at(when, self._on_timer), when

    def _on_timer(self) -> None:
        self._timer = None
        if self._deadline - self._loop.time() > _TICK_SECONDS:
            if self._deadline < inf:
                self._due(self._deadline)
        elif self._reader is not None:
            self.fail(TimeoutError())
        else:
            self.discard()


def _readable(transport: asyncio.Transport) -> bool:
    """Whether something waits in the kernel: at a connection that nobody uses, its end."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket"), select.POLLIN)
    return bool(poll.poll(0))
