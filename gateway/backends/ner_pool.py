"""The port Detector, on the NER engines of policies: each in processes of its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gateway.backends import ner_worker
from gateway.backends.process_pool import NotDone, ProcessPool
from gateway.privacy.profile import BUILT_IN, Ner, Using
from gateway.privacy.redact import DetectionFailed
from gateway.privacy.spans import Span


class NerPool:
    """Asks the engine that the question names; without one, finds nothing.

    `processes`: for each engine, and as many models in memory. `load_seconds`: how long `prepare`
    waits for them. Call `aclose` at the end."""

    def __init__(self, processes: int, load_seconds: float) -> None:
        self._processes = processes
        self._load_seconds = load_seconds
        self._pools: dict[Ner, ProcessPool] = {}

    async def prepare(self, engines: Collection[Ner]) -> list[str]:
        """Load their models, and forget all others. What is wrong with those that do not load."""
        for old in self._pools.keys() - set(engines):
            self._pools.pop(old).close()
        loads = [
            await self._pool(ner).load(self._load_seconds, ner_worker.load, ner) for ner in engines
        ]
        return [said for said in loads if said is not None]

    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], using: Using = BUILT_IN
    ) -> list[list[Span]]:
        """See the port. All texts of a request are one batch, in one process."""
        ner = using.ner
        if ner is None or not texts:
            return [[] for _ in texts]
        try:
            work = self._pool(ner).run(ner.timeout_seconds, ner_worker.find, ner, list(texts))
            found = await work
        except NotDone as problem:
            raise DetectionFailed(str(problem)) from None
        return [[span for span in spans if span.entity in entities] for spans in found]

    async def aclose(self) -> None:
        """Stop taking work; what is at work ends by itself within its time."""
        for pool in self._pools.values():
            pool.close()

    def _pool(self, ner: Ner) -> ProcessPool:
        name = f"NER engine {ner.name}"
        return self._pools.setdefault(ner, ProcessPool(name, self._processes, ner_worker.begin))
