"""Many open streams on one process of the gateway, and what each takes of its memory.

The gateway and its upstream are processes of their own, as the crash test starts them."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import aiohttp

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests/exact"))

from plant import UPSTREAM_KEY, GatewayProcess, Upstream
from plant import signal as signals

POLICY = """
upstreams:
  sim: {{base_url: "{url}", api_key_env: GROWTH_KEY, idle_timeout: 600s, total_timeout: 1200s}}
models:
  echo: {{upstream: sim, endpoints: [chat], price: {{input: 1, output: 2}}, context: 128000,
         max_output: 16384, default_output: 4096, tokenizer: o200k}}
redaction: {{standard: {{score_min: 0.4, entities: {{EMAIL_ADDRESS: placeholder}}}}}}
plans: {{std: {{models: ["*"], redaction: standard}}}}
organizations:
  org: {{timezone: UTC, currency: USD, defaults: {{plan: std}}, projects: {{demo: {{}}}}}}
"""
OPENED_AT_ONCE = 50
TEXT = "Tell me a story about a gateway that writes down what it lets through. " * 4
DEADLINE_SECONDS = 180


def memory_kib(pid: int) -> int:
    """Resident memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


async def open_streams(count: int, folder: Path) -> dict[str, float]:
    upstream = Upstream(folder / "upstream")
    policies = folder / "gateway/policies"
    policies.mkdir(parents=True)
    (policies / "policy.yaml").write_text(POLICY.format(url=upstream.base_url))
    environment = {
        "GROWTH_KEY": UPSTREAM_KEY,
        "GATEWAY_REQUESTS_MAX": str(2 * count),
        "GATEWAY_REQUESTS_PER_KEY_MAX": str(2 * count),
        "GATEWAY_CONNECTIONS_PER_ADDRESS_MAX": str(4 * count),
        "GATEWAY_UPSTREAM_CONNECTIONS_MAX": str(2 * count),
        "GATEWAY_LOG_LEVEL": "error",
    }
    gateway = GatewayProcess(folder / "gateway", environment)
    try:
        gateway.start()
        await asyncio.to_thread(gateway.ready)
        made = gateway.command("key", "create", "--project", "demo", "--name", "growth", "--json")
        return await _measured(gateway, json.loads(made)["key"], count)
    finally:
        gateway.end(signals.SIGKILL)
        upstream.end(signals.SIGKILL)


async def _measured(gateway: GatewayProcess, key: str, count: int) -> dict[str, float]:
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=None)
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, headers=headers
    ) as session:
        for _ in range(20):
            await _plain(session, gateway.url)
        before = memory_kib(gateway.pid)
        gate, begun = asyncio.Semaphore(OPENED_AT_ONCE), time.perf_counter()

        async def one() -> aiohttp.ClientResponse:
            async with gate:
                return await _opened(session, gateway.url)

        async with asyncio.timeout(DEADLINE_SECONDS):
            answers = await asyncio.gather(*(one() for _ in range(count)))
        opened = time.perf_counter() - begun
        inflight = gateway.metric("gateway_inflight_requests")
        memory = memory_kib(gateway.pid)
        waits = []
        for _ in range(20):
            begun = time.perf_counter()
            await _plain(session, gateway.url)
            waits.append(time.perf_counter() - begun)
        for answer in answers:
            answer.close()
    return {
        "streams open": inflight,
        "opened in, s": opened,
        "memory before, MiB": before / 1024,
        "memory with all open, MiB": memory / 1024,
        "memory of a stream, KiB": (memory - before) / count,
        "a short request meanwhile, ms (median)": 1000 * sorted(waits)[10],
    }


async def _opened(session: aiohttp.ClientSession, url: str) -> aiohttp.ClientResponse:
    """A stream of which two events came; then its upstream sends nothing more."""
    answer = await session.post(f"{url}/v1/chat/completions", json=_body(stream=True))
    assert answer.status == 200, await answer.text()
    for _ in range(4):
        await answer.content.readline()
    return answer


async def _plain(session: aiohttp.ClientSession, url: str) -> None:
    async with session.post(f"{url}/v1/chat/completions", json=_body(stream=False)) as answer:
        assert answer.status == 200, await answer.text()
        await answer.read()


def _body(*, stream: bool) -> dict[str, object]:
    body: dict[str, object] = {
        "model": "echo", "stream": stream, "messages": [{"role": "user", "content": TEXT}],
        "max_tokens": 200,
    }  # fmt: skip
    return body | ({"simulate": {"hang_after_chunks": 4}} if stream else {})
