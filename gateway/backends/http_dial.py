"""A connected TCP socket to a host by name. Where it has several addresses they are raced, as
RFC 8305 says: uvloop would try them one after the other, so that one that is dead costs the whole
time-out."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any

HEAD_START_SECONDS = 0.25  # before the next address is tried as well

Address = tuple[socket.AddressFamily, Any]


async def dial(host: str, port: int) -> socket.socket:
    """Raises OSError, the first address's where none can be reached."""
    addresses = in_turn((one[0], one[4]) for one in await _found(host, port))
    if not addresses:
        raise OSError("the host has no address")
    if len(addresses) == 1:
        return await _connected(*addresses[0])
    return await _first(addresses)


def in_turn(addresses: Iterable[Address]) -> list[Address]:
    """The system's order, but the families take turns, beginning with that of the first."""
    by_family: dict[socket.AddressFamily, list[Address]] = {}
    for address in dict.fromkeys(addresses):
        by_family.setdefault(address[0], []).append(address)
    return [one for one in chain.from_iterable(zip_longest(*by_family.values())) if one]


async def _found(host: str, port: int) -> list[tuple[Any, ...]]:
    loop = asyncio.get_running_loop()
    return list(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))


async def _connected(family: socket.AddressFamily, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


async def _first(addresses: Sequence[Address]) -> socket.socket:
    tasks: list[asyncio.Task[socket.socket]] = []
    running: set[asyncio.Task[socket.socket]] = set()
    winner: socket.socket | None = None
    try:
        while winner is None:
            if len(tasks) < len(addresses):
                tasks.append(asyncio.create_task(_connected(*addresses[len(tasks)])))
                running.add(tasks[-1])
            wait = HEAD_START_SECONDS if len(tasks) < len(addresses) else None
            done, running = await asyncio.wait(
                running, timeout=wait, return_when=asyncio.FIRST_COMPLETED
            )
            good = [task for task in tasks if task in done and task.exception() is None]
            if good:
                winner = good[0].result()
            elif not running and len(tasks) == len(addresses):
                raise tasks[0].exception() or OSError
        return winner
    finally:
        for task in tasks:
            is_over = not task.cancel() and not task.cancelled() and task.exception() is None
            if is_over and task.result() is not winner:
                task.result().close()
