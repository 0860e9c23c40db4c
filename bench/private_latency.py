"""How long detection takes, and how long it keeps the event loop from other requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from statistics import median

from private_corpus import Sample, generated
from private_quality import python_source

SIZES = {"200 B": 200, "2 kB": 2_000, "50 kB": 50_000, "400 kB": 400_000}
Detect = Callable[[str], Awaitable[object]]


@asynccontextmanager
async def stall() -> AsyncIterator[list[float]]:
    """The longest time, in seconds, that the event loop did not come round, in a list of one."""
    worst = [0.0]

    async def beat() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.0005)
            worst[0] = max(worst[0], time.perf_counter() - began - 0.0005)

    task = asyncio.create_task(beat())
    await asyncio.sleep(0.01)
    worst[0] = 0.0
    try:
        yield worst
    finally:
        task.cancel()


KINDS = ("code", "prose", "dense")

HOSTILE = {
    "dots": "a.", "digits": "1", "at signs": "@", "addresses cut": "a@a.", "brackets": "([{",
    "quotes": "\"'", "backslashes": "\\", "plus signs": "+1", "dashes": "1-", "colons": "1:",
    "commas": "1,", "spaces": " ", "groups of digits": "4111 ", "zero-width": "4\u200b",
    "full-width": "４", "Arabic-Indic digits": "٤", "URLs": "https://a:", "secrets": "password=",
    "keys": "sk-", "hex": "0aF", "PEM": "-----BEGIN PRIVATE KEY-----\n", "JWT": "eyJ",
    "IBAN": "DE44 ", "streets": "1 Main ", "Chinese": "号", "Chinese numbers": "北京市1",
    "names": "Ann ", "line ends": "\n", "tabs": "\t1",
}  # fmt: skip
"""Pieces of texts that are made to be slow."""


def hostile(name: str, size: int) -> str:
    piece = HOSTILE[name]
    return (piece * (size // len(piece) + 1))[:size]


def texts(kind: str, size: int, count: int) -> list[str]:
    """Different texts of one size: Python's library; the corpus, in which nearly every line has a
    value (dense); or one line of that among nine of its lines without a value (prose)."""
    length = size + 997 * count
    if kind == "code":
        whole = python_source(length)
    else:
        lines = [one for sample in generated(4000) for one in _lines(sample, kind == "prose")]
        whole = "\n".join(lines)
    whole *= 1 + length // len(whole)
    return [whole[at * 997 : at * 997 + size] for at in range(count)]


def _lines(sample: Sample, is_sparse: bool) -> list[str]:
    quiet = "The meeting went well, and everybody agreed to send their figures before Friday."
    return [sample.text] + [quiet] * 9 * (1 + sample.text.count("\n")) * is_sparse


async def latency(detect: Detect, given: list[str]) -> tuple[float, float, float]:
    """Median, 99th percentile and worst stall of the loop, in milliseconds."""
    taken = []
    async with stall() as worst:
        for text in given:
            began = time.perf_counter()
            await detect(text)
            taken.append(time.perf_counter() - began)
    taken.sort()
    return median(taken) * 1e3, taken[int(len(taken) * 0.99)] * 1e3, worst[0] * 1e3


def conversation(turns: int, of: str, seed: int = 9) -> list[list[str]]:
    """The texts of each request of a conversation; each turn has all of those before it. An agent's
    turn is a long tool result, a chat's a few lines."""
    chance = Random(seed)
    samples = [sample.text for sample in generated(2000, seed)]
    size = {"chat": 5, "agent": 60}[of]
    history: list[str] = []
    requests = []
    for _ in range(turns):
        history.append("\n".join(chance.choices(samples, k=size)))
        requests.append(list(history))
        history.append("\n".join(chance.choices(samples, k=size)))
    return requests


async def seconds_of(
    requests: list[list[str]], detect: Callable[[list[str]], Awaitable[object]]
) -> float:
    began = time.perf_counter()
    for messages in requests:
        await detect(messages)
    return time.perf_counter() - began
