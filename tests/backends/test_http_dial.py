"""Addresses raced."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from gateway.backends import http_dial
from gateway.backends.http_dial import dial, in_turn

pytestmark = pytest.mark.usefixtures("each_loop")
SIX, FOUR = socket.AF_INET6, socket.AF_INET


def test_families_take_turns_in_the_order_of_the_system() -> None:
    found = [(SIX, "a"), (SIX, "b"), (SIX, "b"), (FOUR, "c"), (SIX, "d")]
    assert in_turn(found) == [(SIX, "a"), (FOUR, "c"), (SIX, "b"), (SIX, "d")]
    assert in_turn([]) == []


def full() -> tuple[socket.socket, list[socket.socket]]:
    """A socket that accepts nobody: its queue is full."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(server.getsockname())
    return server, fillers


def dialled(monkeypatch: pytest.MonkeyPatch, addresses: list[Any]) -> Any:
    """Who answered at the addresses that a name has."""

    async def main() -> Any:
        async def found(*_: Any, **__: Any) -> list[Any]:
            return [(FOUR, socket.SOCK_STREAM, 0, "", address) for address in addresses]

        with monkeypatch.context() as patch:
            patch.setattr(http_dial, "_found", found)
            async with asyncio.timeout(10):
                sock = await dial("some.name", 80)
        with sock:
            return sock.getpeername()

    return asyncio.run(main())


def test_one_that_does_not_answer_or_refuses_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dead, fillers = full()
    with dead, socket.socket() as shut, socket.socket() as good:
        shut.bind(("127.0.0.1", 0))
        good.bind(("127.0.0.1", 0))
        good.listen(8)
        places = {name.getsockname(): name for name in (dead, shut, good)}
        assert dialled(monkeypatch, list(places)) == good.getsockname()
        assert dialled(monkeypatch, [good.getsockname()]) == good.getsockname()
        with pytest.raises(ConnectionRefusedError):
            dialled(monkeypatch, [shut.getsockname(), shut.getsockname(), ("127.0.0.1", 1)])
        with pytest.raises(OSError, match="no address"):
            dialled(monkeypatch, [])
    for filler in fillers:
        filler.close()


def test_leaving_closes_all_that_were_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    dead, fillers = full()
    other, more = full()

    async def main() -> None:
        async def found(*_: Any, **__: Any) -> list[Any]:
            return [(FOUR, 0, 0, "", place.getsockname()) for place in (dead, other)]

        monkeypatch.setattr(http_dial, "_found", found)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4):
                await dial("some.name", 80)

    asyncio.run(main())  # a socket that is not closed is a warning, and so an error
    for sock in (dead, other, *fillers, *more):
        sock.close()
