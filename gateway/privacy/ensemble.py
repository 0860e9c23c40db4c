"""Two detectors as one: recognizers, and the NER engine of a policy beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

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

    def detect(
        self, texts: Sequence[str], entities: frozenset[str], using: Using = BUILT_IN
    ) -> Coroutine[Any, Any, list[list[Span]]]:
        """See the port: what either of them finds. Without an engine the question is passed on as
        it is, with no coroutine of its own."""
        if using.ner is None:
            return self._recognizers.detect(texts, entities, using)
        return self._both(texts, entities, using, using.ner.on_failure)

    async def _both(
        self,
        texts: Sequence[str],
        entities: frozenset[str],
        using: Using,
        on_failure: OnDetectorFailure,
    ) -> list[list[Span]]:
        known, named = await asyncio.gather(
            self._recognizers.detect(texts, entities, using),
            self._named(texts, entities, using, on_failure),
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
