"""Where images stand, and how many tokens one is, by the formulas that OpenAI publishes. Pure.

Source: the OpenAI API documentation, "Images and vision", "Calculating costs". The size is read
from the first bytes of a `data:` URL; nothing is decoded but its head.
"""

from __future__ import annotations

import struct
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.openai.places import Path, Place

_HEAD_CHARACTERS: Final = 512 * 1024  # of base64: where a JPEG tells its size at the latest
_PICTURES: Final = ("image_url", "image", "input_image")
_SAID_IN: Final = ("messages", "input", "prompt", "prediction")
_TILES_MAX: Final = 8
_PATCHES_MAX: Final = 1536

_TILES: Final = {85 + 170 * _TILES_MAX: (85, 170)} | {
    base + tile * _TILES_MAX: (base, tile) for base, tile in ((2833, 5667), (75, 150), (70, 140))
}
"""The tokens of the largest image → those of an image at all, and of each of its tiles."""

_PATCHES: Final = {-(-_PATCHES_MAX * share // 100): share for share in (162, 246, 172)}
"""The tokens of the largest image → those of 100 patches."""


def image_tokens(image: Any, largest: int) -> int:
    """A bound of one image's tokens. `image` is the `image_url` of a part, `largest` the tokens of
    the largest image that the model takes.

    `largest` also says which formula holds: if it is the published maximum of one, what that comes
    to for the image's size and detail. For every other model, and where the size is not known,
    an image may be the largest."""
    if isinstance(image, str):
        image = {"url": image}
    if not isinstance(image, Mapping) or image.get("detail") not in (None, "auto", "low", "high"):
        return largest
    if largest in _TILES and image.get("detail") == "low":
        return _TILES[largest][0]
    if largest not in _TILES and largest not in _PATCHES:
        return largest
    size = size_of(image.get("url"))
    if size is None:
        return largest
    if largest in _TILES:
        base, tile = _TILES[largest]
        return min(base + tile * _tiles(*size), largest)
    patches = -(-size[0] // 32) * -(-size[1] // 32)
    return min(-(-patches * _PATCHES[largest] // 100), largest)


def image_places(body: Any) -> list[Place]:
    """Of every part of a message that is a picture, in whatever list it stands, the place of its
    URL; where that is no string, the picture is a file's id or something else that is not there,
    and the text of the place is none."""
    found: list[Place] = []
    todo: list[tuple[Any, Path]] = [(body.get(field), (field,)) for field in _SAID_IN]
    while todo:
        value, path = todo.pop()
        if isinstance(value, list):
            items = [(one, (*path, at)) for at, one in enumerate(value)]
            todo.extend(item for item in reversed(items) if isinstance(item[0], dict | list))
        elif isinstance(value, dict):
            found.extend(_place(value, path, below) for below in _pictures(value))
            todo.append((value.get("content"), (*path, "content")))
    return found


def _place(part: Any, path: Path, below: Path) -> Place:
    held = part
    for step in below:
        held = held[step]
    return Place((*path, *below), text=held if isinstance(held, str) else "")


def image_data(url: str) -> bytes | None:
    """The picture in a `data:` URL, or None. Lines and spaces in the base64 are passed over."""
    if url[:5].lower() != "data:":
        return None
    scheme, comma, data = url.partition(",")
    if not comma or not scheme.lower().endswith(";base64"):
        return None
    try:
        return a2b_base64("".join(data.split()), strict_mode=True)
    except (Error, ValueError):
        return None


def image_url(media: str, data: bytes) -> str:
    """The `data:` URL of a picture of the type `media`, such as image/png."""
    return f"data:{media};base64,{b2a_base64(data, newline=False).decode()}"


def _pictures(part: Mapping[str, Any]) -> list[Path]:
    """The URLs of a part. A file is a picture if it says so."""
    paths: list[Path] = []
    for name in _PICTURES:
        if name in part:
            held = part[name]
            paths.append((name, "url") if isinstance(held, dict) and "url" in held else (name,))
    file = part.get("file")
    data = file.get("file_data") if isinstance(file, dict) else None
    if isinstance(data, str) and data[:11].lower() == "data:image/":
        paths.append(("file", "file_data"))
    return paths or [()] * (part.get("type") in _PICTURES)


def size_of(url: Any) -> tuple[int, int] | None:
    """Width and height in pixels of the PNG, JPEG, GIF or WebP in a `data:` URL, or None."""
    if not isinstance(url, str) or url[:5].lower() != "data:":
        return None
    scheme, comma, data = url[: _HEAD_CHARACTERS + 100].partition(",")
    if not comma or not scheme.lower().endswith(";base64"):
        return None
    try:
        head = a2b_base64(data[: len(data) // 4 * 4], strict_mode=True)
    except (Error, ValueError):
        return None
    try:
        size = next((found for read in (_png, _gif, _webp, _jpeg) if (found := read(head))), None)
    except (struct.error, IndexError):
        return None
    return size if size and min(size) > 0 else None


def _tiles(width: int, height: int) -> int:
    """Tiles of 512 pixels after the image was fit into 2048 × 2048 and its shorter side made 768.
    A smaller image may or may not be enlarged: the bound is the greater of both."""
    long, short = max(width, height), min(width, height)
    if long > 2048:
        long, short = 2048, max(-(-short * 2048 // long), 1)
    as_it_is = -(-long // 512) * -(-short // 512)
    long_scaled = min(-(-long * 768 // short), 2048)
    scaled = -(-long_scaled // 512) * 2
    return min(scaled if short > 768 else max(scaled, as_it_is), _TILES_MAX)


def _png(head: bytes) -> tuple[int, int] | None:
    if head[:8] != b"\x89PNG\r\n\x1a\n" or head[12:16] != b"IHDR":
        return None
    width, height = struct.unpack_from(">II", head, 16)
    return width, height


def _gif(head: bytes) -> tuple[int, int] | None:
    if head[:6] not in (b"GIF87a", b"GIF89a"):
        return None
    width, height = struct.unpack_from("<HH", head, 6)
    return width, height


def _webp(head: bytes) -> tuple[int, int] | None:
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return None
    match head[12:16]:
        case b"VP8X":
            return _little(head[24:27]) + 1, _little(head[27:30]) + 1
        case b"VP8L" if head[20] == 0x2F:
            (bits,) = struct.unpack_from("<I", head, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 " if head[23:26] == b"\x9d\x01\x2a":
            width, height = struct.unpack_from("<HH", head, 26)
            return width & 0x3FFF, height & 0x3FFF
        case _:
            return None


def _little(three: bytes) -> int:
    if len(three) < 3:
        raise IndexError
    return int.from_bytes(three, "little")


def _jpeg(head: bytes) -> tuple[int, int] | None:
    """From the frame header; a thumbnail's lies within a segment that is passed over."""
    for marker, at in _segments(head):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", head, at + 3)
            return width, height
    return None


def _segments(head: bytes) -> Iterator[tuple[int, int]]:
    """Each marker, and where its segment begins (with its length)."""
    at = 2 if head[:3] == b"\xff\xd8\xff" else len(head)
    while at + 4 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        if marker == 0xDA:  # the scan: no frame header came
            return
        yield marker, at + 2
        at += 2 + struct.unpack_from(">H", head, at + 2)[0]
