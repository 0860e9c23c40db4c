"""The port Reader, by optical character recognition in processes of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final, TypeVar

from gateway.backends import ocr_worker, process_pool
from gateway.backends.ocr_worker import Bounds
from gateway.backends.process_pool import ProcessPool
from gateway.privacy.pictures import Picture, Unreadable, Word
from gateway.privacy.profile import Images
from gateway.privacy.spans import Span
from gateway.settings import Settings

T = TypeVar("T")

NEEDS_EXTRA: Final = (
    "`images: ocr` needs the packages of the extra `ocr`, which are not installed: requests with "
    "pictures will be refused; install completion-gateway[ocr] into the gateway's environment, or "
    "write allow or refuse"
)


def missing(images: Images) -> str | None:
    """What is not installed to treat pictures so, and what to do, or None."""
    return NEEDS_EXTRA if images is Images.OCR and not ocr_worker.is_installed() else None


def reader_of(settings: Settings) -> OcrReader:
    bounds = Bounds(
        settings.image_pixels_max, settings.image_side_max, settings.ocr_timeout_seconds
    )
    return OcrReader(settings.ocr_processes, settings.ner_load_seconds, bounds)


class OcrReader:
    """`processes`, each with the models in memory; `load_seconds`: how long `prepare` waits for
    them. Pictures wait for a process, which counts to the time that they have. Call `close` at the
    end."""

    def __init__(self, processes: int, load_seconds: float, bounds: Bounds) -> None:
        self._pool = ProcessPool("OCR", processes, process_pool.begin, (Unreadable,))
        self._load_seconds = load_seconds
        self._bounds = bounds

    async def prepare(self, images: Collection[Images]) -> dict[Images, str]:
        """Load the models if `images`, which a policy has, are to be read; else end the processes.
        What is wrong with what does not load."""
        if Images.OCR not in images:
            self._pool.close()
            return {}
        said = await self._pool.load(self._load_seconds, ocr_worker.load)
        return {} if said is None else {Images.OCR: said}

    async def read(self, pictures: Sequence[bytes]) -> list[list[Word]]:
        """See the port. All pictures of a request are one batch, in one process."""
        return await self._run(ocr_worker.read, list(pictures))

    async def cover(
        self,
        pictures: Sequence[bytes],
        words: Sequence[Sequence[Word]],
        spans: Sequence[Sequence[Span]],
    ) -> list[Picture]:
        """See the port."""
        return await self._run(ocr_worker.cover, list(pictures), words, spans)

    async def aclose(self) -> None:
        """Stop taking work; what is at work ends by itself within its time."""
        self._pool.close()

    async def _run(self, work: Callable[..., list[T]], *arguments: object) -> list[T]:
        return await self._pool.run(self._bounds.timeout_seconds, work, *arguments, self._bounds)
