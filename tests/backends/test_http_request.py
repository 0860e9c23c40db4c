"""Where a request goes, and its head."""

from __future__ import annotations

import pytest

from gateway.backends.http_request import Origin, head_of, place

PLACES = {
    "http://h/v1": (Origin("h", 80, False), "POST /v1/x HTTP/1.1", "h"),
    "http://h:80": (Origin("h", 80, False), "POST /x HTTP/1.1", "h"),
    "https://H.example:8443/a/b/": (
        Origin("h.example", 8443, True),
        "POST /a/b/x HTTP/1.1",
        "h.example:8443",
    ),
    "https://h": (Origin("h", 443, True), "POST /x HTTP/1.1", "h"),
    "http://[::1]:8080/v1": (Origin("::1", 8080, False), "POST /v1/x HTTP/1.1", "[::1]:8080"),
    "https://[::1]": (Origin("::1", 443, True), "POST /x HTTP/1.1", "[::1]"),
    "http://h/v1?key=a": (Origin("h", 80, False), "POST /v1?key=a/x HTTP/1.1", "h"),
    "http://h/a%20b c/ä": (Origin("h", 80, False), "POST /a%20b%20c/%C3%A4/x HTTP/1.1", "h"),
    "http://bücher.example": (
        Origin("xn--bcher-kva.example", 80, False),
        "POST /x HTTP/1.1",
        "xn--bcher-kva.example",
    ),
    "http://h/a\r\nx: y": (Origin("h", 80, False), "POST /ax:%20y/x HTTP/1.1", "h"),
}


@pytest.mark.parametrize("url", PLACES)
def test_a_url_is_an_origin_and_how_a_head_begins(url: str) -> None:
    origin, line, host = PLACES[url]
    there = place(url, "/x")
    assert there.origin == origin
    assert head_of(there, [("a", "b")], 3).decode() == (
        f"{line}\r\nhost: {host}\r\na: b\r\ncontent-length: 3\r\n\r\n"
    )


@pytest.mark.parametrize(
    "url",
    ["", "nothing", "ftp://h", "http://", "http://[", "http://h:0", "http://h:99999", "http://h:x",
     "http://a b", "http://a\0b"],
)  # fmt: skip
def test_what_is_no_url_of_http_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        place(url, "/x")


def test_a_user_of_a_url_is_told_where_there_is_no_key() -> None:
    there = place("http://me:p%40ss@h/v1", "/x")
    assert b"\r\nauthorization: Basic bWU6cEBzcw==\r\n" in head_of(there, [], 0)
    with_key = head_of(there, [("authorization", "Bearer sk")], 0)
    assert with_key.count(b"authorization") == 1
    assert b"Bearer sk" in with_key


@pytest.mark.parametrize(
    "header",
    [("a", "b\r\nc: d"), ("a", "b\n"), ("a", "b\r"), ("a\n", "b"), ("a", "\0"), ("a", "ä")],
)
def test_a_header_cannot_begin_another_line(header: tuple[str, str]) -> None:
    with pytest.raises(ValueError):
        head_of(place("http://h", "/x"), [header], 0)
