"""Two detectors as one: recognizers, and the NER engine of a policy beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gateway.privacy.profile import BUILT_IN, OnDetectorFailure, Using
from gateway.privacy.redact import DetectionFailed, Detector
from gateway.privacy.spans import Span


class Ensemble:
    """Asks `ner` only where the policy names an engine. `on_without_ner` is told of each time that
    one failed and the policy goes on without it."""

    def __init__(
        self, recognizers: Detector, ner: Detector, on_without_ner: Callable[[], None]
    ) -> None:
        self._recognizers = recognizers
        self._ner = ner
        self._on_without_ner = on_without_ner

    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], using: Using = BUILT_IN
    ) -> list[list[Span]]:
        """See the port: what either of them finds."""
        if using.ner is None:
            return await self._recognizers.detect(texts, entities, using)
        known, named = await asyncio.gather(
            self._recognizers.detect(texts, entities, using),
            self._named(texts, entities, using, using.ner.on_failure),
        )
        return [one + two for one, two in zip(known, named, strict=True)]

    async def _named(
        self,
        texts: Sequence[str],
        entities: frozenset[str],
        using: Using,
        on_failure: OnDetectorFailure,
    ) -> list[list[Span]]:
        try:
            return await self._ner.detect(texts, entities, using)
        except DetectionFailed:
            if on_failure is OnDetectorFailure.REFUSE:
                raise
        self._on_without_ner()
        return [[] for _ in texts]
