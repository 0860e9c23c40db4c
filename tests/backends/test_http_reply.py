"""A reply's bytes read as HTTP/1.1, however they are cut."""

from __future__ import annotations

import pytest

from gateway.backends.http_reply import HEAD_BYTES_MAX, HEADERS_MAX, CutOff, NotHttp, ReplyReader

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"

WHOLE = {
    "of a length": (OK + b"content-length: 5\r\n\r\nhello", b"hello"),
    "empty": (OK + b"content-length: 0\r\n\r\n", b""),
    "in chunks": (CHUNKED + b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", b"hello!"),
    "with an extension of a chunk": (CHUNKED + b"5;a=b\r\nhello\r\n0\r\n\r\n", b"hello"),
    "with spaces after a size": (CHUNKED + b"5  \r\nhello\r\n0\r\n\r\n", b"hello"),
    "with trailers": (CHUNKED + b"5\r\nhello\r\n0\r\nx: y\r\n\r\n", b"hello"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "not modified": (b"HTTP/1.1 304 T\r\ncontent-length: 5\r\n\r\n", b""),
    "after interim replies": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
        + OK
        + b"content-length: 2\r\n\r\nok",
        b"ok",
    ),
    "without a reason": (b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok", b"ok"),
}
UNTIL_THE_END = {
    "no length": (OK + b"\r\nhello", b"hello"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello"),
}


def read(*pieces: bytes) -> tuple[ReplyReader, bytes]:
    reader, body = ReplyReader(), b""
    for piece in pieces:
        reader.feed(piece)
        body += reader.take()
    return reader, body


@pytest.mark.parametrize(("said", "body"), WHOLE.values(), ids=WHOLE)
def test_a_reply_is_the_same_wherever_it_is_cut(said: bytes, body: bytes) -> None:
    for at in range(1, len(said)):
        reader, got = read(said[:at], said[at:])
        assert (got, reader.complete) == (body, True), at
        assert "link" not in dict(reader.headers), "of an interim reply"
    reader, got = read(*(said[n : n + 1] for n in range(len(said))))
    assert (got, reader.complete) == (body, True)


@pytest.mark.parametrize(("said", "body"), WHOLE.values(), ids=WHOLE)
def test_before_its_last_byte_a_reply_is_cut_off(said: bytes, body: bytes) -> None:
    for at in range(len(said)):
        reader, _ = read(said[:at])
        assert not reader.complete
        with pytest.raises(CutOff):
            reader.end()


@pytest.mark.parametrize(("said", "body"), UNTIL_THE_END.values(), ids=UNTIL_THE_END)
def test_a_body_without_a_length_goes_on_to_the_end_of_the_connection(
    said: bytes, body: bytes
) -> None:
    reader, got = read(said)
    assert (got, reader.complete) == (body, False)
    reader.end()
    assert (reader.complete, reader.reusable) == (True, False)


@pytest.mark.parametrize(("said", "body"), WHOLE.values(), ids=WHOLE)
def test_a_connection_is_reusable_if_nothing_follows(said: bytes, body: bytes) -> None:
    assert read(said)[0].reusable
    for more in (b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"x", b"\0", OK, said):
        reader, got = read(said + more)
        assert (got, reader.complete, reader.reusable) == (body, True, False), more
        for at in range(1, len(said)):
            reader, got = read(said[:at], said[at:] + more)
            assert (got, reader.complete, reader.reusable) == (body, True, False), (at, more)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(b"x: y", None), (b"Keep-Alive: timeout=5", 5), (b"keep-alive: max=9, Timeout=75", 75),
     (b"keep-alive: timeout=x", None)],
)  # fmt: skip
def test_a_server_may_say_how_long_it_keeps_a_connection(
    header: bytes, seconds: float | None
) -> None:
    reader, _ = read(OK + header + b"\r\ncontent-length: 0\r\n\r\n")
    assert reader.kept_seconds == seconds


@pytest.mark.parametrize(
    "said",
    [
        OK + b"connection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        OK + b"content-length: 2\r\n\r\n\r\n",  # which of the line ends is the body?
    ],
)
def test_a_connection_is_not_reusable(said: bytes) -> None:
    reader, _ = read(said)
    assert (reader.complete, reader.reusable) == (True, False)


UNBOUNDED = {
    "a status line": b"HTTP/1.1 200 " + b"a" * 10 * HEAD_BYTES_MAX,
    "a header": OK + b"x: " + b"a" * 10 * HEAD_BYTES_MAX,
    "a header's name": OK + b"x" * 10 * HEAD_BYTES_MAX,
    "headers": OK + b"x: y\r\n" * (HEADERS_MAX + 2),
    "large headers": OK + (b"x: " + b"y" * 1000 + b"\r\n") * 70,
    "interim replies": b"HTTP/1.1 100 Continue\r\n\r\n" * 4000,
    "a trailer": CHUNKED + b"0\r\nx: " + b"a" * 10 * HEAD_BYTES_MAX,
    "trailers": CHUNKED + b"0\r\n" + (b"x: " + b"y" * 1000 + b"\r\n") * 70,
    "an extension of a chunk": CHUNKED + b"1;" + b"a" * 10 * HEAD_BYTES_MAX,
}


@pytest.mark.parametrize("said", UNBOUNDED.values(), ids=UNBOUNDED)
def test_what_does_not_end_is_refused_and_not_kept(said: bytes) -> None:
    fed: list[int] = []
    with pytest.raises(NotHttp):
        fed_by_and_by(said, fed)
    assert sum(fed) <= 2 * HEAD_BYTES_MAX


def fed_by_and_by(said: bytes, fed: list[int]) -> None:
    reader = ReplyReader()
    for at in range(0, len(said), 1000):
        reader.feed(said[at : at + 1000])
        fed.append(1000)


@pytest.mark.parametrize("size", [HEAD_BYTES_MAX - 100, HEAD_BYTES_MAX])
def test_the_head_is_bounded_in_one_piece_too(size: int) -> None:
    said = OK + b"content-length: 0\r\nx: " + b"a" * size + b"\r\n\r\n"
    if size < HEAD_BYTES_MAX:
        assert read(said)[0].complete
    else:
        with pytest.raises(NotHttp):
            read(said)


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\ncontent-length: 2\r\n\r\nok",
        OK + b"transfer-encoding: gzip\r\n\r\n",
        OK + b"transfer-encoding: gzip, chunked\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n",
        CHUNKED + b"x\r\n",
        CHUNKED + b"ffffffffffffffffff\r\n",
        CHUNKED + b"1\r\nab\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
    ],
)
def test_what_is_no_reply_to_us_is_not_http(said: bytes) -> None:
    with pytest.raises(NotHttp):
        read(said)
    with pytest.raises(NotHttp):
        read(*(said[n : n + 1] for n in range(len(said))))
