"""The port Upstream over HTTP/1.1, with a client of our own: lean, since it is on every request's
way. Why, and what it costs: docs/internals/streams.md."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from types import TracebackType

import certifi

from gateway.backends.http_connection import Connection
from gateway.backends.http_decoding import inflater
from gateway.backends.http_dial import dial
from gateway.backends.http_pool import Pool
from gateway.backends.http_reply import NotHttp, ReplyReader
from gateway.backends.http_request import Place, head_of, place
from gateway.errors import ApiError, UpstreamFailed, UpstreamTooSlow
from gateway.forward import BrokenOff, Headers, Reply, Take, Target


class HttpUpstream:
    """One pool of at most `connections_max` connections for all upstreams.

    Close it with `aclose`, in the loop that used it. `trust` says which certificates are good;
    without it, `trusted()` does."""

    def __init__(self, connections_max: int, trust: ssl.SSLContext | None = None) -> None:
        self._trust = trust or trusted()
        self._pool = Pool(connections_max, self._open)

    def send(
        self, target: Target, path: str, headers: Headers, body: bytes
    ) -> AbstractAsyncContextManager[Reply]:
        return _Exchange(self._pool, target, path, headers, body)

    async def aclose(self) -> None:
        await self._pool.aclose()

    async def _open(self, connection: Connection) -> None:
        origin = connection.origin
        sock = await dial(origin.host, origin.port)
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: connection,
                sock=sock,
                ssl=self._trust if origin.tls else None,
                server_hostname=origin.host if origin.tls else None,
            )
        except BaseException:
            sock.close()
            raise


def trusted() -> ssl.SSLContext:
    """Mozilla's certificates, and the system's (`SSL_CERT_FILE` and `SSL_CERT_DIR` hold)."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


class _Exchange:
    """One request and its reply, and the pieces of its body as they arrive. Left before the reply's
    end, it closes its connection, so that the upstream stops."""

    __slots__ = ("_body", "_connection", "_deadline", "_decoded", "_headers", "_is_over", "_path",
                 "_pool", "_reader", "_take", "_target")  # fmt: skip

    _connection: Connection
    _deadline: float

    def __init__(
        self, pool: Pool, target: Target, path: str, headers: Headers, body: bytes
    ) -> None:
        self._pool = pool
        self._target = target
        self._path = path
        self._headers = headers
        self._body = body
        self._reader = ReplyReader()
        self._take: Take | None = None
        self._is_over = False  # there is no further piece
        self._decoded: AsyncGenerator[bytes, None] | None = None

    async def __aenter__(self) -> Reply:
        target, reader = self._target, self._reader
        now = asyncio.get_running_loop().time()
        self._deadline = now + target.total_timeout_seconds
        try:
            there = place(target.base_url, self._path)
        except ValueError as error:
            raise _told(target, error, sent=False) from error
        head = head_of(there, self._headers, len(self._body))
        connection = self._pool.kept(there.origin) or await self._connected(there, now)
        self._connection = connection
        try:
            connection.begin(reader, head, self._body)
            while not reader.begun:
                if connection.failure is not None:
                    raise _told(target, connection.failure, sent=True) from connection.failure
                await connection.more(self._deadline)
        except BaseException:
            connection.leave(reader)
            raise
        if reader.is_coded:
            self._decoded = self._inflated()
            return Reply(reader.status, reader.headers, self._decoded, relay=self._relay)
        reader.relayed = self._relayed
        return Reply(reader.status, reader.headers, self, relay=self._relay)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.leave(self._reader)
        self._is_over = True
        self._take = self._reader.relayed = None  # they hold each other
        if self._decoded is not None:
            await self._decoded.aclose()

    async def _connected(self, there: Place, now: float) -> Connection:
        """A connection that had to be waited for, or made."""
        target = self._target
        until = min(self._deadline, now + target.connect_timeout_seconds)
        try:
            async with asyncio.timeout_at(until):
                return await self._pool.acquire(there.origin)
        except (OSError, ValueError) as error:  # a name that is none is a UnicodeError
            raise _told(target, error, sent=False) from error

    def __aiter__(self) -> _Exchange:
        return self

    async def __anext__(self) -> bytes:
        """What of the body has arrived. No generator, of which the event loop would be told."""
        connection, reader = self._connection, self._reader
        if self._is_over:
            raise StopAsyncIteration
        try:
            if not (reader.pieces or reader.complete):
                until = self._patient_until()
                while not (reader.pieces or reader.complete):
                    if (failure := connection.failure) is not None:
                        raise _told(self._target, failure, sent=True) from failure
                    await connection.more(until)
        except BaseException:
            await self.aclose()
            raise
        if not reader.pieces:
            self._is_over = True
            raise StopAsyncIteration
        piece = reader.take()
        connection.took(reader)
        return piece

    async def aclose(self) -> None:
        """Nobody wants the rest."""
        self._is_over = True
        self._connection.leave(self._reader)

    async def _inflated(self) -> AsyncGenerator[bytes, None]:
        """The body, decoded."""
        try:
            decode = inflater(self._reader.headers)
            async for piece in self:
                for decoded in decode.feed(piece) if decode is not None else (piece,):
                    yield decoded
                    await asyncio.sleep(0)  # what was few bytes can be very many
            if decode is not None:
                decode.end()
        except NotHttp as error:
            raise _told(self._target, error, sent=True) from error
        finally:
            await self.aclose()

    def _patient_until(self) -> float:
        """When the wait for the next bytes of the body ends."""
        idle = self._connection.now() + self._target.idle_timeout_seconds
        return idle if idle < self._deadline else self._deadline

    def _relay(self, take: Take) -> None:
        self._take = take

    def _relayed(self) -> float:
        """What arrived is taken, as nearly all of a stream is, without its task."""
        take, reader = self._take, self._reader
        pieces = reader.pieces
        if take is None or not pieces:
            return 0.0
        if not take(pieces[0] if len(pieces) == 1 else b"".join(pieces)):
            return 0.0
        pieces.clear()
        reader.buffered = 0
        return self._patient_until()


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
    if isinstance(error, NotHttp):
        return UpstreamFailed(
            f"The upstream {name} answered with something that is not HTTP.",
            code="upstream_invalid_answer",
        )
    broken = f"No connection to the upstream {name} could be made, or it broke."
    if sent:
        return BrokenOff(broken, code="upstream_unreachable")
    return UpstreamFailed(broken, code="upstream_unreachable")
