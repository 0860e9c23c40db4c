"""The port Detector, on the NER engines of policies: each in processes of its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gateway.backends import ner_worker
from gateway.backends.process_pool import ProcessPool
from gateway.backends.recognizers.allowed import allowed_by, without_allowed
from gateway.backends.recognizers.plain import without_halves
from gateway.privacy.profile import BUILT_IN, Ner, Using
from gateway.privacy.spans import Span


class NerPool:
    """Asks the engine that the question names; without one, finds nothing.

    `processes`: for each engine, and as many models in memory. `load_seconds`: how long `prepare`
    waits for them. Call `aclose` at the end."""

    def __init__(self, processes: int, load_seconds: float) -> None:
        self._processes = processes
        self._load_seconds = load_seconds
        self._pools: dict[Ner, ProcessPool] = {}

    async def prepare(self, engines: Collection[Ner]) -> dict[Ner, str]:
        """Load their models, and forget all others. What is wrong with those that do not load."""
        for old in self._pools.keys() - set(engines):
            self._pools.pop(old).close()
        said = {
            ner: await self._pool(ner).load(self._load_seconds, ner_worker.load, ner)
            for ner in engines
        }
        return {ner: problem for ner, problem in said.items() if problem is not None}

    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], using: Using = BUILT_IN
    ) -> list[list[Span]]:
        """See the port. All texts of a request are one batch, in one process."""
        ner = using.ner
        if ner is None or not texts:
            return [[] for _ in texts]
        texts = list(map(without_halves, texts))
        found = await self._pool(ner).run(ner.timeout_seconds, ner_worker.find, ner, texts)
        wanted = ([span for span in spans if span.entity in entities] for spans in found)
        return [
            without_allowed(text, spans, allowed_by(using.custom))
            for text, spans in zip(texts, wanted, strict=True)
        ]

    async def aclose(self) -> None:
        """Stop taking work; what is at work ends by itself within its time."""
        for pool in self._pools.values():
            pool.close()

    def _pool(self, ner: Ner) -> ProcessPool:
        name = f"NER engine {ner.name}"
        return self._pools.setdefault(ner, ProcessPool(name, self._processes, ner_worker.begin))
