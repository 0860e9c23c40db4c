"""Images: their size out of their first bytes, and their tokens by the published formulas."""

from __future__ import annotations

import struct
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.openai.images import image_tokens, size_of


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + b"\x08\2\0\0\0"


def jpeg(width: int, height: int) -> bytes:
    thumbnail = b"\xff\xc0\0\x11\x08" + struct.pack(">HH", 9, 9)
    exif = b"\xff\xe1" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail
    return b"\xff\xd8" + exif + b"\xff\xc2\0\x11\x08" + struct.pack(">HH", height, width) + b"\3"


def webp(kind: bytes, data: bytes) -> bytes:
    return b"RIFF\0\0\0\0WEBP" + kind + b"\0\0\0\0" + data


def url(data: bytes, media: str = "image/png") -> str:
    return f"data:{media};base64,{b64encode(data).decode()}"


WIDE = (1000 - 1).to_bytes(3, "little") + (600 - 1).to_bytes(3, "little")
BITS = struct.pack("<I", (1000 - 1) | (600 - 1) << 14)
FILES = {
    "png": png(1000, 600),
    "jpeg with a thumbnail": jpeg(1000, 600),
    "gif": b"GIF89a" + struct.pack("<HH", 1000, 600),
    "webp, extended": webp(b"VP8X", b"\0\0\0\0" + WIDE),
    "webp, lossless": webp(b"VP8L", b"\x2f" + BITS),
    "webp, lossy": webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 1000, 600)),
}


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
def test_the_size_is_read_from_the_head(data: bytes) -> None:
    assert size_of(url(data + b"\0" * 9)) == (1000, 600)


@pytest.mark.parametrize(
    "told",
    [None, 7, "", "https://a.test/a.png", "data:image/png,abc", "data:image/png;base64,###",
     url(b"BM"), url(png(0, 7)), url(png(7, 7)[:18]), url(b"\xff\xd8\xff\xda\0\4"), url(b"")],
)  # fmt: skip
def test_what_has_no_size_that_can_be_read_has_none(told: Any) -> None:
    assert size_of(told) is None


@given(st.binary(max_size=60), st.sampled_from([data[:12] for data in FILES.values()]))
def test_no_bytes_break_the_reading(rest: bytes, begin: bytes) -> None:
    size = size_of(url(begin + rest))
    assert size is None or min(size) > 0


@pytest.mark.parametrize(
    ("width", "height", "largest", "tokens"),
    [  # the documentation's own examples, and the borders of the formulas
        (1024, 1024, 1445, 85 + 4 * 170),
        (2048, 4096, 1445, 85 + 6 * 170),
        (4096, 8192, 48169, 2833 + 6 * 5667),
        (512, 512, 1445, 85 + 4 * 170),  # it may be enlarged
        (9000, 100, 1445, 1445),
        (1024, 1024, 2489, 1659),
        (1800, 2400, 2489, 2489),
        (32, 32, 3779, 3),
    ],
)
def test_an_image_of_a_known_size_costs_what_the_formula_says(
    width: int, height: int, largest: int, tokens: int
) -> None:
    assert image_tokens({"url": url(png(width, height))}, largest) == tokens
    assert image_tokens({"url": url(png(height, width)), "detail": "high"}, largest) == tokens


def test_low_detail_is_the_base_of_every_image_however_far() -> None:
    assert image_tokens({"url": "https://a.test/a.png", "detail": "low"}, 1445) == 85
    assert image_tokens({"url": url(png(9, 9)), "detail": "low"}, 48169) == 2833


@pytest.mark.parametrize(
    ("image", "largest"),
    [
        ({"url": "https://a.test/a.png"}, 1445),
        ({"url": url(png(9, 9)), "detail": "original"}, 1445),
        ({"url": url(png(9, 9))}, 256),  # a model with a formula that we do not know
        ({"url": url(png(9, 9)), "detail": "low"}, 256),
        (None, 1445),
    ],
)
def test_what_no_formula_covers_may_be_the_largest(image: Any, largest: int) -> None:
    assert image_tokens(image, largest) == largest


@given(st.integers(1, 9000), st.integers(1, 9000), st.sampled_from([1445, 48169, 2489, 3779, 7]))
def test_no_image_is_more_than_the_largest(width: int, height: int, largest: int) -> None:
    assert 0 < image_tokens(url(png(width, height)), largest) <= largest
