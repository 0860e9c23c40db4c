"""The verb forward, and its port Upstream: one request to a provider, one reply in pieces.

Which headers pass in either direction, and when a request is sent again.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import lru_cache
from types import TracebackType
from typing import Protocol

import gateway
from gateway.circuit import Circuits
from gateway.errors import Unavailable, UpstreamFailed, UpstreamTooSlow
from gateway.fault import Headers as Headers
from gateway.fault import retry_after_seconds, told_in_error

RETRIED = frozenset({429, 500, 502, 503, 504, 529})
"""Statuses of an upstream that did not take a request up; 529 is "overloaded" of some."""
RETRIED_BYTES_MAX = 64 * 1024  # of an error's body, read to see whether it tells usage
RETRY_PAUSE_SECONDS = 0.1  # before the second attempt, doubled for each further one
KEY_LENGTH_MIN = 12  # a shorter one is no secret, but a word that any answer may have ("EMPTY")
RETRY_PAUSE_SECONDS_MAX = 5.0  # an upstream that wants a longer one is not asked again

OURS: Headers = (
    ("content-type", "application/json"),
    ("accept", "application/json, text/event-stream"),
    ("accept-encoding", "identity"),
    ("user-agent", f"completion-gateway/{gateway.__version__}"),
)
CALLERS = frozenset({"openai-beta", "traceparent", "tracestate"})
"""The only headers of a caller that an upstream sees."""
UPSTREAMS = frozenset({"content-type", "openai-model", "openai-version"})
"""The only headers of an upstream that a caller sees: the others speak of its connection, its
cookies, or the gateway's account."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes: `path` of a request is appended to `base_url`, which ends in what the
    upstream has for `/v1`. Times in seconds; `idle_timeout_seconds` is between two pieces of a
    body, `total_timeout_seconds` from sending to the last piece, all attempts together. `retries`:
    how often a request is sent again that was not taken up. `api_key` never shows in a repr."""

    name: str
    base_url: str
    api_key: str | None
    connect_timeout_seconds: float
    idle_timeout_seconds: float
    total_timeout_seconds: float
    retries: int = 0

    def __repr__(self) -> str:
        return f"Target({self.name!r}, {self.base_url!r})"


Take = Callable[[bytes], bool]
"""Takes a piece, or leaves it and says no. It must not raise."""


@dataclass(slots=True)
class Reply:
    """A status line and headers, then pieces of the body as they arrive, decoded. `attempts`: how
    often the request was sent for it. `relay`, where a port has it, names who may take a piece that
    arrives while one is waited for: what is taken the iterator never has, and nobody is woken."""

    status: int
    headers: Headers
    pieces: AsyncIterator[bytes]
    attempts: int = 1
    relay: Callable[[Take], None] | None = None


class BrokenOff(UpstreamFailed):
    """The request was sent, and the connection broke before a reply: nobody knows whether it was
    taken up, so it is not sent again. Raised with code `upstream_unreachable`."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How to wait between attempts: `sleep` for seconds, `dice` between 0 and 1."""

    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    dice: Callable[[], float] = lambda: 1.0


PATIENCE = Patience()


class Upstream(Protocol):
    """Leaving the context closes the exchange, and cancels the upstream if it is not at its end.

    Raises `errors.UpstreamFailed` (upstream_unreachable; upstream_invalid_answer where the bytes
    are not HTTP) and `errors.UpstreamTooSlow`: upstream_unreachable where there was no connection
    in time, so that nothing was sent, and upstream_timeout later. From entering as from
    iterating."""

    def send(
        self, target: Target, path: str, headers: Headers, body: bytes
    ) -> AbstractAsyncContextManager[Reply]: ...


def forward(
    upstream: Upstream,
    target: Target,
    path: str,
    body: bytes,
    caller_headers: Headers,
    request_id: str,
    patience: Patience = PATIENCE,
    circuits: Circuits | None = None,
    organization: str = "",
) -> AbstractAsyncContextManager[Reply]:
    """Send `body` to `path` under the target, with our headers and the few of the caller's that
    may pass, and again, up to `target.retries` times, while the upstream does not take it up: no
    connection could be made, or it answered with one of RETRIED and told no usage. The last one
    that answers is the reply. Raises what the port raises, and Unavailable where our key cannot be
    sent, or `circuits` say that the upstream has a rest for this organization."""
    headers = outgoing_headers(target, caller_headers, request_id)
    asked = upstream, path, headers, body
    return _Attempts(asked, target, patience, circuits or Circuits(), organization)


class _Attempts:
    """Those of one request. The exchange of the last one stays open until this is left."""

    __slots__ = ("_asked", "_circuits", "_exchange", "_organization", "_patience", "_target")

    _exchange: AbstractAsyncContextManager[Reply]

    def __init__(
        self,
        asked: tuple[Upstream, str, Headers, bytes],
        target: Target,
        patience: Patience,
        circuits: Circuits,
        organization: str,
    ) -> None:
        self._asked, self._target, self._patience = asked, target, patience
        self._circuits, self._organization = circuits, organization

    async def __aenter__(self) -> Reply:
        patience, target, circuits = self._patience, self._target, self._circuits
        whose = self._organization
        upstream, path, headers, body = self._asked
        now = asyncio.get_running_loop().time
        deadline = now() + target.total_timeout_seconds
        this = target
        for attempt in itertools.count(1):
            reply, pause = None, None
            if attempt <= target.retries:
                pause = _pause_seconds(attempt, patience)
            tries = circuits.enter(target.name, now(), whose)
            try:
                exchange = upstream.send(this, path, headers, body)
                reply = await exchange.__aenter__()
                self._exchange = exchange
                circuits.answered(target.name, reply.status, now(), tries, whose)
                if pause is not None:
                    reply, pause = await self._judged_or_closed(reply, pause)
                if pause is None or now() + pause >= deadline:
                    return reply if attempt == 1 else replace(reply, attempts=attempt)
                await self._exchange.__aexit__(None, None, None)
            except (UpstreamFailed, UpstreamTooSlow) as error:
                if reply is None:
                    circuits.failed(target.name, now(), tries, whose)
                was_sent = reply is not None or isinstance(error, BrokenOff)
                if was_sent or error.code != "upstream_unreachable":
                    raise
                if pause is None or now() + pause >= deadline:
                    raise
            except BaseException:
                circuits.left(target.name, tries, whose)
                raise
            await patience.sleep(pause)
            this = replace(target, total_timeout_seconds=deadline - now())
        raise AssertionError("unreachable")

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self._exchange.__aexit__(kind, error, tb)

    async def _judged_or_closed(self, reply: Reply, pause: float) -> tuple[Reply, float | None]:
        """As `_judged`, where another attempt may follow; what goes wrong closes the exchange."""
        try:
            return await _judged(reply, pause)
        except BaseException:
            await self._exchange.__aexit__(*sys.exc_info())
            raise


async def _judged(reply: Reply, pause: float) -> tuple[Reply, float | None]:
    """How long to wait before the request is sent again; None: this is the reply. What was read of
    it to see that comes again with its pieces."""
    wanted = retry_after_seconds(reply.headers)
    if reply.status not in RETRIED or (wanted or 0) > RETRY_PAUSE_SECONDS_MAX:
        return reply, None
    body = bytearray()
    async for piece in reply.pieces:
        body += piece
        if len(body) > RETRIED_BYTES_MAX:
            return replace(reply, pieces=_chained(bytes(body), reply.pieces)), None
    read = replace(reply, pieces=_chained(bytes(body), reply.pieces))
    if told_in_error(bytes(body)) is not None:
        return read, None
    return read, pause if wanted is None else wanted


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    yield first
    async for piece in rest:
        yield piece


def _pause_seconds(attempt: int, patience: Patience) -> float:
    """Longer from attempt to attempt, and not the same for all who wait."""
    most: float = min(RETRY_PAUSE_SECONDS * 2.0 ** (attempt - 1), RETRY_PAUSE_SECONDS_MAX)
    return most * (1 + patience.dice()) / 2


def outgoing_headers(target: Target, caller_headers: Headers, request_id: str) -> Headers:
    """An allow-list: a header that is not named here does not go out.

    Raises Unavailable (upstream_key_missing) where the key has characters that no header can
    have: it was set to something that is not a key."""
    headers = [*_headers_to(target.name, target.api_key), ("x-request-id", request_id)]
    for header in caller_headers:
        if header[0] in CALLERS and _can_be_header(header[1]):
            headers.append(header)
    return headers


@lru_cache(64)
def _headers_to(name: str, api_key: str | None) -> Headers:
    """Those that each request to the upstream of this name has: its key is looked at once."""
    if not api_key:
        return OURS
    key = api_key.strip()
    if not _can_be_header(key):
        raise Unavailable(
            f"The key of the upstream {name} cannot be sent. Set it again.",
            code="upstream_key_missing",
            retry=False,
        )
    return (*OURS, ("authorization", f"Bearer {key}"))


@lru_cache(64)
def secret_in(api_key: str) -> tuple[str, bytes]:
    """What no caller may see of an upstream's key: nothing of one that is too short."""
    key = api_key.strip()
    return (key, key.encode()) if len(key) >= KEY_LENGTH_MIN else ("", b"")


def answer_headers(headers: Headers) -> dict[str, str]:
    """What a caller may see of an upstream's headers; the first of each name."""
    shown: dict[str, str] = {}
    for name, value in headers:
        if name in UPSTREAMS and name not in shown and _can_be_header(value):
            shown[name] = value
    return shown


@lru_cache(64)
def media_type(content_type: str) -> str:
    """What a body is, without the parameters."""
    return content_type.partition(";")[0].strip().lower()


def _can_be_header(value: str) -> bool:
    return value.isascii() and value.isprintable()
