"""Load as a company has it, with private values in it, and faults in phases.

What goes wrong in a phase is asked of the simulated upstream by the requests themselves, or done
to the processes: Redis and Postgres away, a gateway killed, a policy with an error."""

from __future__ import annotations

import asyncio
import random
import signal
from dataclasses import dataclass
from typing import Any

import aiohttp

from plant import Plant

PROJECTS = {"search": 5, "support": 3, "research": 3, "intern": 2}
"""How often each project asks, in proportion."""
MODELS = {
    "gpt-4o-mini": 6,
    "gpt-4o": 3,
    "mistral-large": 3,
    "text-embedding-3-small": 2,
    "of-no-policy": 0.3,
}
TEXTS = {
    "Summarize our quarterly report in three sentences, please.": 8,
    "Answer ada.lovelace@example.com that her order is on its way.": 4,
    "Call grace at +1 202-555-0143 or write to grace@example.com.": 2,
    "Refund to DE89 3704 0044 0532 0130 00, and log 192.0.2.44.": 2,
    "My card is 4111 1111 1111 1111, why was it declined?": 1,
}
LEAK = "Ask our engineer at alan.turing@example.com about this."
REQUEST_SECONDS = 20


def keys_of(plant: Plant) -> dict[str, str]:
    """A key for each project, made where there is none."""
    return {name: plant.key(name) for name in PROJECTS}


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the whole run, and what fails in it. `faults` of the upstream by model."""

    share: float
    name: str
    faults: dict[str, dict[str, Any]]


PHASES = (
    Phase(0.2, "calm", {}),
    Phase(0.2, "an upstream fails", {"mistral-large": {"error": 500}}),
    Phase(0.05, "calm", {}),
    Phase(0.15, "redis away", {}),
    Phase(0.15, "postgres away", {"gpt-4o": {"error": 429}}),
    Phase(0.1, "an upstream is slow", {"gpt-4o": {"delay_seconds": 1.5}}),
    Phase(0.15, "a gateway killed, a policy with an error", {"mistral-large": {"hang": True}}),
)


async def load(
    plant: Plant, keys: dict[str, str], seconds: float, per_second: float, seed: int = 1
) -> None:
    """All phases in order; returns when the last request was answered and all is mended."""
    chance = random.Random(seed)
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        asyncio.TaskGroup() as group,
    ):
        for phase in PHASES:
            fault = asyncio.create_task(_broken(plant, phase.name, seconds * phase.share))
            for _ in range(round(per_second * seconds * phase.share)):
                await asyncio.sleep(chance.expovariate(per_second))
                group.create_task(_one(session, plant, keys, phase, chance))
            await fault


async def _broken(plant: Plant, name: str, seconds: float) -> None:
    """What the phase does to the processes; mended before it is over."""
    away = seconds * 0.7
    if name == "redis away":
        assert plant.redis is not None
        plant.redis.end(signal.SIGKILL)
        await asyncio.sleep(away)
        plant.redis.start()
        await asyncio.to_thread(plant.redis.ready)
    elif name == "postgres away":
        assert plant.postgres is not None
        await asyncio.to_thread(plant.postgres.kill)
        await asyncio.sleep(away)
        await asyncio.to_thread(plant.postgres.start)
    elif name.startswith("a gateway killed"):
        policy = plant.folder / "policies" / "exact.yaml"
        good = policy.read_text()
        policy.write_text(good.replace("per: month", "per: fortnight"))
        first = plant.gateways[0]
        await asyncio.to_thread(first.end, signal.SIGKILL)
        await asyncio.sleep(away)
        policy.write_text(good)
        first.start()
        await asyncio.to_thread(first.ready)


async def _one(
    session: aiohttp.ClientSession,
    plant: Plant,
    keys: dict[str, str],
    phase: Phase,
    chance: random.Random,
) -> None:
    project, model = _pick(PROJECTS, chance), _pick(MODELS, chance)
    key = keys[project] if chance.random() > 0.01 else "sk-wrong"
    text, is_stream = _pick(TEXTS, chance), chance.random() < 0.5
    simulate = {"chunk_delay_seconds": chance.expovariate(50), **phase.faults.get(model, {})}
    if chance.random() < 0.05:
        simulate["answer"] = LEAK
    body: dict[str, Any] = {
        "model": model, "messages": [{"role": "user", "content": text}],
        "max_tokens": chance.randrange(8, 64), "stream": is_stream, "simulate": simulate,
    }  # fmt: skip
    path = "chat/completions"
    if model.startswith("text-embedding"):
        path, body = "embeddings", {"model": model, "input": text}
    leaves = is_stream and chance.random() < 0.05
    url = f"{chance.choice(plant.urls)}/v1/{path}"
    try:
        async with session.post(
            url, json=body, headers={"authorization": f"Bearer {key}"}
        ) as answer:
            if leaves:
                await answer.content.readline()
                answer.close()
            else:
                await answer.read()
    except (aiohttp.ClientError, TimeoutError, ConnectionError):
        return  # what the phase does to a process, its callers see


def _pick(weighed: dict[str, float] | dict[str, int], chance: random.Random) -> str:
    return chance.choices(list(weighed), list(weighed.values()))[0]
