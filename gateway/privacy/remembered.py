"""A Detector that remembers what it found, so that a conversation costs its new text only.

Every turn of a chat sends the whole conversation again. Of each text a keyed hash and the spans
are kept, never text. Failures are not kept.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

from gateway.privacy.profile import BUILT_IN, Using
from gateway.privacy.redact import Detector
from gateway.privacy.spans import Span

_DIGEST_BYTES = 16

Question = tuple[bytes, frozenset[str], Using]
"""Hash of the text, entities, and what looks for them: another policy asks another question."""


class Remembered:
    """Answers of `detector`, and again without it.

    `key`: 32 random bytes of this process, so that hashes tell nothing to others. `weight_max`
    bounds what is kept: a text weighs 1 and each of its findings 1, some 250 bytes each. What was
    not asked for longest goes first; 0 remembers nothing."""

    def __init__(self, detector: Detector, key: bytes, weight_max: int) -> None:
        self._detector = detector
        self._key = key
        self._weight_max = weight_max
        self._weight = 0
        self._kept: OrderedDict[Question, tuple[Span, ...]] = OrderedDict()

    @property
    def weight(self) -> int:
        return self._weight

    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], using: Using = BUILT_IN
    ) -> list[list[Span]]:
        """See the port. A text that stands there twice is looked at once."""
        questions = [(self._hash(text), entities, using) for text in texts]
        answers = {one: kept for one in questions if (kept := self._recall(one)) is not None}
        new = {one: text for one, text in zip(questions, texts, strict=True) if one not in answers}
        if new:
            found = await self._detector.detect(list(new.values()), entities, using)
            for one, spans in zip(new, found, strict=True):
                answers[one] = tuple(spans)
                self._keep(one, answers[one])
        return [list(answers[one]) for one in questions]

    def _hash(self, text: str) -> bytes:
        written = text.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(written, key=self._key, digest_size=_DIGEST_BYTES).digest()

    def _recall(self, question: Question) -> tuple[Span, ...] | None:
        kept = self._kept.get(question)
        if kept is not None:
            self._kept.move_to_end(question)
        return kept

    def _keep(self, question: Question, spans: tuple[Span, ...]) -> None:
        if question in self._kept or 1 + len(spans) > self._weight_max:
            return
        self._kept[question] = spans
        self._weight += 1 + len(spans)
        while self._weight > self._weight_max:
            _, gone = self._kept.popitem(last=False)
            self._weight -= 1 + len(gone)
