"""What is read of a request's head: llhttp's parser, by httptools; the URL; offers passed over."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import unquote

import httptools

VERSIONS = ("1.1", "1.0")
Parts = tuple[str, bytes, bytes]
"""Path, the same as it was written, and query."""
_KNOWN_URL_BYTES_MAX = 200


def new_parser(protocol: object) -> httptools.HttpRequestParser:
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def without_offer(
    parser: httptools.HttpRequestParser, url: bytes, headers: Sequence[tuple[bytes, bytes]]
) -> bytes:
    """The head that the parser is behind, without its offer of another protocol, which may be
    ignored (RFC 9110, 7.8). It is for a new parser: this one takes what follows, which may be a
    body, for that protocol."""
    version = parser.get_http_version().encode()
    lines = [b"%b %b HTTP/%b" % (parser.get_method(), url, version)]
    lines += [b"%b: %b" % (name, value) for name, value in headers if name != b"upgrade"]
    return b"\r\n".join([*lines, b"\r\n"])


def parts_of(url: bytes) -> Parts | None:
    """Those of a URL; None where it is none. No path is the path `/` (RFC 9110, 4.2.3)."""
    return (_known if len(url) <= _KNOWN_URL_BYTES_MAX else _parts_of)(url)


def _parts_of(url: bytes) -> Parts | None:
    try:
        parsed = httptools.parse_url(url)
        raw = parsed.path or b"/"
        path = raw.decode("ascii")
    except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
        return None
    return unquote(path) if "%" in path else path, raw, parsed.query or b""


_known = lru_cache(256)(_parts_of)
