"""The port Upstream over HTTP, with aiohttp as a bare engine.

What aiohttp does by itself for a browser-like client is off: redirects, cookies, proxies of the
environment, its own time-outs. Why aiohttp and not a transport of httpx: docs/internals/streams.md.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager

import aiohttp
import certifi
from aiohttp.http_exceptions import ContentEncodingError

from gateway.errors import ApiError, UpstreamFailed, UpstreamTooSlow
from gateway.forward import BrokenOff, Headers, Reply, Target

KEEP_ALIVE_SECONDS = 15.0
HEAD_BYTES_MAX = 64 * 1024  # of a reply's status line, and of each of its headers
SLICE_BYTES = 64 * 1024  # more at once would hold up the event loop

_AS_THEY_ARE = ("accept", "accept-encoding", "user-agent", "content-type")
_ERRORS = (aiohttp.ClientError, OSError)


class HttpUpstream:
    """One pool of at most `connections_max` connections for all upstreams.

    Close it with `aclose`, in the loop that used it. `trust` says which certificates are good;
    without it, `trusted()` does."""

    def __init__(self, connections_max: int, trust: ssl.SSLContext | None = None) -> None:
        self._connections_max = connections_max
        self._trust = trust or trusted()
        self._session: aiohttp.ClientSession | None = None  # aiohttp makes them in a loop only

    @asynccontextmanager
    async def send(
        self, target: Target, path: str, headers: Headers, body: bytes
    ) -> AsyncIterator[Reply]:
        deadline = asyncio.get_running_loop().time() + target.total_timeout_seconds
        sent = asyncio.Event()
        with _translated(target, sent):
            async with asyncio.timeout_at(deadline):
                response = await self._open().post(
                    target.base_url.rstrip("/") + path,
                    headers=[*headers, ("content-length", str(len(body)))],
                    data=_slices(body, sent),
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(connect=target.connect_timeout_seconds),
                )
        async with response, aclosing(_pieces(target, response, deadline)) as pieces:
            told = [(name.lower(), value) for name, value in response.headers.items()]
            yield Reply(response.status, told, pieces)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._connections_max,
                    ssl=self._trust,
                    keepalive_timeout=KEEP_ALIVE_SECONDS,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=_AS_THEY_ARE,
                trust_env=False,
                max_line_size=HEAD_BYTES_MAX,
                max_field_size=HEAD_BYTES_MAX,
            )
        return self._session


def trusted() -> ssl.SSLContext:
    """Mozilla's certificates, and the system's (`SSL_CERT_FILE` and `SSL_CERT_DIR` hold)."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


async def _slices(body: bytes, sent: asyncio.Event) -> AsyncIterator[bytes]:
    """Asked for the first time when the request has a connection: from then on it is `sent`."""
    sent.set()
    for start in range(0, len(body), SLICE_BYTES):
        yield body[start : start + SLICE_BYTES]


async def _pieces(
    target: Target, response: aiohttp.ClientResponse, deadline: float
) -> AsyncGenerator[bytes, None]:
    """The body as it arrives, decoded where the upstream compressed it against our wish. Left
    before its end, it closes the connection, so that the upstream stops."""
    loop = asyncio.get_running_loop()
    try:
        while True:
            until = min(deadline, loop.time() + target.idle_timeout_seconds)
            with _translated(target):
                async with asyncio.timeout_at(until):
                    piece = await response.content.readany()
            if not piece:
                return
            yield piece
    finally:
        if not response.content.at_eof():
            response.close()


@contextmanager
def _translated(target: Target, sent: asyncio.Event | None = None) -> Iterator[None]:
    """Without `sent`, the request was sent."""
    try:
        yield
    except _ERRORS as error:
        raise _told(target, error, sent is None or sent.is_set()) from error


def _told(target: Target, error: Exception, sent: bool) -> ApiError:
    """The library's error as ours; its text stays here, as it can name hosts and quote bytes."""
    name = target.name
    if isinstance(error, TimeoutError) and not sent:
        return UpstreamTooSlow(
            f"No connection to the upstream {name} could be made, or was free, in time.",
            code="upstream_unreachable",
        )
    if isinstance(error, TimeoutError):
        return UpstreamTooSlow(
            f"The upstream {name} did not answer, or did not go on, in time.",
            code="upstream_timeout",
        )
    if isinstance(error, aiohttp.ClientResponseError) or isinstance(
        error.__cause__, ContentEncodingError
    ):
        return UpstreamFailed(
            f"The upstream {name} answered with something that is not HTTP.",
            code="upstream_invalid_answer",
        )
    kind = BrokenOff if sent else UpstreamFailed
    return kind(
        f"No connection to the upstream {name} could be made, or it broke.",
        code="upstream_unreachable",
    )
