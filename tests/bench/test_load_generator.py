"""The load generator of `make bench` counts right, and sees what is wrong with an answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from fake_upstream import DONE, LAST_CHUNK, FakeUpstream, said
from load_generator import LoadGenerator, Outcome, quantiles
from load_request import PATH, Load, request_parts, streamed_text, whom

STALL_SECONDS = 0.4
Answer = Callable[[bytes], bytes]


class Counting(FakeUpstream):
    """It counts the requests of all its connections, and stalls once if it is told to."""

    def __init__(self, seen: list[float], stalls_at: int = 0) -> None:
        super().__init__()
        self._seen = seen
        self._stalls_at = stalls_at

    def data_received(self, data: bytes) -> None:
        now = self._loop.time()
        self._seen.append(now)
        begin = self._seen[self._stalls_at - 1] if len(self._seen) >= self._stalls_at else now
        if self._stalls_at and now < (end := begin + STALL_SECONDS):
            self._loop.call_at(end, super().data_received, data)
        else:
            super().data_received(data)


class Mangling(FakeUpstream):
    """Its answers are what `answer` makes of the true ones; it hangs up behind each."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._mangled = answer

    def connection_made(self, transport: Any) -> None:
        self._out = transport
        super().connection_made(self)  # type: ignore[arg-type]

    def write(self, data: bytes) -> None:
        self._out.write(self._mangled(data))
        if data.endswith(LAST_CHUNK) or b"application/json" in data:
            self._out.close()

    def is_closing(self) -> bool:
        return bool(self._out.is_closing())


def sent(make: Callable[[], FakeUpstream], **load: Any) -> Outcome:
    async def run() -> Outcome:
        loop = asyncio.get_running_loop()
        async with await loop.create_server(make, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await LoadGenerator(Load(port, **load)).run()

    return asyncio.run(run())


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_a_closed_loop_counts_every_request_that_the_upstream_had(stream):
    seen: list[float] = []
    outcome = sent(lambda: Counting(seen), seconds=0.3, connections=4, stream=stream)
    assert outcome.errors == []
    assert outcome.sent == len(outcome.latencies) == len(seen) > 4
    assert len(outcome.first_texts) == (outcome.sent if stream else 0)


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_an_open_loop_sends_what_is_due_and_no_more(stream):
    seen: list[float] = []
    outcome = sent(lambda: Counting(seen), seconds=0.5, per_second=100, stream=stream)
    assert outcome.errors == []
    assert outcome.sent == len(outcome.latencies) == len(seen) == 50
    assert all(late >= 0 for late in outcome.late)


def test_a_stall_is_paid_by_all_that_were_due_in_it_and_not_by_those_on_the_way_alone():
    """At 100 a second, 30 are due at least 0.1 s before the end of a stall of 0.4 s; there are 16
    connections, so that a good part of them is not even sent in it."""
    outcome = sent(lambda: Counting([], stalls_at=10), seconds=2, per_second=100)
    assert outcome.errors == []
    assert len(outcome.latencies) == 200
    assert sum(latency >= 0.1 for latency in outcome.latencies) >= 25
    assert quantiles(outcome.latencies)["p99"] >= 300


def test_a_delay_of_the_upstream_is_in_every_latency():
    outcome = sent(FakeUpstream, seconds=0.3, connections=8, model="bench-50ms")
    assert outcome.errors == []
    assert min(outcome.latencies) >= 0.049


@pytest.mark.parametrize(
    ("stream", "answer", "wrong"),
    [
        (False, lambda data: data.replace(b"ada.", b"bob."), "not to"),
        (False, lambda data: data.replace(b"200 OK", b"503 No"), "not a 200"),
        (False, lambda data: data[:-10], "the connection ended in an answer"),
        (True, lambda data: data.replace(b"word5", b"word6"), "another text"),
        (True, lambda data: data.replace(DONE, b"data: [NONE]\n\n"), "half a stream"),
        (True, lambda data: data.replace(b"0\r\n\r\n", b""), "the connection ended in an answer"),
    ],
)
def test_a_wrong_answer_ends_the_run_and_is_told(stream, answer, wrong):
    outcome = sent(lambda: Mangling(answer), seconds=5, connections=1, stream=stream)
    assert [error[: len(wrong)] for error in outcome.errors] == [wrong]
    assert outcome.sent == 1


@pytest.mark.parametrize("size", [200, 2000, 20_000])
def test_a_prompt_has_the_size_that_was_asked_for_and_names_whom_it_is_about(size):
    before, behind = request_parts(Load(80, 1, prompt_bytes=size))
    head, _, start = before.partition(b"\r\n\r\n")
    body = start + whom(7) + behind
    (message,) = json.loads(body)["messages"]
    assert len(message["content"].encode()) == size
    assert f"Write to {whom(7).decode()} that" in message["content"]
    assert f"content-length: {len(body)}".encode() in head


def test_events_are_read_that_a_proxy_cut_in_two():
    event = b'data: {"choices":[{"delta":{"content":"so far"}}]}\n\n'
    parts = event[:40], event[40:] + DONE
    framed = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    assert streamed_text(b"HTTP/1.1 200 OK\r\n\r\n" + framed + LAST_CHUNK) == "so far"


def test_no_two_requests_are_about_the_same_address():
    assert len({whom(number) for number in range(50_000)}) == 50_000
    assert len({len(whom(26**power)) for power in range(6)}) == 1


def test_quantiles_are_in_milliseconds_and_by_rank():
    outcome = Outcome()
    outcome.latencies.extend(number / 1000 for number in range(101, 0, -1))
    assert quantiles(outcome.latencies) == {"p50": 51, "p90": 91, "p99": 100, "max": 101}


def test_the_upstream_reads_chunked_requests_and_says_back_what_it_was_told():
    prompt = json.dumps({"messages": [{"role": "user", "content": "Write to me@x.org that"}]})
    cut = prompt.index("me@")  # inside of what it has to find
    framed = "".join(f"{len(part):x}\r\n{part}\r\n" for part in (prompt[:cut], prompt[cut:]))
    request = f"POST {PATH} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{framed}0\r\n\r\n"

    async def run() -> bytes:
        loop = asyncio.get_running_loop()
        async with await loop.create_server(FakeUpstream, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(request.encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.rpartition(b"content-length: ")[2])
            body = await reader.readexactly(length)
            writer.close()
            await writer.wait_closed()
            return body

    message = json.loads(asyncio.run(run()))["choices"][0]["message"]
    assert message["content"] == said("me@x.org")
