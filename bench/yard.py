"""Where contestants run: each alone on its core, in one folder, until the run ends."""

from __future__ import annotations

import http.client
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from kernel_counts import Cores, cpu_seconds, family, memory_bytes, on_core
from load_request import PATH, Load, request_parts, whom
from plant import Process, until

FAKE_UPSTREAM = Path(__file__).resolve().parent / "fake_upstream.py"
START_SECONDS = 60
QUIET_SECONDS = 1.0  # from the first answer to the look at the idle memory


@dataclass(slots=True)
class Contestant:
    """One that answers. `pid` is None for the upstream itself, `entries` counts those in the book;
    `stores` are the first processes of what works for it on another core."""

    name: str
    port: int
    pid: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    entries: Callable[[], int] | None = None
    stores: tuple[int, ...] = ()
    is_peer: bool = False
    start_seconds: float = 0.0
    idle_bytes: int = 0
    sent: int = 0
    failures: list[str] = field(default_factory=list)

    def cpu_seconds(self) -> float:
        return cpu_seconds(family(self.pid)) if self.pid else 0.0

    def stores_seconds(self) -> float:
        return sum(cpu_seconds(family(one)) for one in self.stores)

    def memory_bytes(self) -> int:
        return memory_bytes(family(self.pid)) if self.pid else 0

    def ask(self) -> str:
        """Ask one question: what is wrong with the answer. A right one counts as sent."""
        load = Load(self.port, 0, headers=self.headers, first=10**8 + self.sent)
        before, behind = request_parts(load)
        body = (before.partition(b"\r\n\r\n")[2] + whom(load.first) + behind).decode()
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        told = {"content-type": "application/json", **self.headers}
        try:
            with closing(link):
                link.request("POST", PATH, body, told)
                reply = link.getresponse()
                said = reply.read()
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        if reply.status != 200 or whom(load.first) not in said:
            return f"{reply.status} {said[:300]!r}"
        self.sent += 1
        return ""


@dataclass(slots=True)
class Yard:
    """Where contestants are started: everything in one folder, ended with the stack."""

    folder: Path
    stack: ExitStack
    cores: Cores
    settings: dict[str, str]
    upstream_port: int = 0

    def upstream(self) -> None:
        """Start it, and know its port from now on."""
        process = self.process("upstream", [sys.executable, str(FAKE_UPSTREAM)])
        with on_core(self.cores.upstream):
            process.start()
        line = until(process.said, "the upstream")
        self.upstream_port = int(line.split()[-1])

    def program(
        self, name: str, words: list[str], port: int, headers: dict[str, str], **settings: str
    ) -> Contestant:
        """Start a program on the contestants' core; it answers when this returns."""
        process = self.process(name, words, **settings)
        return self.started(process, Contestant(name, port, headers=headers))

    def started(self, process: Process, contestant: Contestant) -> Contestant:
        began = time.perf_counter()
        with on_core(self.cores.contestant):
            process.start()
        while wrong := contestant.ask():
            process.said()
            if time.perf_counter() > began + START_SECONDS:
                raise TimeoutError(f"{contestant.name} gives no right answer: {wrong}")
            time.sleep(0.01)
        contestant.start_seconds = time.perf_counter() - began
        contestant.pid = process.pid
        time.sleep(QUIET_SECONDS)
        contestant.idle_bytes = contestant.memory_bytes()
        return contestant

    def process(self, name: str, words: list[str], **settings: str) -> Process:
        process = Process(words, self.folder / name, settings)
        self.stack.callback(process.end, signal.SIGTERM)
        return process
