"""HTTP/1.1 on one connection (RFC 9112), in place of uvicorn's protocol: one turn after the other,
each a task, and one timer. What bounds it is in `protocol.py`.

Timers are set for each request and hardly ever reached, so that there is one, which looks when it
fires whether it is due, and is set anew if it is not.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any, cast

import httptools
import uvicorn
from starlette.types import Scope
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from gateway.edge.parsing import Parts, new_parser, without_offer
from gateway.edge.turn import Turn
from gateway.errors import ApiError

UNREAD_BYTES_MAX = 64 * 1024  # of a request's body that nobody received yet
LINGER_SECONDS = 10.0  # how long the rest of a body that was refused is read and thrown away
_TICK_SECONDS = 0.001  # the finest that timers are


class HttpConnection(asyncio.Protocol):
    """`turn` is the newest request whose head is complete; those in `waiting` came before the
    answer to an earlier one was complete. `is_refused`: nothing that comes is answered any more.
    `is_offer`: the head that is complete offers another protocol, and is no turn yet."""

    transport: asyncio.Transport
    farewell_seconds: float = 0  # for who could not be told that a connection ends

    def __init__(
        self, config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> None:
        if not config.loaded:
            config.load()
        self.turn: Turn | None = None
        self.waiting: deque[Turn] = deque()
        self.headers: list[tuple[bytes, bytes]] = []
        self.url = b""
        self.client: tuple[str, int] | None = None
        self.in_head = True
        self.in_message = self.is_refused = self.is_offer = False
        self.is_writing_paused = self.is_reading_paused = False
        self.parser: httptools.HttpRequestParser | None = new_parser(self)
        self._app = cast(Any, config.loaded_app)
        self._keep_alive_seconds: float = config.timeout_keep_alive
        self._server = server_state
        self._loop = asyncio.get_running_loop()
        self._template: dict[str, Any] = {}
        self._answered: Turn | None = None  # to which an answer is on its way
        self._expects_continue = False
        self._default_headers: list[tuple[bytes, bytes]] = []
        self._default_lines = b""
        self._writable = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._deadline = inf
        self._then: Callable[[], None] = _nothing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._server.connections.add(cast(Any, self))
        self.client = get_remote_addr(self.transport)
        self._template = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": get_local_addr(self.transport),
            "client": self.client,
            "scheme": "https" if is_ssl(self.transport) else "http",
            "root_path": "",
        }

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(cast(Any, self))
        self.not_due()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.is_reading_paused = False
        for turn in {self._answered, *self.waiting, self.turn} - {None}:
            cast(Turn, turn).gone()
        self.resume_writing()
        self.parser = self.turn = self._answered = None  # they hold each other
        self.waiting.clear()
        self._then = _nothing

    def data_received(self, data: bytes) -> None:
        while self.parser is not None:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as told:
                if self.is_refused:
                    return
                head = without_offer(self.parser, self.url, self.headers)
                self.parser, self.is_offer = new_parser(self), False
                data = head + data[told.args[0] :]
            except httptools.HttpParserError:
                self.on_garbage()
                return

    def on_garbage(self) -> None:
        """What came is not HTTP."""
        self.close()

    def failed(self, why: ApiError | None) -> None:
        """The app ended without an answer; `why`, if that is known."""
        self.close()

    def close(self) -> None:
        self.transport.close()

    def shutdown(self) -> None:
        """uvicorn calls this where no more requests are to come. A caller whose last answer did not
        say so may send another one just now, so that its connection stays for a moment."""
        idle_since = self._deadline - self._keep_alive_seconds
        self._keep_alive_seconds = self.farewell_seconds
        if self.turn is None:
            self.transport.close()
        elif not self.turn.is_started:
            self.turn.keep_alive = False
        elif self.turn.is_complete and not self.in_message and self._deadline < inf:
            rest_seconds = idle_since + self.farewell_seconds - self._loop.time()
            self.due(max(0.0, rest_seconds), self.close)

    def end_with_answer(self) -> None:
        """Nobody is waited for any more."""
        self.farewell_seconds = self._keep_alive_seconds = 0
        if self.turn is not None:
            self.turn.keep_alive = False
        if self.is_idle():
            self.transport.close()

    def is_idle(self) -> bool:
        return self.turn is None or self.turn.is_complete

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self._expects_continue = False
        self.in_head = self.in_message = True

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.in_head:
            self.on_trailer(name, value)
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects_continue = True
        self.headers.append((name, value))

    def on_trailer(self, name: bytes, value: bytes) -> None:
        """They mean nothing to anybody."""

    def begin_turn(self, parts: Parts, version: str) -> None:
        """A head is complete, and good; `parts` are those of its URL."""
        parser = self.parser
        assert parser is not None
        path, raw_path, query = parts
        scope: Scope = self._template.copy()
        scope["method"] = parser.get_method().decode("ascii")
        scope["path"], scope["raw_path"], scope["query_string"] = path, raw_path, query
        scope["headers"], scope["state"] = self.headers, {}
        if version != "1.1":
            scope["http_version"] = version
        is_old = version == "1.0"
        keep_alive = not is_old and parser.should_keep_alive()
        turn = Turn(self, scope, keep_alive, self._expects_continue and not is_old)
        if self.is_idle():
            self._answer(turn)
        else:
            self.pause_reading()
            self.waiting.append(turn)
        self.turn = turn

    def on_body(self, body: bytes) -> None:
        turn = self.turn
        if turn is not None and not (turn.is_complete or self.is_refused):
            turn.came(body)
            if turn.unread_bytes > UNREAD_BYTES_MAX:
                self.pause_reading()

    def on_message_complete(self) -> None:
        self.in_message = False
        turn = self.turn
        if turn is None or self.is_refused or self.is_offer:
            return
        if turn.is_complete:
            self.wait_for_next()
        else:
            turn.came_all()

    def turn_is_over(self) -> None:
        """An answer is complete."""
        self._server.total_requests += 1
        if self.transport.is_closing():
            return
        self.resume_reading()
        self._answered = None
        if self.waiting:
            self._answer(self.waiting.popleft())
        elif (self.in_message or self.is_refused) and self.is_idle():
            self.due(LINGER_SECONDS, self.close)
        else:
            self.wait_for_next()

    def wait_for_next(self) -> None:
        """For another request, but not for ever."""
        self.due(self._keep_alive_seconds, self.close)

    def due(self, seconds: float, then: Callable[[], None]) -> None:
        """Call `then` after so long, in place of what was due."""
        self._then = then
        self._deadline = when = self._loop.time() + seconds
        if self._timer is None or when < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._timer_at = self._loop.call_at(when, self._on_timer), when

    def not_due(self) -> None:
        self._deadline = inf

    def _on_timer(self) -> None:
        self._timer = None
        if self._deadline == inf:
            return
        if self._deadline - self._loop.time() > _TICK_SECONDS:
            self._timer_at = self._deadline
            self._timer = self._loop.call_at(self._deadline, self._on_timer)
            return
        self._deadline = inf
        self._then()

    def pause_reading(self) -> None:
        if not self.is_reading_paused and not self.transport.is_closing():
            self.is_reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self.is_reading_paused:
            self.is_reading_paused = False
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        self.is_writing_paused = True
        self._writable.clear()

    def resume_writing(self) -> None:
        self.is_writing_paused = False
        self._writable.set()

    async def drained(self) -> None:
        if self.is_writing_paused:
            await self._writable.wait()

    def default_lines(self) -> bytes:
        """What each answer says, as it is written; uvicorn makes these headers once a second."""
        headers = self._server.default_headers
        if headers is not self._default_headers:
            self._default_headers = headers
            self._default_lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        return self._default_lines

    def _answer(self, turn: Turn) -> None:
        self._answered = turn
        task = self._loop.create_task(turn.run(self._app))
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)


def _nothing() -> None:
    """What is due where nothing is."""
