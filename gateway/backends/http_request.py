"""A request to an upstream as bytes: where it goes, and its head. Pure."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from gateway.forward import Headers

PORTS = {"http": 80, "https": 443}
_KEPT = "/%:@!$&'()*+,;=~?[]"  # what a path and a query may hold besides letters and digits


class Origin(NamedTuple):
    """Whom a connection leads to; requests to the same one may share it."""

    host: str
    port: int
    tls: bool


@dataclass(frozen=True, slots=True)
class Place:
    """An origin, and how each head of a request to one of its paths begins. `authorization` is
    what the user and password of a URL come to, or nothing."""

    origin: Origin
    head: str
    authorization: str


@lru_cache(maxsize=256)
def place(base_url: str, path: str) -> Place:
    """Raises ValueError where the two make no URL of HTTP."""
    parts = urlsplit(base_url.rstrip("/") + path)
    if parts.scheme not in PORTS or not parts.hostname or parts.port == 0:
        raise ValueError("not an http or https URL with a host")
    port = parts.port or PORTS[parts.scheme]
    host = parts.hostname if parts.hostname.isascii() else _ascii(parts.hostname)
    named = f"[{host}]" if ":" in host else host
    if not named.isprintable() or " " in named:
        raise ValueError("not a host")
    if port != PORTS[parts.scheme]:
        named += f":{port}"
    asked = quote(parts.path or "/", safe=_KEPT) + (
        f"?{quote(parts.query, safe=_KEPT)}" if parts.query else ""
    )
    authorization = ""
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"authorization: Basic {b64encode(user.encode()).decode()}\r\n"
    head = f"POST {asked} HTTP/1.1\r\nhost: {named}\r\n"
    return Place(Origin(host, port, parts.scheme == "https"), head, authorization)


def _ascii(host: str) -> str:
    return host.encode("idna").decode()


def head_of(there: Place, headers: Headers, length: int) -> bytes:
    """The head of a request with a body of `length` bytes.

    Raises ValueError where a header would begin another line: whoever made it did not check it."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    count = len(headers)
    if lines.count("\n") != count or lines.count("\r") != count or "\0" in lines:
        raise ValueError("a header holds a control character")
    if there.authorization and not any(name == "authorization" for name, _ in headers):
        lines += there.authorization
    return f"{there.head}{lines}content-length: {length}\r\n\r\n".encode("ascii")
