"""The port Detector, on Presidio's recognizers: offline, in a pool of threads, failing closed.

The engine is thin: it runs the recognizers of the wanted entities over each text and merges what
they find as Presidio's `AnalyzerEngine` does. It needs no language model and no context words, and
where that engine skips what breaks or takes too long, this one refuses.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any, Final

from presidio_analyzer import EntityRecognizer, RecognizerResult

from gateway.backends.recognizers.built_in import recognizers
from gateway.privacy.profile import BUILT_IN, Using
from gateway.privacy.redact import DetectionFailed
from gateway.privacy.spans import Span
from gateway.privacy.windows import find_in_windows

_FULL_WIDTH: Final = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_SPACES: Final = dict.fromkeys("\u00a0\u2007\u2009\u202f\u3000", " ")
_DASHES: Final = dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-")
_PLAIN: Final = {**_FULL_WIDTH, **_SPACES, **_DASHES}
"""Characters that are read as an ASCII one. One for one, so that spans hold in the text itself."""

_NOT_PLAIN: Final = re.compile(f"[{''.join(set(_PLAIN) - set('，！？；'))}]")
"""Without the punctuation of Chinese sentences that no value has: most need no translation."""

_NO_ARTIFACTS: Any = None  # of a language model; Presidio's type does not say that it is optional
_SAMPLE: Final = "a@example.com 4111111111111111"


SMALL_CHARACTERS: Final = 32_768
"""A call whose texts are together no longer has a thread of its own kind, and passes long ones."""


TINY_CHARACTERS: Final = 512
"""A call whose texts are together no longer is done at once: a thread would cost more."""

Lens = tuple[frozenset[str], Using]
"""What is looked for, and what looks for it beside the recognizers that are built in."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that one call of `detect` may take, waiting included: some, and some more for each
    MiB (2**20 characters) of its texts."""

    seconds: float
    seconds_per_mib: float = 0.0

    def for_characters(self, count: int) -> float:
        return self.seconds + self.seconds_per_mib * count / 2**20


class PresidioDetector:
    """Looks for `entities.ENTITIES`, and for whatever else the given recognizers support.

    `threads`: how many requests with long texts are looked at at once; more wait. Those with small
    texts (SMALL_CHARACTERS) have one thread beside and wait for each other only; those with
    `tiny_characters` have none. What is given up is not gone on with but to the end of the
    recognizer at work. Call `warm` before the first request, and `aclose` at the end."""

    def __init__(
        self,
        threads: int,
        patience: Patience,
        using: Sequence[EntityRecognizer] | None = None,
        tiny_characters: int = TINY_CHARACTERS,
    ) -> None:
        self._patience = patience
        self._using = using
        self._tiny_characters = tiny_characters
        self._recognizers: Sequence[EntityRecognizer] = using or ()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="detector")
        self._small_pool = ThreadPoolExecutor(1, thread_name_prefix="detector-small")

    async def warm(self) -> None:
        """Build the recognizers and run each once. Raises DetectionFailed if one does not work."""
        run = asyncio.get_running_loop().run_in_executor
        if self._using is None:
            self._recognizers = await run(self._pool, recognizers)
        entities = {name for one in self._recognizers for name in one.get_supported_entities()}
        await self.detect([_SAMPLE], frozenset(entities))

    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], using: Using = BUILT_IN
    ) -> list[list[Span]]:
        """See the port. Also raises DetectionFailed for an entity that no recognizer finds."""
        chosen = [one for one in self._recognizers if entities & set(one.get_supported_entities())]
        missing = entities.difference(*(one.get_supported_entities() for one in chosen))
        if missing:
            raise DetectionFailed(f"no recognizer for {', '.join(sorted(missing))}")
        given_up = Event()
        size = sum(map(len, texts))
        look = partial(_detect, list(texts), sorted(entities), chosen, given_up)
        work = self._work(look, size)
        seconds = self._patience.for_characters(size)
        try:
            await asyncio.wait({work}, timeout=seconds)
            if not work.done():
                raise DetectionFailed(f"not done after {seconds:g} seconds")
            if problem := work.exception():
                name = type(problem).__name__
                raise DetectionFailed(f"a recognizer raised {name}")
            return work.result()
        finally:
            given_up.set()
            work.cancel()

    def _work(
        self, look: Callable[[], list[list[Span]]], size: int
    ) -> asyncio.Future[list[list[Span]]]:
        loop = asyncio.get_running_loop()
        if size <= self._tiny_characters:
            return loop.create_task(_at_once(look))
        pool = self._small_pool if size <= SMALL_CHARACTERS else self._pool
        return loop.run_in_executor(pool, look)

    async def aclose(self) -> None:
        """Stop taking work; what is at work ends by itself."""
        for pool in (self._pool, self._small_pool):
            pool.shutdown(wait=False, cancel_futures=True)


async def _at_once(look: Callable[[], list[list[Span]]]) -> list[list[Span]]:
    return look()


def _detect(
    texts: list[str], entities: list[str], chosen: list[EntityRecognizer], given_up: Event
) -> list[list[Span]]:
    """Spans a text. Runs in a thread, until somebody gives up on it."""

    def find(text: str) -> list[Span]:
        found: list[RecognizerResult] = []
        for recognizer in chosen:
            if given_up.is_set():
                return []
            found += recognizer.analyze(text, entities, _NO_ARTIFACTS)
        return _spans(found, entities)

    return [find_in_windows(_plain(text), find) for text in texts]


def _plain(text: str) -> str:
    return text if text.isascii() else _NOT_PLAIN.sub(lambda one: _PLAIN[one[0]], text)


def _spans(found: list[RecognizerResult], entities: list[str]) -> list[Span]:
    """As AnalyzerEngine merges: twins and what a better result of the same entity contains go."""
    kept = EntityRecognizer.remove_duplicates(found) if len(found) > 1 else found
    return [
        Span(one.start, one.end, one.entity_type, one.score)
        for one in kept
        if one.entity_type in entities
    ]
