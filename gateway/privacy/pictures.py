"""Words that stand in pictures: who reads and covers them, what of them is private, what is kept.

A picture that was covered cannot be restored. Pure, but for the port."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field
from typing import Protocol

from gateway.privacy.spans import Span

_DIGEST_BYTES = 16
_SEAL = b"seal"


@dataclass(frozen=True, slots=True)
class Word:
    """`text` without spaces, as it was read at `left`, `top`, of `width` and `height` pixels;
    `begins_line`: it does not go on the line of the word before."""

    text: str = field(repr=False)
    left: int
    top: int
    width: int
    height: int
    begins_line: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """What leaves: a file of the type `media`, such as image/png."""

    media: str
    data: bytes = field(repr=False)


class Unreadable(Exception):
    """A picture that is none, or of a kind that is not read. Says why, as the end of a sentence
    that begins with "The picture"; holds nothing of the picture."""


class Reader(Protocol):
    """Both raise Unreadable, and DetectionFailed where reading broke or took too long. What takes
    long is done off the event loop."""

    async def read(self, pictures: Sequence[bytes]) -> list[list[Word]]:
        """The words of each picture, in the order of reading."""
        ...

    async def cover(
        self,
        pictures: Sequence[bytes],
        words: Sequence[Sequence[Word]],
        spans: Sequence[Sequence[Span]],
    ) -> list[Picture]:
        """Each picture written anew without metadata. `spans` are those of the text of its words
        (`text_of`) that must not be seen."""
        ...


def text_of(words: Sequence[Word]) -> str:
    """One character stands between two words: a space, or the end of a line."""
    between = ("\n" if word.begins_line else " " for word in words)
    return "".join(part for word in words for part in (next(between), word.text))[1:]


def over_words(words: Sequence[Word], spans: Iterable[Span]) -> list[Span]:
    """Disjoint spans in their order, grown until each is one or more whole words."""
    begins, at = [], 0
    for word in words:
        begins.append(at)
        at += len(word.text) + 1
    private = sorted(spans, key=lambda span: span.start)
    grown: list[Span] = []
    for word, start in zip(words, begins, strict=True):
        end = start + len(word.text)
        touching = [span for span in private if span.start < end and start < span.end]
        if not touching:
            continue
        goes_on = grown and any(span.start < grown[-1].end for span in touching)
        first = grown.pop() if goes_on else touching[0]
        grown.append(Span(first.start if goes_on else start, end, first.entity, first.score))
    return grown


class RememberedReader:
    """A Reader that remembers what it read: every turn of a conversation sends its pictures again.

    The words are sealed with a hash of their own picture and a `key` of 32 random bytes of this
    process, so that only who has the picture can read them. At most `pictures_max` are kept; what
    was not asked for longest goes first. Failures are not kept."""

    def __init__(self, reader: Reader, key: bytes, pictures_max: int) -> None:
        self._reader = reader
        self._key = key
        self._pictures_max = pictures_max
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()

    async def read(self, pictures: Sequence[bytes]) -> list[list[Word]]:
        """See the port. A picture that is there twice is read once."""
        names = [self._hash(picture) for picture in pictures]
        words = {
            name: _opened(self._kept[name], self._seal(picture))
            for name, picture in zip(names, pictures, strict=True)
            if name in self._kept
        }
        new = {n: picture for n, picture in zip(names, pictures, strict=True) if n not in words}
        if new:
            read = await self._reader.read(list(new.values()))
            for (name, picture), found in zip(new.items(), read, strict=True):
                words[name] = found
                self._kept[name] = _sealed(found, self._seal(picture))
        for name in names:
            self._kept.move_to_end(name)
        while len(self._kept) > self._pictures_max:
            self._kept.popitem(last=False)
        return [words[name] for name in names]

    async def cover(
        self,
        pictures: Sequence[bytes],
        words: Sequence[Sequence[Word]],
        spans: Sequence[Sequence[Span]],
    ) -> list[Picture]:
        return await self._reader.cover(pictures, words, spans)

    def _hash(self, picture: bytes) -> bytes:
        return hashlib.blake2b(picture, key=self._key, digest_size=_DIGEST_BYTES).digest()

    def _seal(self, picture: bytes) -> bytes:
        return hashlib.blake2b(picture, key=self._key, person=_SEAL).digest()


def _sealed(words: Sequence[Word], seal: bytes) -> bytes:
    return _mixed(json.dumps([astuple(word) for word in words]).encode(), seal)


def _opened(sealed: bytes, seal: bytes) -> list[Word]:
    return [Word(*word) for word in json.loads(_mixed(sealed, seal))]


def _mixed(data: bytes, seal: bytes) -> bytes:
    """With a pad of its length; done twice, the data again. One seal never serves two texts."""
    pad = hashlib.shake_256(seal).digest(len(data))
    return (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(data), "big")
