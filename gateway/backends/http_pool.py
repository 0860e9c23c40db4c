"""At most so many connections, over all hosts: those in use, those kept for reuse and those being
made. Whoever finds no room waits, and is served in order of arrival."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from gateway.backends.http_connection import Connection
from gateway.backends.http_request import Origin

CLOSING_SECONDS = 2.0

Open = Callable[[Connection], Awaitable[None]]
_Turn = asyncio.Future[Connection | None]


class Pool:
    """`open_` connects a Connection, or raises. While somebody waits, nothing is kept unused: a
    connection or its place is handed to the first in the queue and to nobody else."""

    def __init__(self, connections_max: int, open_: Open) -> None:
        self._connections_max = connections_max
        self._open = open_
        self._places = 0  # taken
        self._kept: dict[Origin, list[Connection]] = {}  # the last used is the first to be used
        self._queue: deque[tuple[Origin, _Turn]] = deque()
        self._all: set[Connection] = set()
        self._is_closed = False
        self._emptied: asyncio.Future[None] | None = None

    def kept(self, origin: Origin) -> Connection | None:
        """A connection that is there already."""
        kept = self._kept.get(origin)
        while kept:
            connection = kept.pop()
            if connection.is_usable():
                return connection
            connection.discard()
        return None

    async def acquire(self, origin: Origin) -> Connection:
        """Raises what opening raises. Bound the time of it from outside."""
        while not self._is_closed:
            connection = self.kept(origin)
            if connection is None and not self._took_place():
                connection = await self._turn(origin)
                if connection is not None and connection.discarded:
                    continue  # closed on its way to us
            if connection is not None:
                return connection
            return await self._opened(origin)
        raise ConnectionAbortedError

    async def aclose(self) -> None:
        """Close all, those in use included, and wait for their sockets to be closed."""
        self._is_closed = True
        while self._queue:
            _, turn = self._queue.popleft()
            if not turn.done():
                turn.set_exception(ConnectionAbortedError())
        for connection in list(self._all):
            connection.fail(ConnectionAbortedError())
        if self._all:
            self._emptied = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._emptied], timeout=CLOSING_SECONDS)

    async def _opened(self, origin: Origin) -> Connection:
        """A new connection in a place that was taken for it, and is left if it comes to nothing."""
        connection = Connection(origin, self._on_free, self._on_gone, self._on_lost)
        try:
            await self._open(connection)
        except BaseException:
            connection.discard()
            raise
        if self._is_closed or connection.discarded:
            connection.discard()
            raise ConnectionAbortedError
        self._all.add(connection)
        return connection

    def _took_place(self) -> bool:
        """Whether there is room for one more, if need be in place of one that is kept for another
        host."""
        if self._places >= self._connections_max:
            unused = [kept[0] for kept in self._kept.values() if kept]
            if not unused:
                return False
            min(unused, key=lambda connection: connection.free_since).discard()
        self._places += 1
        return True

    async def _turn(self, origin: Origin) -> Connection | None:
        """A connection that became free, or None: a place for a new one."""
        turn: _Turn = asyncio.get_running_loop().create_future()
        mine = (origin, turn)
        self._queue.append(mine)
        try:
            return await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._hand_on(turn.result())
            elif mine in self._queue:
                self._queue.remove(mine)
            raise

    def _hand_on(self, connection: Connection | None) -> None:
        """What was handed to somebody who left."""
        if connection is None:
            self._leave_place()
        elif not connection.discarded:
            self._on_free(connection)

    def _leave_place(self) -> None:
        while self._queue:
            _, turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._places -= 1

    def _on_free(self, connection: Connection) -> None:
        while self._queue:
            origin, turn = self._queue[0]
            if turn.done():
                self._queue.popleft()
            elif origin == connection.origin:
                self._queue.popleft()
                turn.set_result(connection)
                return
            else:
                connection.discard()  # which leaves its place to the first
                return
        kept = self._kept.get(connection.origin)
        if kept is None:
            self._kept[connection.origin] = [connection]
        else:
            kept.append(connection)

    def _on_gone(self, connection: Connection) -> None:
        kept = self._kept.get(connection.origin)
        if kept is not None and connection in kept:
            kept.remove(connection)
        if kept == []:
            del self._kept[connection.origin]
        self._leave_place()

    def _on_lost(self, connection: Connection) -> None:
        self._all.discard(connection)
        if self._emptied is not None and not self._all and not self._emptied.done():
            self._emptied.set_result(None)
