"""So many connections and no more, whoever comes or leaves, and in order of arrival."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.backends.http_connection import Connection
from gateway.backends.http_pool import Pool
from gateway.backends.http_reply import ReplyReader
from gateway.backends.http_request import Origin

HERE, THERE = Origin("here", 80, False), Origin("there", 80, False)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Wire(asyncio.Transport):
    """A transport that takes everything and tells when it is closed."""

    def __init__(self, connection: Connection, world: World) -> None:
        super().__init__()
        self._connection, self._world = connection, world
        self._is_closing = False
        self._ends = socket.socketpair()  # that nothing ever comes on
        world.open += 1
        world.most = max(world.most, world.open)

    def write(self, data: Any) -> None:
        assert not self._is_closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._ends[0] if name == "socket" else default

    def is_closing(self) -> bool:
        return self._is_closing

    def abort(self) -> None:
        if not self._is_closing:
            for end in self._ends:
                end.close()
            self._is_closing = True
            self._world.open -= 1
            asyncio.get_running_loop().call_soon(self._connection.connection_lost, None)


class World:
    """A pool on wires. `fails`: the next connections cannot be made."""

    def __init__(self, connections_max: int) -> None:
        self.open = self.most = self.made = 0
        self.fails = 0
        self.pool = Pool(connections_max, self._connect)

    async def _connect(self, connection: Connection) -> None:
        await asyncio.sleep(0)
        if self.fails:
            self.fails -= 1
            raise ConnectionRefusedError
        self.made += 1
        connection.connection_made(Wire(connection, self))
        await asyncio.sleep(0)

    async def use(self, origin: Origin, steps: int, whole: bool = True) -> None:
        connection = self.pool.kept(origin) or await self.pool.acquire(origin)
        assert connection.origin == origin
        reader = ReplyReader()
        connection.begin(reader, b"", b"")
        try:
            for _ in range(steps):
                await asyncio.sleep(0)
            if whole:
                connection.data_received(OK)
        finally:
            connection.leave(reader)

    async def check_room(self, connections_max: int) -> None:
        """All places can be had at once, none is lost and none too many."""
        got = [await asyncio.wait_for(self.pool.acquire(HERE), 5) for _ in range(connections_max)]
        assert self.open == connections_max
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await self.pool.acquire(HERE)
        for connection in got:
            connection.discard()
        await self.pool.aclose()
        assert self.open == 0


def run(connections_max: int, main: Callable[[World], Awaitable[None]]) -> None:
    async def whole() -> None:
        world = World(connections_max)
        await main(world)
        world.fails = 0
        await world.check_room(connections_max)
        assert world.most <= connections_max

    asyncio.run(whole())


def test_who_came_first_is_served_first_whomever_it_wants() -> None:
    async def main(world: World) -> None:
        order: list[int] = []

        async def one(number: int) -> None:
            await world.use(HERE if number % 3 else THERE, 3)
            order.append(number)

        await asyncio.gather(*(one(number) for number in range(30)))
        assert order == list(range(30))

    run(1, main)


def test_a_connection_is_handed_to_the_next_who_wants_the_same_host() -> None:
    async def main(world: World) -> None:
        await asyncio.gather(*(world.use(HERE, 2) for _ in range(20)))
        assert world.made == 2

    run(2, main)


def test_the_longest_unused_makes_room_for_another_host() -> None:
    async def main(world: World) -> None:
        await asyncio.gather(*(world.use(HERE, 2) for _ in range(3)))
        await world.use(THERE, 1)
        assert world.open == 3
        await world.use(HERE, 1)
        assert world.made == 4, "two to here were left"

    run(3, main)


def test_what_cannot_be_made_leaves_its_place_to_the_next() -> None:
    async def main(world: World) -> None:
        world.fails = 3
        ends = await asyncio.gather(*(world.use(HERE, 1) for _ in range(6)), return_exceptions=True)
        assert [type(end) for end in ends].count(ConnectionRefusedError) == 3

    run(1, main)


def test_one_that_dies_on_its_way_to_the_next_is_not_used() -> None:
    async def main(world: World) -> None:
        first = await world.pool.acquire(HERE)
        second = asyncio.create_task(world.pool.acquire(HERE))
        await asyncio.sleep(0)
        reader = ReplyReader()
        first.begin(reader, b"", b"")
        first.data_received(OK)  # handed on
        first.eof_received()  # and closed, before the other one comes round
        got = await asyncio.wait_for(second, 5)
        assert got is not first
        got.discard()

    run(1, main)


def test_what_is_said_without_a_question_closes_a_kept_connection() -> None:
    async def main(world: World) -> None:
        await world.use(HERE, 1)
        kept = world.pool.kept(HERE)
        assert kept is not None
        reader = ReplyReader()
        kept.begin(reader, b"", b"")
        kept.data_received(OK)
        kept.data_received(b"\r\n")
        assert world.pool.kept(HERE) is None
        assert world.open == 0

    run(1, main)


def test_closing_ends_those_who_wait_and_those_who_use() -> None:
    async def main() -> None:
        world = World(1)
        used = await world.pool.acquire(HERE)
        used.begin(ReplyReader(), b"", b"")
        waiting = asyncio.create_task(world.pool.acquire(HERE))
        await asyncio.sleep(0)
        await world.pool.aclose()
        assert isinstance(used.failure, ConnectionAbortedError)
        for late in (waiting, world.pool.acquire(HERE)):
            with pytest.raises(ConnectionAbortedError):
                await cast(Any, late)
        assert world.open == 0

    asyncio.run(main())


_ONE = st.tuples(
    st.sampled_from([HERE, THERE]),
    st.integers(0, 4),  # rounds of the loop that it takes
    st.booleans(),  # to its end
    st.integers(0, 6),  # when it begins
    st.none() | st.integers(0, 12),  # when it is cancelled
)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 3), st.integers(0, 2), st.lists(_ONE, max_size=12))
def test_no_place_is_lost_or_won_whoever_is_cancelled_whenever(
    connections_max: int, fails: int, crowd: list[tuple[Origin, int, bool, int, int | None]]
) -> None:
    async def main(world: World) -> None:
        world.fails = fails

        async def one(origin: Origin, steps: int, whole: bool, begin: int) -> None:
            for _ in range(begin):
                await asyncio.sleep(0)
            await world.use(origin, steps, whole)

        tasks = [asyncio.create_task(one(*who[:4])) for who in crowd]
        for now in range(13):
            for task, who in zip(tasks, crowd, strict=True):
                if who[4] == now:
                    task.cancel()
            await asyncio.sleep(0)
        ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        for end in ends:
            assert end is None or isinstance(end, asyncio.CancelledError | ConnectionRefusedError)

    run(connections_max, main)
