"""What runs in a process of the OCR pool: words out of pictures, and boxes over some of them.

RapidOCR reads, by models that come in its wheel; nothing is downloaded. Presidio's image redactor
says which boxes hold a finding. A picture is decoded once into plain pixels, which are what is read
and what leaves: no metadata, no second frame, nothing behind the end and nothing transparent."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from gateway.backends.process_pool import NotLoaded, at_most
from gateway.backends.recognizers.numbers import luhn
from gateway.privacy.pictures import Picture, Unreadable, Word, over_words, text_of
from gateway.privacy.spans import Span

PACKAGES: Final = ("onnxruntime", "PIL", "presidio_image_redactor", "rapidocr")
_FORMATS: Final = {
    "PNG": ("PNG", {}),
    "GIF": ("PNG", {}),
    "JPEG": ("JPEG", {"quality": 95}),
    "MPO": ("JPEG", {"quality": 95}),  # a JPEG with more pictures behind it, of which none leaves
    "WEBP": ("WEBP", {"quality": 95}),
}
"""How a picture is stored → how it leaves."""

_CARD: Final = re.compile(
    r"(?<!\d)(?<!\d )(?<!\b[A-Z]{2})\d(?: ?\d){14,15}(?!\d)", re.ASCII
)  # behind two capitals it is a part of a bank account's number


@dataclass(frozen=True, slots=True)
class Bounds:
    """A picture of more pixels than `pixels_max` is refused, before it is decoded. One with a
    longer side than `side_max` is shrunk, and is read and leaves so."""

    pixels_max: int
    side_max: int
    timeout_seconds: float


def is_installed() -> bool:
    """Whether the extra `ocr` is there; nothing of it is imported."""
    return all(find_spec(package) for package in PACKAGES)


def load() -> None:
    """Raises NotLoaded."""
    _engine()


def read(pictures: Sequence[bytes], bounds: Bounds) -> list[list[Word]]:
    """Raises NotLoaded, TooLate, Unreadable, or what the engine raises."""
    engine = _engine()
    with at_most(bounds.timeout_seconds):
        return [list(_words(engine.remove_space_boxes(engine.ocr.perform_ocr(image))))
                for image, _ in (_pixels(picture, bounds) for picture in pictures)]  # fmt: skip


def cover(
    pictures: Sequence[bytes],
    words: Sequence[Sequence[Word]],
    spans: Sequence[Sequence[Span]],
    bounds: Bounds,
) -> list[Picture]:
    """Raises NotLoaded, TooLate and Unreadable."""
    with at_most(bounds.timeout_seconds):
        return [
            _covered(picture, of_words, over_words(of_words, of_spans), bounds)
            for picture, of_words, of_spans in zip(pictures, words, spans, strict=True)
        ]


def _pixels(data: bytes, bounds: Bounds) -> tuple[Any, str]:
    """The picture upright, opaque and small enough, and how it was stored. Raises Unreadable."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = bounds.pixels_max
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image: Any = Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "WEBP", "GIF"])
            stored = str(image.format)
            if getattr(image, "n_frames", 1) > 1 and stored != "MPO":
                raise Unreadable("moves: it has more than one frame")
            image = ImageOps.exif_transpose(image)
            image.load()
    except UnidentifiedImageError:
        raise Unreadable("is no PNG, JPEG, WebP or GIF") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Unreadable(f"has more than {bounds.pixels_max} pixels") from None
    except (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, OverflowError):
        raise Unreadable("is broken") from None
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    image = image.convert("RGB")
    image.thumbnail((bounds.side_max, bounds.side_max), Image.Resampling.LANCZOS)
    return image, stored


def _covered(data: bytes, words: Sequence[Word], spans: Sequence[Span], bounds: Bounds) -> Picture:
    from PIL import Image, ImageDraw

    image, stored = _pixels(data, bounds)
    draw = ImageDraw.Draw(image)
    for box in _boxes(words, spans):
        draw.rectangle(
            (box.left, box.top, box.left + box.width, box.top + box.height), fill="black"
        )
    plain = Image.frombytes("RGB", image.size, image.tobytes())  # knows nothing of the old file
    format, options = _FORMATS[stored]
    written = io.BytesIO()
    plain.save(written, format=format, **options)
    return Picture(f"image/{format.lower()}", written.getvalue())


def _boxes(words: Sequence[Word], spans: Sequence[Span]) -> list[Any]:
    """Presidio's boxes of findings that are whole words, one a word."""
    from presidio_analyzer import RecognizerResult

    if not spans:
        return []
    results = [RecognizerResult(one.entity, one.start, one.end, one.score) for one in spans]
    read = {
        "text": [word.text for word in words],
        **{side: [getattr(word, side) for word in words] for side in _SIDES},
    }
    boxes: list[Any] = _engine().map_analyzer_results_to_bounding_boxes(
        results, read, text_of(words), []
    )
    return boxes


_SIDES: Final = ("left", "top", "width", "height")


def _words(read: dict[str, list[Any]]) -> Iterator[Word]:
    """The words of a result of Presidio's OCR; `line_num` is as Tesseract has it."""
    line = None
    for text, left, top, width, height, line_num in zip(
        read["text"], *(read[side] for side in _SIDES), read["line_num"], strict=True
    ):
        yield Word(text, left, top, width, height, line_num != line)
        line = line_num


@lru_cache(1)
def _engine() -> Any:
    """Presidio's engine around RapidOCR. Raises NotLoaded."""
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those that Presidio's own imports cause
            from presidio_image_redactor import ImageAnalyzerEngine

        return ImageAnalyzerEngine(analyzer_engine=_Nobody(), ocr=_rapid_ocr())
    except (ImportError, OSError, RuntimeError, TypeError, ValueError, LookupError) as problem:
        why = " ".join(str(problem).split())[:300]
    raise NotLoaded(f"it cannot be loaded: {why}")


class _Nobody:
    """Stands for Presidio's analyzer, which would load a language model: the gateway's own detector
    looks at the words."""


def _rapid_ocr() -> Any:
    import rapidocr
    from PIL import Image
    from presidio_image_redactor import OCR

    models = Path(rapidocr.__file__).parent / "models"
    parts = {"Det": "*_det_*.onnx", "Cls": "*_cls_*.onnx", "Rec": "*_rec_*.onnx"}
    try:
        found = {part: str(next(models.glob(pattern))) for part, pattern in parts.items()}
    except StopIteration:
        raise LookupError("the wheel of rapidocr has no models") from None
    rapid = rapidocr.RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.text_score": 0.0,  # what is hard to read is looked at, too
            "Global.max_side_len": 10**6,  # pictures are shrunk before
            "Global.return_word_box": True,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,  # others serve requests
            **{f"{part}.model_path": path for part, path in found.items()},  # never downloaded
        }
    )
    rapid(Image.new("RGB", (256, 64), "white"))  # loads the models

    class RapidOcr(OCR):  # type: ignore[misc]
        def perform_ocr(self, image: Any, **_: Any) -> dict[str, list[Any]]:
            """See Presidio's OCR."""
            seen = rapid(image)
            lines = _lines(seen, image.size) if seen.txts else []
            columns = ("text", *_SIDES, "line_num")
            return {name: [word[at] for word in lines] for at, name in enumerate(columns)}

    return RapidOcr()


def _lines(seen: Any, size: tuple[int, int]) -> list[tuple[Any, ...]]:
    """RapidOCR's lines as words: text, box and line. Where it does not tell where the words of a
    line stand, each has the box of the line. Pieces beside each other are one line."""
    results = seen.word_results if len(seen.word_results) == len(seen.txts) else [()] * len(
        seen.txts
    )  # fmt: skip
    found: list[tuple[Any, ...]] = []
    line, bottom = 0, 0.0
    for text, corners, pieces in zip(seen.txts, seen.boxes, results, strict=True):
        middle = sum(float(corner[1]) for corner in corners) / 4
        if middle > bottom or (found and corners[0][0] < found[-1][1]):
            line, bottom = line + 1, max(float(corner[1]) for corner in corners)
        characters = [(letter, box) for piece, _, box in pieces for letter in piece]
        is_told = "".join(letter for letter, _ in characters) == "".join(text.split())
        at = 0
        for word in _split(text):
            boxes = [box for _, box in characters[at : at + len(word)]] if is_told else []
            at += len(word)
            found.append((word, *_around(boxes or [corners], corners, size), line))
    return found


def _split(line: str) -> list[str]:
    """The words of a line. Where spaces stand around digits is a guess of the engine's, so those
    that are a card's number are one word, also where they are read as a part of another."""

    def alone(digits: re.Match[str]) -> str:
        number = digits[0].replace(" ", "")
        return f" {number} " if luhn(number) else digits[0]

    return _CARD.sub(alone, line).split()


def _around(boxes: Sequence[Any], line: Any, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """A box around all, of the height of their line, with a little more on every side: where a
    letter ends is a guess."""
    across = [float(corner[0]) for box in boxes for corner in box]
    down = [float(corner[1]) for box in (*boxes, line) for corner in box]
    if max(float(c[0]) for c in line) - min(float(c[0]) for c in line) < max(down) - min(down):
        down = [float(corner[1]) for box in boxes for corner in box]  # a line that goes down
        across += [float(corner[0]) for corner in line]
    more = 2 + min(max(across) - min(across), max(down) - min(down)) / 6
    left, top = max(int(min(across) - more), 0), max(int(min(down) - more), 0)
    right = min(int(max(across) + more) + 1, size[0])
    return left, top, right - left, min(int(max(down) + more) + 1, size[1]) - top
