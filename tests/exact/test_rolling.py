"""Replicas that are replaced one by one under load: nobody notices, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from collections import Counter
from typing import Any

import aiohttp

from audit import audit, settled
from balancer import Balancer, balanced
from plant import GatewayProcess, Plant, running
from policy import MODELS, amounts, policy_text

PER_SECOND = 15
KEPT_SECONDS = 0.5  # how long a client keeps an idle connection: less than the drain
DRAIN_SECONDS = 1.5
CHUNK_DELAY_SECONDS = 0.25  # a stream of eight words outlives the drain
MODEL = MODELS["requests"]
WORDS = "one two three four five six seven eight"


async def ask(session: aiohttp.ClientSession, url: str, streams: bool) -> str:
    """One request; `ok`, or what was wrong with the answer."""
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": WORDS}],
        "stream": streams,
        "simulate": {"chunk_delay_seconds": CHUNK_DELAY_SECONDS if streams else 0},
    }
    try:
        async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
            text = await answer.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        return type(error).__name__
    if answer.status != 200:
        return f"HTTP {answer.status}"
    said = _streamed(text) if streams else json.loads(text)["choices"][0]["message"]["content"]
    return "ok" if said == WORDS else f"answered {said!r}"


def _streamed(text: str) -> str:
    events = [line.removeprefix("data: ") for line in text.splitlines() if line]
    if events[-1] != "[DONE]":
        return f"ended with {events[-1]}"
    choices = [choice for event in events[:-1] for choice in json.loads(event)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def load(url: str, key: str, ended: asyncio.Event) -> Counter[str]:
    """So many requests a second, whether earlier ones were answered or not; what came of them."""
    seen: Counter[str] = Counter()
    chance = random.Random(5)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_SECONDS)
    headers = {"authorization": f"Bearer {key}"}

    async def one(session: aiohttp.ClientSession) -> None:
        seen[await ask(session, url, chance.random() < 0.5)] += 1

    async with (
        aiohttp.ClientSession(connector=connector, headers=headers) as session,
        asyncio.TaskGroup() as group,
    ):
        while not ended.is_set():
            group.create_task(one(session))
            await asyncio.sleep(1 / PER_SECOND)
    return seen


async def restarted(gateway: GatewayProcess, balancer: Balancer) -> None:
    """Ended by SIGTERM, begun again, and ready in the eyes of the balancer."""
    assert await asyncio.to_thread(gateway.end, signal.SIGTERM) == 0
    gateway.start()
    await balancer.ready(gateway)


async def rolled(plant: Plant) -> tuple[Counter[str], int]:
    """What clients saw, and how many connections nobody took."""
    key = await asyncio.to_thread(plant.key, "by-requests")
    async with balanced(plant.gateways) as balancer:
        await balancer.ready(*plant.gateways)
        ended = asyncio.Event()
        clients = asyncio.create_task(load(balancer.url, key, ended))
        await asyncio.sleep(1)
        for gateway in plant.gateways:
            await restarted(gateway, balancer)
        await asyncio.sleep(1)
        ended.set()
        return await clients, balancer.refused


def test_a_rolling_restart_under_load_breaks_no_stream_and_loses_no_entry() -> None:
    settings: dict[str, Any] = {
        "drain_seconds": str(DRAIN_SECONDS),
        "shutdown_grace_seconds": "20",
        "log_level": "info",
    }
    with running(policy_text(amounts(10**6)), 2, shared=True, **settings) as plant:
        seen, refused = asyncio.run(rolled(plant))
        assert set(seen) == {"ok"}, seen
        assert refused == 0
        first = plant.gateways[0]
        settled(plant, first, seconds=30)
        found = audit(plant, first)
        assert (found.served, found.entries) == (seen["ok"], seen["ok"])
        assert (found.lost, found.short, found.doubled) == ([], [], [])
        assert (found.open, found.unsent) == (0, 0)
        for gateway in plant.gateways:
            ended = [line for line in gateway.log.read_text().splitlines() if '"stopp' in line]
            events = [json.loads(line) for line in ended]
            assert [one["event"] for one in events] == ["stopping", "stopped"]
            assert events[0]["inflight"] > 0, "it was ended as it had nothing to do"
