"""A Detector that remembers what it found, so that a conversation costs its new text only.

Every turn of a chat sends the whole conversation again. Of each text a keyed hash and the spans
are kept, never text. Failures are not kept.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import Executor
from functools import lru_cache
from itertools import count
from typing import TypeVar

from gateway.privacy.profile import BUILT_IN, Using
from gateway.privacy.redact import Detector
from gateway.privacy.spans import Span

K = TypeVar("K")
V = TypeVar("V")

_DIGEST_BYTES = 16
_AT_ONCE = 1000  # texts that are asked for in one turn of the event loop: a few milliseconds
_CHARACTERS_AT_ONCE = 65_536  # that are hashed in it; more is hashed aside
_QUESTIONS_MAX = 256  # kinds of questions that are told apart; a policy has one a profile

Question = bytes
"""Keyed hash of a text, of the entities, and of what looks for them: another policy asks another
question."""


class Remembered:
    """Answers of `detector`, and again without it.

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
        numbers = count()
        self._number = lru_cache(_QUESTIONS_MAX)(lambda entities, using: next(numbers))

    @property
    def weight(self) -> int:
        return self._weight

    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], using: Using = BUILT_IN
    ) -> list[list[Span]]:
        """See the port. A text that stands there twice is looked at once."""
        number = self._number(entities, using)
        questions = await self._hashed(texts, number)
        answers: dict[Question, tuple[Span, ...]] = {}
        new: dict[Question, str] = {}
        async for one, text in _in_turns(questions, texts):
            if (kept := self._recall(one)) is not None:
                answers[one] = kept
            else:
                new[one] = text
        if new:
            found = await self._detector.detect(list(new.values()), entities, using)
            async for one, spans in _in_turns(new, found):
                answers[one] = tuple(spans)
                self._keep(one, answers[one])
        return [list(answers[one]) for one in questions]

    async def _hashed(self, texts: Sequence[str], number: int) -> list[Question]:
        few = len(texts) <= _AT_ONCE and sum(map(len, texts)) <= _CHARACTERS_AT_ONCE
        if few or self._pool is None:
            return self._hashes(texts, number)
        run = asyncio.get_running_loop().run_in_executor
        return await run(self._pool, self._hashes, texts, number)

    def _hashes(self, texts: Sequence[str], number: int) -> list[Question]:
        of_question = hashlib.blake2b(number.to_bytes(8), key=self._key, digest_size=_DIGEST_BYTES)
        hashes = []
        for text in texts:
            of_text = of_question.copy()
            of_text.update(text.encode("utf-8", "surrogatepass"))
            hashes.append(of_text.digest())
        return hashes

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


async def _in_turns(keys: Iterable[K], values: Iterable[V]) -> AsyncIterator[tuple[K, V]]:
    """Pairs of them. The event loop has its turn after so many."""
    for at, pair in enumerate(zip(keys, values, strict=True), 1):
        yield pair
        if at % _AT_ONCE == 0:
            await asyncio.sleep(0)
