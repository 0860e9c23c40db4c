"""Who looks for private values, wired: the recognizers, the NER engines of policies, and OCR."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from gateway.backends.ner_pool import NerPool
from gateway.backends.ocr_reader import OcrReader, reader_of
from gateway.backends.presidio_detector import Patience, PresidioDetector
from gateway.parts import Wanted
from gateway.policy.policy import Policy
from gateway.privacy.ensemble import Ensemble
from gateway.privacy.pictures import Reader, RememberedReader
from gateway.privacy.redact import Detector
from gateway.privacy.remembered import Remembered
from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class Detection:
    """`detector` and `reader` remember what they found; `watching`, for texts in pieces, does
    not."""

    detector: Detector
    watching: PresidioDetector
    reader: Reader
    ner: NerPool
    ocr: OcrReader

    async def prepare(self, policy: Policy) -> dict[Wanted, str]:
        """Load what `policy` needs, and forget all other models. What is wrong with those that do
        not load."""
        await self.watching.prepare(policy.entities())
        ner = await self.ner.prepare(policy.ner_engines())
        ocr = await self.ocr.prepare(policy.images())
        return dict([*ner.items(), *ocr.items()])


@asynccontextmanager
async def detecting(
    settings: Settings,
    random_bytes: Callable[[int], bytes],
    workbench: Executor,
    without_ner: Callable[[], None],
) -> AsyncIterator[Detection]:
    """Started, without the models of policies; `without_ner` is called for each request that goes
    on without its NER engine."""
    async with AsyncExitStack() as stack:
        patience = Patience(
            settings.redaction_timeout_seconds, settings.redaction_timeout_seconds_per_mib
        )
        recognizers = PresidioDetector(settings.redaction_threads, patience)
        stack.push_async_callback(recognizers.aclose)
        ner = NerPool(settings.ner_processes, settings.ner_load_seconds)
        stack.push_async_callback(ner.aclose)
        ocr = reader_of(settings)
        stack.push_async_callback(ocr.aclose)
        await recognizers.warm()
        kept_max = settings.redaction_remembered_max
        yield Detection(
            detector=Ensemble(
                Remembered(recognizers, random_bytes(32), kept_max, workbench),
                Remembered(ner, random_bytes(32), kept_max, workbench),
                without_ner,
            ),
            watching=recognizers,
            reader=RememberedReader(ocr, random_bytes(32), settings.images_remembered_max),
            ner=ner,
            ocr=ocr,
        )
