"""The port Detector, on the NER engines of policies: each in processes of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Final, TypeVar

from gateway.backends import ner_worker
from gateway.backends.ner_worker import NotLoaded, TooLate
from gateway.backends.recognizers.allowed import allowed_by, without_allowed
from gateway.backends.recognizers.plain import without_halves
from gateway.privacy.profile import BUILT_IN, Ner, Using
from gateway.privacy.redact import DetectionFailed, DetectorMissing
from gateway.privacy.spans import Span

T = TypeVar("T")

PAUSE_SECONDS: Final = 5.0
"""After the processes of an engine broke, until new ones are made."""

_SAFE: Final = (NotLoaded, TooLate)  # whose messages hold no text


class NerPool:
    """Asks the engine that the question names; without one, finds nothing.

    `processes`: for each engine, and as many models in memory. `load_seconds`: how long `prepare`
    waits for them. Call `aclose` at the end."""

    def __init__(self, processes: int, load_seconds: float) -> None:
        self._processes = processes
        self._load_seconds = load_seconds
        self._pools: dict[Ner, ProcessPoolExecutor] = {}
        self._not_before: dict[Ner, float] = {}

    async def prepare(self, engines: Collection[Ner]) -> dict[Ner, str]:
        """Load their models, and forget all others. What is wrong with those that do not load."""
        for old in self._pools.keys() - set(engines):
            self._drop(old)
        said = {ner: await self._load(ner) for ner in engines}
        return {ner: problem for ner, problem in said.items() if problem is not None}

    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], using: Using = BUILT_IN
    ) -> list[list[Span]]:
        """See the port. All texts of a request are one batch, in one process."""
        ner = using.ner
        if ner is None or not texts:
            return [[] for _ in texts]
        pool = self._pool(ner)
        texts = list(map(without_halves, texts))
        work = asyncio.get_running_loop().run_in_executor(pool, ner_worker.find, ner, texts)
        found = await self._done(ner, work, ner.timeout_seconds)
        wanted = ([span for span in spans if span.entity in entities] for spans in found)
        return [
            without_allowed(text, spans, allowed_by(using.custom))
            for text, spans in zip(texts, wanted, strict=True)
        ]

    async def aclose(self) -> None:
        """Stop taking work; what is at work ends by itself within its time."""
        for ner in list(self._pools):
            self._drop(ner)

    async def _load(self, ner: Ner) -> str | None:
        run = asyncio.get_running_loop().run_in_executor
        try:
            pool = self._pool(ner)
            for load in [run(pool, ner_worker.load, ner) for _ in range(self._processes)]:
                await self._done(ner, load, self._load_seconds)
        except DetectionFailed as problem:
            return str(problem)
        return None

    async def _done(self, ner: Ner, work: asyncio.Future[T], seconds: float) -> T:
        """Its result. Raises DetectionFailed; not chained, as frames hold text."""
        try:
            await asyncio.wait({work}, timeout=seconds)
            if not work.done():
                raise DetectionFailed(f"NER engine {ner.name}: not done after {seconds:g} seconds")
            problem = work.exception()
        finally:
            work.cancel()
        if problem is None:
            return work.result()
        if isinstance(problem, BrokenProcessPool):
            self._drop(ner)
            self._not_before[ner] = asyncio.get_running_loop().time() + PAUSE_SECONDS
        kind = DetectorMissing if isinstance(problem, NotLoaded) else DetectionFailed
        raise kind(f"NER engine {ner.name}: {_why(problem)}")

    def _pool(self, ner: Ner) -> ProcessPoolExecutor:
        if asyncio.get_running_loop().time() < self._not_before.get(ner, 0):
            raise DetectionFailed(f"NER engine {ner.name}: its process ended; it starts again")
        if ner not in self._pools:
            self._pools[ner] = ProcessPoolExecutor(
                self._processes, get_context("spawn"), ner_worker.begin
            )
        return self._pools[ner]

    def _drop(self, ner: Ner) -> None:
        if pool := self._pools.pop(ner, None):
            pool.shutdown(wait=False, cancel_futures=True)


def _why(problem: BaseException) -> str:
    if isinstance(problem, _SAFE):
        return str(problem) or "not done in its time"
    return type(problem).__name__
