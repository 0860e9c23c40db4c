"""A gateway with several workers on one Redis and one Postgres, and what can be seen of each."""

from __future__ import annotations

import re
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import redis

from contestants import full_policy, prepared
from gateway.backends.redis_keys import stream_of
from kernel_counts import cpu_seconds, family, memory_bytes, on_core
from plant import GatewayProcess, Postgres, Redis, free_port, until
from yard import Contestant, Yard

ORGANIZATION = "acme"
LOOKED_SECONDS = 0.1  # from one look at what waits for Postgres to the next
COUNTED_SECONDS = 1.0  # from one count of connections to the next


@dataclass(slots=True)
class Crew:
    """`start` it with so many workers, on these cores; all of them have one book."""

    process: GatewayProcess
    contestant: Contestant
    redis: Redis
    postgres: Postgres
    cores: Sequence[int]
    ops_ports: list[int] = field(default_factory=list)
    workers: list[int] = field(default_factory=list)  # process ids, as their ports

    @contextmanager
    def running(self, count: int) -> Iterator[None]:
        first = _free_ports(count)
        self.ops_ports = [first + number for number in range(count)]
        own = {"GATEWAY_WORKERS": str(count), "GATEWAY_OPS_PORT": str(first)}
        self.process.environment = {**self.process.environment, **own}
        with on_core(*self.cores):
            self.process.start()
        try:
            until(lambda: all(map(_is_ready, self.ops_ports)), f"{count} workers are ready")
            pids = family(self.process.pid)
            found = {_ops_port(pid): pid for pid in pids}
            self.workers = [found[port] for port in self.ops_ports]
            self.contestant.pid = self.process.pid
            yield
        finally:
            self.process.end(signal.SIGTERM)

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU so far, by who had them."""
        each = {f"worker {n}": cpu_seconds([pid]) for n, pid in enumerate(self.workers)}
        return each | {
            "workers": cpu_seconds(family(self.process.pid)),
            "redis": cpu_seconds(family(self.redis.pid)),
            "postgres": cpu_seconds(family(self.postgres.pid)),
        }

    def memory(self) -> list[int]:
        return [memory_bytes([pid]) for pid in self.workers]

    def served(self) -> list[float]:
        return [_metric(port, "gateway_requests_total") for port in self.ops_ports]

    def connections(self) -> list[int]:
        return [int(_metric(port, "gateway_connections")) for port in self.ops_ports]


def crew_of(yard: Yard, cores: Sequence[int]) -> Crew:
    with on_core(yard.cores.stores):
        postgres = Postgres(yard.stack)
        store = Redis(yard.folder / "redis")
    yard.stack.callback(store.end, signal.SIGKILL)
    stores = {"GATEWAY_DATABASE_URL": postgres.url, "GATEWAY_REDIS_URL": store.url}
    process, contestant = prepared(yard, "gateway-workers", full_policy(yard), stores)
    return Crew(process, contestant, store, postgres, cores)


class Watch:
    """Beside a load: how long the oldest entry has been waiting for Postgres, and how many
    connections each worker has when most are open."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._lags: list[float] = []
        self.connections: list[int] = []

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def lags(self) -> tuple[float, float]:
        """Milliseconds: in the middle, and at most."""
        found = self._lags or [0.0]
        return median(found), max(found)

    def _look(self) -> None:
        counted = time.monotonic()
        with redis.Redis(port=self._crew.redis.port) as client:
            while not self._over.wait(LOOKED_SECONDS):
                rows = client.xrange(stream_of(ORGANIZATION), count=1)
                oldest = int(rows[0][0].split(b"-")[0]) if rows else time.time() * 1000
                self._lags.append(max(0.0, time.time() * 1000 - oldest))
                if time.monotonic() - counted > COUNTED_SECONDS:
                    counted = time.monotonic()
                    self.connections = max(self.connections, self._crew.connections(), key=sum)


def per_request(
    before: Mapping[str, float], after: Mapping[str, float], sent: int
) -> dict[str, float]:
    """Microseconds."""
    return {name: (after[name] - before[name]) / sent * 1e6 for name in before}


def _ops_port(pid: int) -> int:
    words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next(int(w.partition(b"=")[2]) for w in words if w.startswith(b"GATEWAY_OPS_PORT="))


def _metric(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return sum(map(float, re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE)))


def _is_ready(port: int) -> bool:
    with (
        suppress(OSError),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer,
    ):
        return bool(answer.status == 200)
    return False


def _free_ports(count: int) -> int:
    """The first of so many that follow each other; taken soon, so that hardly anybody comes
    between."""
    while True:
        first = free_port()
        if first + count < 2**16 and all(map(_is_free, range(first, first + count))):
            return first


def _is_free(port: int) -> bool:
    with suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False
