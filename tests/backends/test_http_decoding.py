"""Bodies that were compressed against our wish."""

from __future__ import annotations

import gzip
import zlib

import pytest

from gateway.backends.http_decoding import PIECE_BYTES_MAX, Inflater, inflater
from gateway.backends.http_reply import NotHttp

TEXT = b"data: {}\n\n" * 500


def raw(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


PACKED = {
    "gzip": ("gzip", gzip.compress(TEXT)),
    "gzip, by its old name": (" X-GZIP", gzip.compress(TEXT)),
    "gzip of two members": ("gzip", gzip.compress(TEXT[:700]) + gzip.compress(TEXT[700:])),
    "deflate": ("deflate", zlib.compress(TEXT)),
    "deflate without a head": ("deflate", raw(TEXT)),
}


def decoded(decode: Inflater, *pieces: bytes) -> bytes:
    body = b"".join(part for piece in pieces for part in decode.feed(piece))
    decode.end()
    return body


def decoder(coding: str) -> Inflater:
    decode = inflater([("content-encoding", coding)])
    assert decode is not None
    return decode


@pytest.mark.parametrize(("coding", "packed"), PACKED.values(), ids=PACKED)
def test_a_body_is_decoded_wherever_it_is_cut(coding: str, packed: bytes) -> None:
    for at in range(1, len(packed)):
        assert decoded(decoder(coding), packed[:at], packed[at:]) == TEXT
    assert decoded(decoder(coding), *(packed[n : n + 1] for n in range(len(packed)))) == TEXT


@pytest.mark.parametrize(("coding", "packed"), PACKED.values(), ids=PACKED)
def test_a_compressed_body_that_is_not_whole_is_refused(coding: str, packed: bytes) -> None:
    with pytest.raises(NotHttp):
        decoded(decoder(coding), packed[:-1])


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_what_follows_a_compressed_body_is_refused(coding: str) -> None:
    packed = gzip.compress(TEXT) if coding == "gzip" else zlib.compress(TEXT)
    with pytest.raises(NotHttp):
        decoded(decoder(coding), packed + b"more")
    with pytest.raises(NotHttp):
        decoded(decoder(coding), packed, b"more")


def test_an_empty_body_is_empty() -> None:
    assert decoded(decoder("gzip")) == b""


def test_what_is_flushed_is_told_at_once() -> None:
    stream = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    decode = decoder("gzip")
    for event in (b"data: 1\n\n", b"data: 2\n\n"):
        packed = stream.compress(event) + stream.flush(zlib.Z_SYNC_FLUSH)
        assert b"".join(decode.feed(packed)) == event


def test_few_bytes_that_stand_for_many_come_in_bounded_pieces() -> None:
    packed = gzip.compress(bytes(50_000_000))
    assert len(packed) < 50_000
    sizes = [len(piece) for piece in decoder("gzip").feed(packed)]
    assert max(sizes) <= PIECE_BYTES_MAX
    assert sum(sizes) == 50_000_000


def test_other_encodings_are_refused_and_none_is_none() -> None:
    assert inflater([("content-type", "a")]) is None
    assert inflater([("content-encoding", "identity")]) is None
    for coding in ("br", "zstd", "gzip, gzip", "x"):
        with pytest.raises(NotHttp):
            inflater([("content-encoding", coding)])
    with pytest.raises(NotHttp):
        inflater([("content-encoding", "gzip"), ("content-encoding", "gzip")])
