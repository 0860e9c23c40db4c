"""A Detector that remembers what it found, so that a conversation costs its new text only.

Every turn of a chat sends the whole conversation again. Of each text a keyed hash and the spans
are kept, never text. Failures are not kept.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import lru_cache
from itertools import count

from gateway.privacy.profile import BUILT_IN, Using
from gateway.privacy.redact import Detector
from gateway.privacy.spans import Span

_DIGEST_BYTES = 16
_AT_ONCE = 1000  # texts that are asked for in one turn of the event loop: a few milliseconds
_CHARACTERS_AT_ONCE = 65_536  # that are hashed in it; more is hashed aside
_QUESTIONS_MAX = 256  # kinds of questions that are told apart; a policy has one a profile

Question = bytes
"""Keyed hash of a text, of the entities, and of what looks for them: another policy asks another
question."""


class Remembered:
    """Answers of `detector`, and again without it. After so many texts (`_AT_ONCE`) the event loop
    has its turn.

    `key`: 32 random bytes of this process, so that hashes tell nothing to others. `weight_max`
    bounds what is kept: a text weighs 1 and each of its findings 1, some 250 bytes each. What was
    not asked for longest goes first; 0 remembers nothing. Many texts are hashed in the threads of
    `pool`, if there is one."""

    def __init__(
        self, detector: Detector, key: bytes, weight_max: int, pool: Executor | None = None
    ) -> None:
        self._detector = detector
        self._key = key
        self._weight_max = weight_max
        self._pool = pool
        self._weight = 0
        self._kept: OrderedDict[Question, tuple[Span, ...]] = OrderedDict()
        self._numbers = count()
        self._begun = lru_cache(_QUESTIONS_MAX)(self._begin)

    @property
    def weight(self) -> int:
        return self._weight

    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], using: Using = BUILT_IN
    ) -> list[list[Span]]:
        """See the port. A text that stands there twice is looked at once."""
        begun = self._begun(entities, using)
        are_few = len(texts) <= _AT_ONCE and sum(map(len, texts)) <= _CHARACTERS_AT_ONCE
        if are_few or self._pool is None:
            questions = _hashes(texts, begun)
        else:
            run = asyncio.get_running_loop().run_in_executor
            questions = await run(self._pool, _hashes, texts, begun)
        kept = self._kept
        answers: dict[Question, Sequence[Span]] = {}
        new: dict[Question, str] = {}
        for at, one in enumerate(questions):
            known = kept.get(one)
            if known is None:
                new[one] = texts[at]
            else:
                kept.move_to_end(one)
                answers[one] = known
            if at % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
        if new:
            found = await self._detector.detect(list(new.values()), entities, using)
            if len(questions) == 1 == len(found):
                self._keep(questions[0], tuple(found[0]))
                return found
            for at, (one, spans) in enumerate(zip(new, found, strict=True), 1):
                answers[one] = spans
                self._keep(one, tuple(spans))
                if at % _AT_ONCE == 0:
                    await asyncio.sleep(0)
        return [list(answers[one]) for one in questions]

    def _begin(self, entities: frozenset[str], using: Using) -> hashlib.blake2b:
        """What every hash of a question goes on from: a key costs more than most texts do."""
        number = next(self._numbers).to_bytes(8)
        return hashlib.blake2b(number, key=self._key, digest_size=_DIGEST_BYTES)

    def _keep(self, question: Question, spans: tuple[Span, ...]) -> None:
        if question in self._kept or 1 + len(spans) > self._weight_max:
            return
        self._kept[question] = spans
        self._weight += 1 + len(spans)
        while self._weight > self._weight_max:
            _, gone = self._kept.popitem(last=False)
            self._weight -= 1 + len(gone)


def _hashes(texts: Sequence[str], begun: hashlib.blake2b) -> list[Question]:
    hashes = []
    for text in texts:
        of_text = begun.copy()
        of_text.update(text.encode("utf-8", "surrogatepass"))
        hashes.append(of_text.digest())
    return hashes
