"""How the kernel deals connections out to several sockets on one port (SO_REUSEPORT), as workers
bind theirs: each goes where a hash of its addresses says, however many are there already."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterable, Sequence
from statistics import median

from gateway.edge.server import bind, open_to_callers


def busiest_shares(workers: int, connections: int, times: int) -> list[float]:
    """Of each time that so many connections are opened, the share of who got most of them."""
    first = bind("127.0.0.1", 0, reuse_port=True)
    port = first.getsockname()[1]
    others = [bind("127.0.0.1", port, reuse_port=True) for _ in range(workers - 1)]
    listening = [first, *others]
    for one in listening:
        open_to_callers(one)
    try:
        return [max(_dealt(listening, port, connections)) / connections for _ in range(times)]
    finally:
        for one in listening:
            one.close()


def spread_table(workers: Iterable[int], connections: Sequence[int], times: int) -> str:
    """A line for each number of workers: the busiest one's share, in the middle and at worst."""
    head = "".join(f"{f'{count} connections':>22}" for count in connections)
    lines = [f"{'':22}{head}"]
    for many in workers:
        cells = []
        for count in connections:
            shares = busiest_shares(many, count, times)
            cells.append(f"{f'{median(shares):.0%}, at worst {max(shares):.0%}':>22}")
        lines.append(f"{f'{many} workers ({1 / many:.0%} each)':22}" + "".join(cells))
    return "\n".join(lines)


def _dealt(listening: Sequence[socket.socket], port: int, connections: int) -> list[int]:
    callers = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    counts = [0] * len(listening)
    while sum(counts) < connections:
        ready, _, _ = select.select(listening, [], [], 5)
        if not ready:
            raise TimeoutError(f"{connections - sum(counts)} connections came nowhere")
        for one in ready:
            accepted, _ = one.accept()
            accepted.close()
            counts[listening.index(one)] += 1
    for caller in callers:
        caller.close()
    return counts
