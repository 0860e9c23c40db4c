"""A body that an upstream compressed against our wish, decoded as it arrives. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from gateway.backends.http_reply import NotHttp
from gateway.forward import Headers

PIECE_BYTES_MAX = 64 * 1024  # a few bytes can stand for very many
_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


class Inflater:
    """Gzip, of any number of members, or deflate, with zlib's head or (as some servers write it)
    without."""

    def __init__(self, deflate: bool) -> None:
        self._deflate = deflate
        self._stream: zlib._Decompress | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` stands for, at most PIECE_BYTES_MAX at a time. Raises NotHttp."""
        while data:
            stream = self._stream
            if stream is None or (stream.eof and not self._deflate):
                stream = self._stream = zlib.decompressobj(self._window(data))
            if stream.eof:
                raise NotHttp
            try:
                piece = stream.decompress(data, PIECE_BYTES_MAX)
            except zlib.error as error:
                raise NotHttp from error
            data = stream.unused_data if stream.eof else stream.unconsumed_tail
            if piece:
                yield piece

    def end(self) -> None:
        """Raises NotHttp where the compressed body is not whole."""
        if self._stream is not None and not self._stream.eof:
            raise NotHttp

    def _window(self, data: bytes) -> int:
        if not self._deflate:
            return _GZIP
        return _ZLIB if data[0] & 0x0F == zlib.DEFLATED else _RAW


def inflater(headers: Headers) -> Inflater | None:
    """None where the body is as it is. Raises NotHttp where it is something nobody asked for and
    that cannot be decoded."""
    coding = ""
    for name, value in headers:
        if name == "content-encoding":
            coding = f"{coding},{value}" if coding else value
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return None
    if coding not in _CODINGS:
        raise NotHttp
    return Inflater(coding == "deflate")
