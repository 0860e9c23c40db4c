"""Clients of a gateway, many at once: JSON and streams, some that leave; and what they saw."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

REQUEST_SECONDS = 60
PAUSE_SECONDS = 0.2  # before a client goes on that found nobody, or was told to wait
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "and", "runs", "on"]


@dataclass(frozen=True, slots=True)
class Mix:
    """How requests differ; shares are of 1. `cap` in tokens, `chunk_delay_seconds` is the
    upstream's."""

    streams: float = 0.5
    leaving: float = 0.1
    cap: int = 12
    chunk_delay_seconds: float = 0.0


@dataclass(slots=True)
class Seen:
    """What clients saw. `codes` are those of refusals; `broken` had no answer, or half of one."""

    sent: int = 0
    admitted: int = 0
    refused: int = 0
    left: int = 0
    broken: int = 0
    codes: Counter[str] = field(default_factory=Counter)


class Clients:
    """Requests against any of `urls`, each with one of `uses` (a key's text, and the model that it
    asks for), by one source of chance."""

    def __init__(
        self,
        urls: Sequence[str],
        uses: Sequence[tuple[str, str]],
        mix: Mix,
        chance: random.Random,
    ) -> None:
        self._urls = urls
        self._uses = uses
        self._mix = mix
        self._chance = chance
        self.seen = Seen()

    async def one(self, session: aiohttp.ClientSession) -> bool:
        """One request; whether it was answered with anything but a refusal."""
        chance, seen = self._chance, self.seen
        streams = chance.random() < self._mix.streams
        leaves_after = chance.randrange(4) if chance.random() < self._mix.leaving else None
        (key, model), url = chance.choice(self._uses), chance.choice(self._urls)
        seen.sent += 1
        try:
            async with session.post(
                f"{url}/v1/chat/completions",
                json=self._body(model, streams),
                headers={"authorization": f"Bearer {key}"},
            ) as answer:
                if answer.status != 200:
                    seen.refused += 1
                    seen.codes[await _code(answer)] += 1
                    return False
                seen.admitted += 1
                if leaves_after is not None:
                    await self._leave(answer, leaves_after)
                else:
                    await answer.read()
                return True
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            seen.broken += 1
            return False

    def _body(self, model: str, streams: bool) -> dict[str, Any]:
        text = " ".join(self._chance.choices(WORDS, k=self._chance.randrange(1, 12)))
        return {
            "model": model,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": self._mix.cap,
            "stream": streams,
            "simulate": {"chunk_delay_seconds": self._mix.chunk_delay_seconds},
        }

    async def _leave(self, answer: aiohttp.ClientResponse, after: int) -> None:
        self.seen.left += 1
        for _ in range(after):
            if not await answer.content.readline():
                break
        answer.close()


async def closed_loop(clients: Clients, count: int, ended: asyncio.Event, requests: int) -> None:
    """`count` clients, each one request after another, until so many were sent or it is ended."""

    async def client(session: aiohttp.ClientSession) -> None:
        while not ended.is_set() and clients.seen.sent < requests:
            if not await clients.one(session):
                await asyncio.sleep(PAUSE_SECONDS)

    async with _session() as session, asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(client(session))


async def open_loop(clients: Clients, per_second: float, seconds: float) -> None:
    """So many requests a second, whether or not earlier ones were answered."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    async with _session() as session, asyncio.TaskGroup() as group:
        for number in range(round(per_second * seconds)):
            await asyncio.sleep(max(0.0, begin + number / per_second - loop.time()))
            group.create_task(clients.one(session))


@asynccontextmanager
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0, force_close=False)
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield session


async def _code(answer: aiohttp.ClientResponse) -> str:
    try:
        error = (await answer.json())["error"]
    except (ValueError, KeyError, TypeError):
        return str(answer.status)
    return f"{answer.status} {error.get('code') or error.get('type')}"
