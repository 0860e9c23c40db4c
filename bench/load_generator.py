"""A load generator over bare sockets that looks at every answer.

Closed loop: so many connections, each sending its next request when its last one is answered. Open
loop: so many requests a second whatever the answers do, each latency counted from when the request
was due and not from when it could be sent, so that a stall is paid by all who would have met it.
No two requests have the same text, so that nothing in between can remember what it found in one.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from array import array
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any, cast

from fake_upstream import DONE, LAST_CHUNK, said
from kernel_timer import KernelTimer
from load_request import Load, request_parts, streamed_text, whom

CONNECTIONS_MAX = 512  # of an open loop; beyond, requests wait here, and their latencies say so
READ_EVERY = 16  # of streams, whose whole text is compared; JSON answers are all
ERRORS_KEPT = 3
ANSWER_SECONDS = 60  # an open loop that is too fast for a contestant is waited for so long

_STATUS = re.compile(rb"HTTP/1\.1 (\d+)")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_FIRST_TEXT = re.compile(rb'"content": ?"[^"]')


@dataclass(slots=True)
class Outcome:
    """What came back: latencies in seconds. `late` is by how much an open loop sent after a
    request was due: this program's own share of a latency."""

    sent: int = 0
    seconds: float = 0.0
    latencies: array[float] = field(default_factory=lambda: array("d"))
    first_texts: array[float] = field(default_factory=lambda: array("d"))
    late: array[float] = field(default_factory=lambda: array("d"))
    errors: list[str] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """Figures without the single values; times in milliseconds."""
        return {
            "sent": self.sent,
            "answered": len(self.latencies),
            "seconds": self.seconds,
            "per_second": len(self.latencies) / self.seconds,
            "latency_ms": quantiles(self.latencies),
            "first_text_ms": quantiles(self.first_texts),
            "late_ms": quantiles(self.late),
            "errors": self.errors[:ERRORS_KEPT],
        }


def quantiles(seconds: array[float]) -> dict[str, float]:
    """Milliseconds at some quantiles, by the nearest rank; empty for nothing."""
    if not seconds:
        return {}
    ranked = sorted(seconds)
    last = len(ranked) - 1
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: ranked[round(share * last)] * 1000 for name, share in shares.items()}


class _Connection(asyncio.Protocol):
    """One connection with at most one request on it."""

    def __init__(self, load: Load, answered: Callable[[_Connection, str], None]) -> None:
        self._stream = load.stream
        self._answered = answered
        self._transport: asyncio.Transport
        self._whom = b""
        self._number = 0
        self.busy = False
        self.due = 0.0
        self._forget()

    def _forget(self) -> None:
        self._pieces: list[bytes] = []
        self._size = self._got = 0  # of the answer in bytes; 0: not known yet, -1: in chunks
        self._tail = b""
        self.first_text = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send(self, before: bytes, behind: bytes, number: int, due: float) -> None:
        self._forget()
        self.busy, self.due = True, due
        self._number, self._whom = number, whom(number)
        self._transport.write(b"".join((before, self._whom, behind)))

    def data_received(self, data: bytes) -> None:
        self._pieces.append(data)
        self._got += len(data)
        if not self._size:
            self._read_head()
        if self._stream and not self.first_text and _FIRST_TEXT.search(data):
            self.first_text = perf_counter()
        if self._size > 0:
            whole = self._got >= self._size
        else:
            self._tail = (self._tail + data)[-len(LAST_CHUNK) :]
            whole = self._size < 0 and self._tail == LAST_CHUNK
        if whole:
            self.busy = False
            self._answered(self, self._wrong())

    def connection_lost(self, error: Exception | None) -> None:
        if self.busy:
            self.busy = False
            got = b"".join(self._pieces)[:200]
            self._answered(self, f"the connection ended in an answer: {error} {got!r}")

    def _read_head(self) -> None:
        head, end, _ = b"".join(self._pieces).partition(b"\r\n\r\n")
        if end:
            length = _LENGTH.search(head)
            self._size = len(head) + len(end) + int(length[1]) if length else -1

    def _wrong(self) -> str:
        """What is wrong with the answer; nothing if it is the right one to what was asked."""
        answer = b"".join(self._pieces)
        status = _STATUS.match(answer)
        if status is None or status[1] != b"200":
            return f"not a 200: {answer[:300]!r}"
        if self._stream:
            if DONE not in answer[-64:] or not self.first_text:
                return f"half a stream: {answer[-200:]!r}"
            if self._number % READ_EVERY:
                return ""
            text = streamed_text(answer)
            return "" if text == said(self._whom.decode()) else f"another text: {text!r}"
        return "" if self._whom in answer else f"not to {self._whom!r}: {answer[-300:]!r}"

    def close(self) -> None:
        self._transport.close()


class LoadGenerator:
    """One load, sent once by `run`."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._before, self._behind = request_parts(load)
        self._outcome = Outcome()
        self._idle: list[_Connection] = []
        self._waiting: deque[float] = deque()  # when they were due that have no connection yet
        self._open = 0
        self._over = False  # nothing more falls due
        self._answered_at = 0.0
        self._drained = asyncio.Event()

    async def run(self) -> Outcome:
        """Return when everything that was sent is answered, or when an answer is wrong."""
        load = self._load
        count = load.connections or min(CONNECTIONS_MAX, max(16, int(load.per_second / 8)))
        connections = [await self._connect() for _ in range(count)]
        began = perf_counter()
        try:
            async with asyncio.timeout(load.seconds + ANSWER_SECONDS):
                await (self._keep_rate if load.per_second else self._keep_busy)(connections, began)
                await self._drained.wait()
        except TimeoutError:
            waiting = f"{self._open} answers are missing, {len(self._waiting)} were not asked for"
            self._outcome.errors.append(f"{waiting}, {ANSWER_SECONDS} s after the end")
        self._outcome.seconds = max(self._answered_at - began, 1e-9)
        for one in connections:
            one.close()
        return self._outcome

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(
            lambda: _Connection(self._load, self._answered), "127.0.0.1", self._load.port
        )
        return made

    async def _keep_busy(self, connections: list[_Connection], began: float) -> None:
        for one in connections:
            self._send(one, began)
        with suppress(TimeoutError):
            await asyncio.wait_for(
                self._drained.wait(), began + self._load.seconds - perf_counter()
            )
        self._end()

    async def _keep_rate(self, connections: list[_Connection], began: float) -> None:
        self._idle = connections.copy()
        step = 1 / self._load.per_second
        number, count = 0, int(self._load.seconds * self._load.per_second)
        with KernelTimer(began, step) as timer:
            while number < count and not self._over:
                await timer.tick()
                while number < count and (due := began + number * step) <= perf_counter():
                    number += 1
                    if self._idle:
                        self._send(self._idle.pop(), due)
                    else:
                        self._waiting.append(due)
        self._end()

    def _end(self) -> None:
        self._over = True
        if not self._open and not self._waiting:
            self._drained.set()

    def _send(self, one: _Connection, due: float) -> None:
        outcome = self._outcome
        if self._load.per_second:
            outcome.late.append(perf_counter() - due)
        self._open += 1
        one.send(self._before, self._behind, self._load.first + outcome.sent, due)
        outcome.sent += 1

    def _answered(self, one: _Connection, wrong: str) -> None:
        self._answered_at = now = perf_counter()
        self._open -= 1
        outcome = self._outcome
        if wrong:
            if wrong not in outcome.errors:
                outcome.errors.append(wrong)
            self._waiting.clear()
            self._over = True  # a run with a wrong answer counts for nothing
        else:
            outcome.latencies.append(now - one.due)
            if one.first_text:
                outcome.first_texts.append(one.first_text - one.due)
        if self._waiting:
            self._send(one, self._waiting.popleft())
        elif self._load.per_second:
            self._idle.append(one)
        elif not self._over:
            self._send(one, now)
        if self._over and not self._open:
            self._drained.set()


async def _measured(load: Load, warm_seconds: float) -> dict[str, Any]:
    """A warm-up that is answered to the end, a word to whoever reads CPU times, then the load."""
    warm = await LoadGenerator(Load(**asdict(load) | {"seconds": warm_seconds})).run()
    if warm.errors:
        return warm.report()  # in place of the word
    await asyncio.sleep(0.15)  # what the warm-up left to be written is written
    print("begin", flush=True)
    sys.stdin.readline()
    outcome = await LoadGenerator(Load(**asdict(load) | {"first": load.first + warm.sent})).run()
    return outcome.report() | {"sent_warm": warm.sent}


def main() -> None:
    """Standard input: a line with a load and `warm_seconds` as JSON, and one to go on."""
    import uvloop

    told = json.loads(sys.stdin.readline())
    warm_seconds = told.pop("warm_seconds")
    print(json.dumps(uvloop.run(_measured(Load(**told), warm_seconds))), flush=True)


if __name__ == "__main__":
    main()
