"""Pictures of text, drawn with the font that comes in Pillow."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image, ImageDraw, ImageFont

MAIL = "Please write to ann.smith@example.com today"
CARD = "Card 4111 1111 1111 1111 exp 12/27"
PHONE = "Phone: +1 415-555-2671"
PLAIN = "Nothing private is written on this line"


def drawn(
    *lines: str,
    size: tuple[int, int] = (640, 480),
    font: int = 20,
    ink: str = "black",
    paper: str = "white",
    mode: str = "RGB",
) -> Any:
    image = Image.new("RGB", size, paper)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        at = (16, 12 + int(number * font * 1.8))
        draw.text(at, line, fill=ink, font=ImageFont.load_default(font))
    return image.convert(mode)


def stored(image: Any, format: str = "PNG", **options: Any) -> bytes:
    written = io.BytesIO()
    image.save(written, format=format, **options)
    return written.getvalue()


def opened(data: bytes) -> Any:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image
