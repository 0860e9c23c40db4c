"""Real pictures read by the real engine, and what leaves of them. Runs in .tools/ocr."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from drawn import CARD, MAIL, PHONE, PLAIN, drawn, opened, stored
from PIL import Image, PngImagePlugin

from gateway.backends import ocr_worker
from gateway.backends.ocr_reader import OcrReader, missing
from gateway.backends.ocr_worker import Bounds
from gateway.backends.presidio_detector import Patience, PresidioDetector
from gateway.backends.process_pool import TooLate
from gateway.privacy.pictures import Unreadable, text_of
from gateway.privacy.profile import Images
from gateway.privacy.spans import Span

BOUNDS = Bounds(2_000_000, 1600, 120)
KINDS = frozenset({"EMAIL_ADDRESS", "CREDIT_CARD", "PHONE_NUMBER"})
ALL = (MAIL, CARD, PHONE, PLAIN)


def text_in(picture: bytes) -> str:
    (words,) = ocr_worker.read([picture], BOUNDS)
    return text_of(words)


@cache
def detector() -> PresidioDetector:
    made = PresidioDetector(1, Patience(60, 60))
    asyncio.run(made.warm())
    return made


def found_in(texts: Sequence[str]) -> list[list[Span]]:
    made = detector()
    return asyncio.run(made.detect(texts, KINDS))


def left_of(picture: bytes) -> Any:
    """The picture with every finding covered."""
    words = ocr_worker.read([picture], BOUNDS)
    (left,) = ocr_worker.cover([picture], words, found_in([text_of(words[0])]), BOUNDS)
    return left


@pytest.mark.parametrize(
    ("look", "format"),
    [
        ({"font": 14}, "PNG"),
        ({"font": 20}, "WEBP"),
        ({"font": 18}, "JPEG"),
        ({"font": 20, "ink": "white", "paper": "#223"}, "PNG"),
        ({"font": 20, "mode": "P"}, "GIF"),
    ],
    ids=str,
)
def test_private_values_are_not_to_be_read_any_more_and_the_rest_is(
    look: dict[str, Any], format: str
) -> None:
    picture = stored(drawn(*ALL, **look), format)
    assert {span.entity for span in found_in([text_in(picture)])[0]} == KINDS
    left = left_of(picture)
    read = text_in(left.data)
    assert found_in([read]) == [[]]
    for piece in ("ann", "smith", "4111", "1111", "2671"):
        assert piece not in read
    for piece in ("Please write", "Card", "12/27", PLAIN):
        assert piece in read
    image = opened(left.data)
    assert left.media == f"image/{image.format.lower()}"
    assert image.size == (640, 480)


def test_a_picture_with_nothing_private_leaves_as_it_looked() -> None:
    picture = stored(drawn(PLAIN))
    left = left_of(picture)
    assert opened(left.data).tobytes() == opened(picture).tobytes()


def test_lines_and_words_beside_each_other_are_in_the_order_of_reading() -> None:
    assert text_in(stored(drawn(MAIL, PLAIN))) == f"{MAIL}\n{PLAIN}"


def test_a_line_without_spaces_is_one_word_and_covered_whole() -> None:
    (words,) = ocr_worker.read([stored(drawn("tel:415-555-2671;ext"))], BOUNDS)
    assert [word.text for word in words] == ["tel:415-555-2671;ext"]


def test_a_turned_photo_is_read_upright_and_leaves_so() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter to the right
    picture = stored(drawn(*ALL).rotate(90, expand=True), "JPEG", exif=exif, quality=95)
    assert opened(picture).size == (480, 640)
    left = left_of(picture)
    assert opened(left.data).size == (640, 480)
    assert found_in([text_in(left.data)]) == [[]]
    assert PLAIN in text_in(left.data)


def test_no_metadata_leaves() -> None:
    secret = "ann.smith@example.com"
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = secret
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", secret)
    texts.add_itxt("XML:com.adobe.xmp", secret)
    for picture in (
        stored(drawn(PLAIN), "PNG", pnginfo=texts, exif=exif),
        stored(drawn(PLAIN), "JPEG", exif=exif, comment=secret, xmp=secret.encode()),
        stored(drawn(PLAIN), "WEBP", exif=exif, xmp=secret.encode()),
        stored(drawn(PLAIN, mode="P"), "GIF", comment=secret),
        stored(drawn(PLAIN), "PNG") + secret.encode(),
    ):
        assert secret.encode() in picture
        assert secret.encode() not in left_of(picture).data


def test_what_is_transparent_does_not_leave_unseen() -> None:
    image = drawn(MAIL, mode="RGBA")
    image.putalpha(0)
    left = left_of(stored(image))
    assert opened(left.data).mode == "RGB"
    assert opened(left.data).getextrema() == ((255, 255),) * 3


def test_a_large_picture_is_shrunk_and_leaves_so() -> None:
    left = left_of(stored(drawn(*ALL, size=(1900, 1000), font=40)))
    assert opened(left.data).size[0] == 1600
    assert found_in([text_in(left.data)]) == [[]]


def moving() -> bytes:
    frames = [drawn(PLAIN), drawn(MAIL)]
    return stored(frames[0], "GIF", save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        (moving(), "moves"),
        (b"%PDF-1.7", "is no PNG"),
        (stored(drawn(PLAIN), "BMP"), "is no PNG"),
        (stored(drawn(PLAIN), "TIFF"), "is no PNG"),
        (stored(drawn(PLAIN))[:300], "is broken"),
        (stored(Image.new("1", (2000, 1001))), "has more than 2000000 pixels"),
        (b"", "is no PNG"),
    ],
    ids=["gif", "pdf", "bmp", "tiff", "cut", "bomb", "empty"],
)
def test_what_cannot_be_read_says_why(picture: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        ocr_worker.read([picture], BOUNDS)


def test_an_empty_picture_has_no_words() -> None:
    assert ocr_worker.read([stored(Image.new("RGB", (1, 1))), stored(drawn())], BOUNDS) == [[], []]


def test_what_takes_longer_than_it_may_is_stopped() -> None:
    with pytest.raises(TooLate):
        ocr_worker.read([stored(drawn(MAIL))], replace(BOUNDS, timeout_seconds=0.01))


def test_a_process_reads_covers_and_passes_on_what_is_unreadable() -> None:
    picture = stored(drawn(MAIL))

    async def main() -> None:
        reader = OcrReader(1, 120, BOUNDS)
        try:
            assert await reader.prepare({Images.OCR}) == {}
            (words,) = await reader.read([picture])
            text = text_of(words)
            assert text == MAIL
            span = Span(text.index("ann"), text.index(" today"), "EMAIL_ADDRESS", 1.0)
            (left,) = await reader.cover([picture], [words], [[span]])
            (after,) = await reader.read([left.data])
            assert "today" in text_of(after)
            assert "ann" not in text_of(after)
            with pytest.raises(Unreadable, match="is no PNG"):
                await reader.read([b"none"])
        finally:
            await reader.aclose()

    asyncio.run(main())


def test_the_extra_is_there() -> None:
    assert [missing(images) for images in Images] == [None, None, None]
