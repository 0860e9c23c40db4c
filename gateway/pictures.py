"""The pictures of a request under `images: ocr`: out of its body, read, and back in, covered."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from gateway.errors import BadRequest
from gateway.openai.images import image_data, image_places, image_url, size_of
from gateway.openai.places import Place, lay_back
from gateway.privacy.changes import Finding
from gateway.privacy.pictures import Picture, Reader, Unreadable, Word, text_of
from gateway.privacy.profile import Action
from gateway.privacy.redact import Aside, unless_failed
from gateway.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Read:
    """Pictures and their words, in the order of the body. `places` hold their URLs; in `texts` the
    same places hold what was read there."""

    places: Sequence[Place] = ()
    pictures: Sequence[bytes] = field(default=(), repr=False)
    words: Sequence[Sequence[Word]] = ()
    texts: Sequence[Place] = ()


NO_PICTURES: Final = Read()


async def read_pictures(
    body: Mapping[str, Any], reader: Reader, settings: Settings, aside: Aside
) -> Read:
    """Raises BadRequest (images_unreadable) where a picture is not in the request itself or cannot
    be read, and Unavailable (redaction_failed): none leaves unseen."""
    places = await aside(lambda: image_places(body))
    if not places:
        return NO_PICTURES
    if len(places) > settings.images_max:
        raise _unreadable(f"There are {len(places)} pictures, and {settings.images_max} are read.")
    pictures = await aside(lambda: [_picture(place.text, settings) for place in places])
    words = await _of_each(pictures, reader.read(pictures))
    texts = [
        replace(place, text=text_of(found)) for place, found in zip(places, words, strict=True)
    ]
    return Read(places, pictures, words, texts)


async def write_pictures(
    body: Mapping[str, Any],
    read: Read,
    findings: Sequence[Sequence[Finding]],
    reader: Reader,
    aside: Aside,
) -> Mapping[str, Any]:
    """The body with every picture written anew, and what was found covered, unless it is only
    reported. Raises what `read_pictures` does."""
    spans = [
        [one.span for one in of_picture if one.action is not Action.REPORT]
        for of_picture in findings
    ]
    covering = reader.cover(read.pictures, read.words, spans)
    written: Sequence[Picture] = await _of_each(read.pictures, covering)

    def lay() -> Mapping[str, Any]:
        urls = [image_url(picture.media, picture.data) for picture in written]
        laid: Mapping[str, Any] = lay_back(body, read.places, urls)
        return laid

    return await aside(lay)


def _picture(url: str, settings: Settings) -> bytes:
    """Its bytes, if they are there, and not too many."""
    data = image_data(url)
    if data is None:
        raise _unreadable("A picture is a link, a file's id or no base64.")
    if len(data) > settings.image_bytes_max:
        raise _unreadable(
            f"A picture has {len(data)} bytes, and at most {settings.image_bytes_max} are read."
        )
    size = size_of(url)
    if size and size[0] * size[1] > settings.image_pixels_max:
        raise _unreadable(
            f"A picture has {size[0]} × {size[1]} pixels, and at most "
            f"{settings.image_pixels_max} are read."
        )
    return data


def _unreadable(why: str) -> BadRequest:
    return BadRequest(
        f"The policy lets only pictures out that can be read. {why} Send each as a data: URL with "
        "the base64 of a PNG, JPEG, WebP or GIF that does not move.",
        code="images_unreadable",
        param="messages",
    )


async def _of_each(pictures: Sequence[bytes], looking: Awaitable[list[T]]) -> Sequence[T]:
    try:
        return await unless_failed(looking, len(pictures), "The pictures could not be read")
    except Unreadable as why:
        raise _unreadable(f"A picture {why}.") from None
