"""Policies of many projects: how long a match takes, and how long a reload holds up the event
loop, as the gateway does it."""

from __future__ import annotations

import asyncio
import statistics
import time

from gateway.backends.entities import SELECTABLE
from gateway.backends.examine import examine
from gateway.beside import beside_requests, keep_out_of_collections
from gateway.keys.key import Key, Role
from gateway.policy.live import Live
from gateway.policy.match import claims_of, match
from gateway.policy.parse import parse
from gateway.policy.policy import Endpoint, Policy

PROJECTS_IN_A_FILE = 500
HEAD = """
upstreams: {sim: {simulated: true}}
models:
  m1: {upstream: sim, endpoints: [chat], price: {input: 1, output: 2}, context: 128000,
       max_output: 16384, default_output: 4096, tokenizer: o200k}
redaction: {standard: {score_min: 0.4, entities: {EMAIL_ADDRESS: placeholder}}}
plans:
  std:
    models: ["*"]
    redaction: standard
    limits: [{name: rpm, measure: requests, amount: 600, per: minute, each: key}]
"""
ORGANIZATION = """
organizations:
  org{number}:
    timezone: UTC
    currency: USD
    defaults: {{plan: std}}
    projects:
"""
PROJECT = """
      p{number}:
        limits:
          - {{name: month, measure: money, amount: {amount} USD, per: month}}"""


def files(projects: int, amount: int = 100) -> dict[str, bytes]:
    found = {"models.yaml": HEAD.encode()}
    for file, begin in enumerate(range(0, projects, PROJECTS_IN_A_FILE)):
        numbers = range(begin, min(begin + PROJECTS_IN_A_FILE, projects))
        rows = "".join(PROJECT.format(number=n, amount=amount) for n in numbers)
        found[f"org{file}.yaml"] = (ORGANIZATION.format(number=file) + rows).encode()
    return found


def policy_of(projects: int) -> Policy:
    parsed = parse(files(projects), SELECTABLE, {}, examine)
    assert parsed.policy, parsed.problems
    return parsed.policy


def matching(projects: int, times: int = 2000) -> float:
    """Seconds of a match with its claims; the median."""
    policy, took = policy_of(projects), []
    for n in range(times):
        name = f"p{n * 7919 % projects}"
        home = f"org{n * 7919 % projects // PROJECTS_IN_A_FILE}"
        key = Key(f"key_{n}", home, name, "bench", Role.MEMBER)
        begun = time.perf_counter()
        claims_of(match(policy, key, Endpoint.CHAT, "m1", 0.0), key, "")
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


async def reload_stall(projects: int) -> dict[str, float]:
    live, ticks, ended = Live(policy_of(projects)), [], asyncio.Event()

    async def tick() -> None:
        last = time.perf_counter()
        while not ended.is_set():
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            ticks.append(now - last)
            last = now

    keep_out_of_collections()
    ticking = asyncio.create_task(tick())
    await asyncio.sleep(1)
    idle = sorted(ticks)
    ticks.clear()
    begun = time.perf_counter()
    with beside_requests():
        parsed = await live.reload(lambda: (files(projects, 200), ()), SELECTABLE, {}, examine)
    assert parsed.policy
    keep_out_of_collections(whole=False)
    took = time.perf_counter() - begun
    await asyncio.sleep(0.05)
    ended.set()
    await ticking
    busy = sorted(ticks)
    return {
        "reload, ms": 1000 * took,
        "longest wait of the event loop in it, ms": 1000 * busy[-1],
        "99 of 100 waits in it at most, ms": 1000 * busy[int(len(busy) * 0.99)],
        "longest wait without a reload, ms": 1000 * idle[-1],
    }
