"""The port Detector, on Presidio's recognizers: offline, in a pool of threads, failing closed.

What is looked for, and by what, is a question; each has an engine of its own, which is kept. Where
Presidio's own engine skips what breaks or takes too long, this detector refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from threading import Event
from typing import Final

from gateway.backends import surroundings
from gateway.backends.engine import Engine
from gateway.backends.entities import COUNTRY_ENTITIES
from gateway.backends.presidio import EntityRecognizer
from gateway.backends.recognizers.allowed import allowed_by
from gateway.backends.recognizers.built_in import recognizers
from gateway.backends.recognizers.countries import country_recognizers
from gateway.backends.recognizers.custom import CustomRecognizer
from gateway.privacy.profile import BUILT_IN, Using
from gateway.privacy.redact import DetectionFailed
from gateway.privacy.spans import Span

_SAMPLE: Final = "a@example.com 4111111111111111"


SMALL_CHARACTERS: Final = 32_768
"""A call whose texts are together no longer has a thread of its own kind, and passes long ones."""


TINY_CHARACTERS: Final = 512
"""A call whose texts are together no longer is done at once: a thread would cost more."""

TINY_TEXTS: Final = 16
"""Of such a call: each text costs some 20 µs, however short it is."""

ENGINES_MAX: Final = 64
"""Engines that are kept: a policy asks one question a profile and direction."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that one call of `detect` may take, waiting included: some, and some more for each
    MiB (2**20 characters) of its texts."""

    seconds: float
    seconds_per_mib: float = 0.0

    def for_characters(self, count: int) -> float:
        return self.seconds + self.seconds_per_mib * count / 2**20


class PresidioDetector:
    """Looks for `entities.SELECTABLE`, and for whatever else the given recognizers or those of the
    policy support.

    `threads`: how many requests with long texts are looked at at once; more wait. Those with small
    texts (SMALL_CHARACTERS) have one thread beside and wait for each other only; those with
    `tiny_characters`, in TINY_TEXTS at most, have none. What is given up is not gone on with but to
    the end of the recognizer at work. Call `warm` before the first request, and `aclose` at the
    end."""

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
        self._engine = lru_cache(ENGINES_MAX)(self._build)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="detector")
        self._small_pool = ThreadPoolExecutor(1, thread_name_prefix="detector-small")

    async def warm(self) -> None:
        """Build the recognizers and run each once. Raises DetectionFailed if one does not work."""
        run = asyncio.get_running_loop().run_in_executor
        if self._using is None:
            self._recognizers = await run(self._pool, recognizers)
        entities = {name for one in self._recognizers for name in one.get_supported_entities()}
        await self.detect([_SAMPLE], frozenset(entities))

    async def prepare(self, entities: frozenset[str]) -> None:
        """Load what these need, so that no request waits for it; others load it when asked."""
        if entities & COUNTRY_ENTITIES:
            run = asyncio.get_running_loop().run_in_executor
            await run(self._pool, country_recognizers)
            await run(self._pool, surroundings.load)

    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], using: Using = BUILT_IN
    ) -> list[list[Span]]:
        """See the port. Also raises DetectionFailed for an entity that no recognizer finds."""
        size = sum(map(len, texts))
        is_tiny = size <= self._tiny_characters and len(texts) <= TINY_TEXTS
        if is_tiny and not using.custom and not _has_countries(entities):
            with _Failure() as failure:
                engine = self._engine(entities, using)
                found: list[list[Span]] = []
                for text in texts:
                    found.append(engine.look(text, entities))
                return found
            raise DetectionFailed(failure.why)
        given_up = Event()
        look = partial(self._look, list(texts), entities, using, given_up)
        pool = self._small_pool if size <= SMALL_CHARACTERS else self._pool
        work = asyncio.get_running_loop().run_in_executor(pool, look)
        seconds = self._patience.for_characters(size)
        try:
            await asyncio.wait({work}, timeout=seconds)
            if not work.done():
                raise DetectionFailed(f"not done after {seconds:g} seconds")
            if problem := work.exception():
                raise DetectionFailed(_why(problem))
            return work.result()
        finally:
            given_up.set()
            work.cancel()

    def _build(self, entities: frozenset[str], using: Using) -> Engine:
        return Engine(list(self._chosen(entities, using)), allowed_by(using.custom))

    def _chosen(self, entities: frozenset[str], using: Using) -> Iterator[EntityRecognizer]:
        found: set[str] = set()
        for one in self._candidates(entities, using):
            if supported := entities.intersection(one.get_supported_entities()):
                found |= supported
                yield one
        if missing := entities - found - using.learned:
            raise DetectionFailed(f"no recognizer for {', '.join(sorted(missing))}")

    def _candidates(self, entities: frozenset[str], using: Using) -> Iterator[EntityRecognizer]:
        yield from self._recognizers
        if entities & COUNTRY_ENTITIES:
            yield from country_recognizers().values()
        yield from (CustomRecognizer(custom) for custom in using.custom if custom.finds)

    def _look(
        self, texts: Sequence[str], entities: frozenset[str], using: Using, given_up: Event
    ) -> list[list[Span]]:
        """Spans a text. Runs in a thread, until somebody gives up on it."""
        engine = self._engine(entities, using)
        return [engine.look(text, entities, given_up) for text in texts]

    async def aclose(self) -> None:
        """Stop taking work; what is at work ends by itself."""
        for pool in (self._pool, self._small_pool):
            pool.shutdown(wait=False, cancel_futures=True)


@lru_cache(ENGINES_MAX)
def _has_countries(entities: frozenset[str]) -> bool:
    """Whether they need recognizers that are slow; the questions are ever the same few sets."""
    return not entities.isdisjoint(COUNTRY_ENTITIES)


class _Failure:
    """What ended the block, if anything did: told by its kind only, as its frames hold text."""

    why = ""

    def __enter__(self) -> _Failure:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, tb: object
    ) -> bool:
        if problem is None or not isinstance(problem, Exception):
            return False
        self.why = _why(problem)
        return True


def _why(problem: BaseException) -> str:
    """Never the message of another exception: it may hold text."""
    if isinstance(problem, DetectionFailed):
        return str(problem)
    return f"a recognizer raised {type(problem).__name__}"
