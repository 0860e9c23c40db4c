"""Where a request ends is never in doubt: what a proxy before us could read otherwise is refused,
and nothing behind it is taken for another request."""

from __future__ import annotations

import pytest
from edge_world import GET, Served, said_to, serving, settings_of, statuses

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"


def post(*headers: bytes, body: bytes = b"3\r\nabc\r\n0\r\n\r\n") -> bytes:
    return b"POST / HTTP/1.1\r\nhost: x\r\n" + b"".join(headers) + b"\r\n" + body


AMBIGUOUS = {
    "length and chunks": post(b"content-length: 6\r\n", CHUNKED, body=b"0\r\n\r\nG"),
    "chunks and length": post(CHUNKED, b"content-length: 6\r\n", body=b"0\r\n\r\nG"),
    "two lengths": post(b"content-length: 3\r\n", b"content-length: 4\r\n", body=b"abcd"),
    "the same length twice": post(b"content-length: 3\r\n", b"content-length: 3\r\n", body=b"abc"),
    "a list of lengths": post(b"content-length: 3, 3\r\n", body=b"abc"),
    "a length with a sign": post(b"content-length: +3\r\n", body=b"abc"),
    "a negative length": post(b"content-length: -3\r\n", body=b"abc"),
    "a length in hex": post(b"content-length: 0x3\r\n", body=b"abc"),
    "an empty length": post(b"content-length: \r\n", body=b"abc"),
    "a length beyond 64 bits": post(b"content-length: 99999999999999999999999\r\n", body=b"abc"),
    "chunked is not last": post(b"transfer-encoding: chunked, identity\r\n"),
    "two encodings": post(CHUNKED, b"transfer-encoding: identity\r\n"),
    "a control code before chunked": post(b"transfer-encoding: \x0bchunked\r\n"),
    "a space before the colon": post(b"transfer-encoding : chunked\r\n"),
    "a folded header": post(b"x-a: b\r\n c\r\n", b"content-length: 3\r\n", body=b"abc"),
    "a folded encoding": post(b"transfer-encoding:\r\n chunked\r\n"),
    "a fold at the start": b"POST / HTTP/1.1\r\n host: x\r\ncontent-length: 3\r\n\r\nabc",
    "lines that end in LF": b"POST / HTTP/1.1\nhost: x\ncontent-length: 3\n\nabc",
    "a CR in a line": post(b"x-a: b\rcontent-length: 3\r\n", body=b"abc"),
    "a NUL in a header": post(b"x-a: b\0c\r\n", b"content-length: 3\r\n", body=b"abc"),
    "a space in a name": post(b"content length: 3\r\n", body=b"abc"),
    "a control code in the URL": b"GET /v1\x01 HTTP/1.1\r\nhost: x\r\n\r\n",
    "a space in the URL": b"GET /a b HTTP/1.1\r\nhost: x\r\n\r\n",
    "a version that there is not": b"GET / HTTP/1.2\r\nhost: x\r\n\r\n",
    "HTTP/2 without TLS": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_an_ambiguous_head_is_refused_and_ends_the_connection(request_bytes: bytes) -> None:
    async def talk(served: Served) -> None:
        got = await said_to(served.port, request_bytes + SMUGGLED)
        assert statuses(got) == [400]
        assert b"\r\nconnection: close\r\n" in got
        assert served.asked == []

    serving(talk, settings_of())


BROKEN_CHUNKS = {
    "a negative size": b"-3\r\nabc\r\n0\r\n\r\n",
    "a size with 0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "a size beyond 64 bits": b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "a size with a space": b"3 \r\nabc\r\n0\r\n\r\n",
    "lines that end in LF": b"3\nabc\n0\n\n",
    "more than the size": b"3\r\nabcd\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("body", BROKEN_CHUNKS.values(), ids=BROKEN_CHUNKS)
def test_broken_chunks_end_the_connection_and_are_no_second_request(body: bytes) -> None:
    async def talk(served: Served) -> None:
        got = await said_to(served.port, post(CHUNKED, body=body) + SMUGGLED)
        assert statuses(got) == [400]
        assert b"\r\nconnection: close\r\n" in got
        assert "GET /smuggled" not in served.asked
        assert served.refused == []  # the request is told of it, and writes it down

    serving(talk, settings_of())


@pytest.mark.parametrize("coding", [b"identity", b"xchunked"])
def test_a_coding_that_is_not_known_has_no_end_but_the_connection_s(coding: bytes) -> None:
    async def talk(served: Served) -> None:
        await said_to(served.port, post(b"transfer-encoding: " + coding + b"\r\n") + SMUGGLED)
        assert "GET /smuggled" not in served.asked

    serving(talk, settings_of())


@pytest.mark.parametrize(
    "pieces",
    [
        [b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 37\r\n\r\n"],
        [b"connection: upgrade\r\nUpgr", b"ade: h2c\r\ncontent-length: 37\r\n\r\n"],
        [b"connection: upgrade\r\nupgrade", b": websocket\r\ncontent-length: 37\r\n\r\n"],
        [
            b"upgrade: a, b\r\nUpgrade: c\r\nconnection: close, upgrade\r\n"
            b"content-length: 37\r\n\r\n"
        ],
    ],
    ids=["whole", "a cut name", "a cut before the colon", "several, on the last request"],
)
@pytest.mark.parametrize("before", [0, 1, 3])
@pytest.mark.parametrize("cuts", [True, False])
def test_an_offer_to_upgrade_is_passed_over_and_behind_it_a_body_is_still_a_body(
    pieces: list[bytes], before: int, cuts: bool
) -> None:
    """Also where it comes behind other requests."""
    body = SMUGGLED + b"a" * (37 - len(SMUGGLED))

    async def talk(served: Served) -> None:
        start = GET * before + b"POST / HTTP/1.1\r\nhost: x\r\n"
        sent = [start + pieces[0], *pieces[1:], body]
        got = await said_to(served.port, *(sent if cuts else [b"".join(sent)]))
        assert statuses(got) == [200] * (before + 1)
        assert got.endswith(b"\r\n\r\n37")
        assert served.asked == ["GET /"] * before + ["POST /"]
        assert served.refused == []

    serving(talk, settings_of())


def test_many_offers_one_behind_the_other_are_passed_over() -> None:
    offer = post(b"connection: upgrade\r\nupgrade: websocket\r\n", CHUNKED)

    async def talk(served: Served) -> None:
        assert statuses(await said_to(served.port, offer * 9 + GET)) == [200] * 10
        assert served.asked == ["POST /"] * 9 + ["GET /"]

    serving(talk, settings_of())


def test_more_offers_than_may_wait_are_refused() -> None:
    offer = GET[:-2] + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n"

    async def talk(served: Served) -> None:
        assert statuses(await said_to(served.port, offer * 3000)) == [200] * 1001 + [400]
        assert served.refused == [400]

    serving(talk, settings_of(pipelined_max=1000))


def test_a_tunnel_is_refused_and_nothing_in_it_is_a_request() -> None:
    async def talk(served: Served) -> None:
        tunnel = b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n"
        assert statuses(await said_to(served.port, GET + tunnel + SMUGGLED)) == [200, 400]
        assert served.asked == ["GET /"]

    serving(talk, settings_of())


def test_nothing_is_taken_from_behind_the_last_request_of_a_connection() -> None:
    async def talk(served: Served) -> None:
        last = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        assert statuses(await said_to(served.port, last + SMUGGLED)) == [200]
        assert served.asked == ["GET /"]

    serving(talk, settings_of())


def test_the_body_of_a_request_that_usually_has_none_is_still_a_body() -> None:
    async def talk(served: Served) -> None:
        head = f"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: {len(SMUGGLED)}\r\n\r\n"
        assert statuses(await said_to(served.port, head.encode() + SMUGGLED)) == [200]
        assert served.asked == ["GET /"]

    serving(talk, settings_of())
