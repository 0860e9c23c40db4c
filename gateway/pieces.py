"""Bodies in pieces that come as a whole. No generators, of which the event loop would be told."""

from __future__ import annotations

from collections.abc import AsyncIterable
from contextlib import closing, suppress

from gateway.errors import ApiError
from gateway.waiting import Waits


class OnePiece:
    """Gives its piece once."""

    __slots__ = ("_piece",)

    def __init__(self, piece: bytes) -> None:
        self._piece: bytes | None = piece

    def __aiter__(self) -> OnePiece:
        return self

    async def __anext__(self) -> bytes:
        piece, self._piece = self._piece, None
        if piece is None:
            raise StopAsyncIteration
        return piece


async def joined(pieces: AsyncIterable[bytes], bytes_max: int) -> bytes | None:
    """All of them, or None once they are more than `bytes_max`."""
    got: list[bytes] = []
    size = 0
    async for piece in pieces:
        got.append(piece)
        size += len(piece)
        if size > bytes_max:
            return None
    return got[0] if len(got) == 1 else b"".join(got)


async def drained(pieces: AsyncIterable[bytes], seconds: float) -> None:
    """Thrown away to their end, but for no longer."""
    with suppress(ApiError, TimeoutError), closing(Waits()) as waits:
        await waits.within(seconds, _rest(pieces))


async def closed(pieces: AsyncIterable[bytes]) -> None:
    """Ended, where they can be."""
    if (aclose := getattr(pieces, "aclose", None)) is not None:
        await aclose()


async def _rest(pieces: AsyncIterable[bytes]) -> None:
    async for _ in pieces:
        pass
