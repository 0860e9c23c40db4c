"""`make bench-cohort`: a request's CPU with cohort scheduling, and where each goes on as far as it
can. In one process, taking turns, through the whole exchange on a real SQLite book; without HTTP,
over an upstream that answers at once."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from statistics import median

import uvloop

import gateway.exchange
import gateway.redaction
from contestants import full_policy, prepared
from fake_upstream import JSON_BEFORE, JSON_BEHIND
from gateway.app import assembled
from gateway.call import Call
from gateway.cli.project import policy_of
from gateway.cli.serve import tune_interpreter
from gateway.cohort import abreast
from gateway.exchange import exchange
from gateway.forward import Headers, Reply, Target
from gateway.logs.log import build_log
from gateway.meters.metrics import Meters
from gateway.parts import Parts, State
from gateway.policy.policy import Endpoint
from gateway.request_id import new_request_id
from gateway.settings import load
from kernel_counts import Cores
from load_request import Load, request_parts, whom
from yard import Yard

AT_ONCE = (1, 16, 64, 256)
ROOMS = (gateway.exchange, gateway.redaction)  # where requests go abreast
_WHOM = re.compile(rb"Write to (\S+) that")


async def _alone(_: State) -> None:
    """Nobody is waited for."""


class Answering:
    """An upstream that answers at once, about whom it was asked."""

    @asynccontextmanager
    async def send(
        self, target: Target, path: str, headers: Headers, body: bytes
    ) -> AsyncIterator[Reply]:
        about = _WHOM.search(body)
        assert about is not None
        answer = JSON_BEFORE + about[1] + JSON_BEHIND

        async def pieces() -> AsyncIterator[bytes]:
            yield answer

        yield Reply(200, [("content-type", "application/json")], pieces())


class Requests:
    """`request` is one whole exchange, and checks that its answer is its own."""

    def __init__(self, parts: Parts, authorization: str) -> None:
        self._parts = parts
        self._headers = [("authorization", authorization)]
        head_and_before, self._behind = request_parts(Load(port=1, seconds=0))
        self._before = head_and_before.partition(b"\r\n\r\n")[2]
        self._count = 0

    async def request(self) -> None:
        self._count += 1
        about = whom(self._count)
        body = self._before + about + self._behind

        async def read_body() -> bytes:
            return body

        now = self._parts.clock()
        call = Call(
            id=new_request_id(now, self._parts.id_bytes), now=now, endpoint=Endpoint.CHAT,
            engine=None, headers=self._headers, read_body=read_body,
            caller_left=lambda: False, keep_on=lambda: None,
        )  # fmt: skip
        async with exchange(call, self._parts) as answer:
            said = b"".join([piece async for piece in answer.pieces()])
        assert answer.status == 200, said
        assert about in said, said

    async def cpu_us(self, at_once: int, count: int) -> float:
        """Of the process, for each of some `count` requests."""

        async def one_by_one(share: int) -> None:
            for _ in range(share):
                await self.request()

        share = max(1, count // at_once)
        before = time.process_time()
        await asyncio.gather(*(one_by_one(share) for _ in range(at_once)))
        return (time.process_time() - before) / (share * at_once) * 1e6


async def compare(requests: Requests, rounds: int, count: int) -> None:
    ways: dict[str, Callable[[State], Awaitable[None]]] = {"alone": _alone, "abreast": abreast}
    print(f"us of CPU a request, medians of {rounds} rounds of {count}, and the least")
    print(f"{'at once':>8}" + "".join(f"{way:>18}" for way in ways))
    for at_once in AT_ONCE:
        taken: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, step in ways.items():
                for room in ROOMS:
                    room.abreast = step  # type: ignore[attr-defined]
                taken[way].append(await requests.cpu_us(at_once, count))
        told = "".join(f"{median(us):>12.0f} {min(us):>5.0f}" for us in taken.values())
        print(f"{at_once:>8}{told}", flush=True)


async def _run(rounds: int, count: int) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-cohort-")))
        cores = Cores.of(sorted(os.sched_getaffinity(0)))
        yard = Yard(folder, stack, cores, {})
        yard.upstream_port = 9  # nobody is asked there
        process, made = prepared(yard, "gateway", full_policy(yard))
        os.environ.update(process.environment)
        settings, pepper = load({}), process.environment["GATEWAY_PEPPER"].encode()
        log = build_log("info", StringIO())
        async with assembled(
            settings, policy_of(settings), pepper, {}, lambda: "", log, Meters()
        ) as parts:
            requests = Requests(replace(parts, upstream=Answering()), made.headers["authorization"])
            await requests.cpu_us(16, 320)  # warm
            tune_interpreter()
            await compare(requests, rounds, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--requests", type=int, default=1024, help="of each round")
    chosen = parser.parse_args()
    uvloop.run(_run(chosen.rounds, chosen.requests))


if __name__ == "__main__":
    main()
