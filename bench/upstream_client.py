"""What the client of upstreams costs: CPU per exchange, ours and aiohttp's in the same run.

The upstream is fake_upstream.py in a process of its own, so that process_time is the client's
alone. Rounds take turns, and the least of each contestant counts: other work only ever adds.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop

from gateway.backends.http_upstream import HttpUpstream
from gateway.forward import OURS, Headers, Reply, Target

PATH = "/chat/completions"
JSON = (
    b'{"model": "bench", "messages": [{"role": "user", "content": "Write to ada@b.example that"}]}'
)
STREAM = JSON.replace(b'"model"', b'"stream": true, "model"')
HEADERS = [*OURS, ("x-request-id", "req_0123456789"), ("authorization", "Bearer sk-0123456789")]


class Aiohttp:
    """The same port by aiohttp, called as tersely as it can be."""

    def __init__(self, connections_max: int) -> None:
        import aiohttp

        self._timeout = aiohttp.ClientTimeout(connect=5)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections_max),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("accept", "accept-encoding", "user-agent", "content-type"),
        )

    @asynccontextmanager
    async def send(
        self, target: Target, path: str, headers: Headers, body: bytes
    ) -> AsyncIterator[Reply]:
        async with asyncio.timeout(target.total_timeout_seconds):
            response = await self._session.post(
                target.base_url + path,
                headers=headers,
                data=body,
                allow_redirects=False,
                timeout=self._timeout,
            )
        async with response:
            told = [(name.lower(), value) for name, value in response.headers.items()]
            yield Reply(response.status, told, self._pieces(target, response))

    async def _pieces(self, target: Target, response: Any) -> AsyncIterator[bytes]:
        while True:
            async with asyncio.timeout(target.idle_timeout_seconds):
                piece = await response.content.readany()
            if not piece:
                return
            yield piece

    async def aclose(self) -> None:
        await self._session.close()


async def exchange(upstream: Any, target: Target, body: bytes) -> int:
    pieces = 0
    async with upstream.send(target, PATH, HEADERS, body) as reply:
        assert reply.status == 200
        async for _ in reply.pieces:
            pieces += 1
    return pieces


async def cost(
    upstream: Any, target: Target, body: bytes, count: int, at_once: int
) -> tuple[float, float]:
    """µs of CPU an exchange, and pieces an exchange."""
    left, pieces = count, 0

    async def client() -> None:
        nonlocal left, pieces
        while left > 0:
            left -= 1
            seen = await exchange(upstream, target, body)
            pieces += seen

    gc.collect()
    begin = time.process_time()
    await asyncio.gather(*(client() for _ in range(at_once)))
    return (time.process_time() - begin) / count * 1e6, pieces / count


async def measure(port: int, rounds: int, at_once: int, old: Any) -> None:
    target = Target("bench", f"http://127.0.0.1:{port}/v1", None, 5, 60, 600)
    contestants = {"ours": HttpUpstream(at_once, ssl.create_default_context())}
    if old is not None:
        contestants = {"aiohttp": old(at_once), **contestants}
    for what, body, count in (("JSON", JSON, 4000), ("SSE of 50 chunks", STREAM, 800)):
        seen: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
        for number in range(rounds + 1):
            for name, upstream in contestants.items():
                result = await cost(upstream, target, body, count, at_once)
                if number:  # the first one warms up
                    seen[name].append(result)
        for name, results in seen.items():
            micros = sorted(result[0] for result in results)
            median = micros[len(micros) // 2]
            pieces = sum(result[1] for result in results) / len(results)
            print(
                f"{what:18} {name:8} least {micros[0]:7.1f} µs   median {median:7.1f} µs"
                f"   {pieces:5.1f} pieces   at once {at_once}"
            )
    for upstream in contestants.values():
        await upstream.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--at-once", type=int, default=16)
    options = parser.parse_args()
    try:
        import aiohttp  # noqa: F401
    except ImportError:
        old = None
    else:
        old = Aiohttp
    fake = Path(__file__).with_name("fake_upstream.py")
    with subprocess.Popen([sys.executable, fake], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline().rsplit(None, 1)[1])
            uvloop.run(measure(port, options.rounds, options.at_once, old))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
