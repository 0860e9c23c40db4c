"""TLS of the ports: a certificate out of files, and renewed files taken over while they serve.

Who renews (cert-manager, an ACME client) replaces both files, not at one instant. A pair that does
not fit is therefore never put to use: it is tried aside first, and again at the next look.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.edge.certificate import not_after
from gateway.parts import Log
from gateway.settings import Settings

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class TlsProblem(Exception):
    """TLS cannot be had as the settings want it; the message is a sentence that says why."""


def load_tls(
    settings: Settings, log: Log, expires: Callable[[float], None] = lambda at: None
) -> Tls | None:
    """TLS as the settings want it; None where they want none. `expires` hears the end, in unix
    seconds, of each certificate that is put to use. Raises TlsProblem."""
    if settings.tls_certificate and settings.tls_key:
        return Tls(settings, Path(settings.tls_certificate), Path(settings.tls_key), log, expires)
    for is_set, name in (
        (settings.tls_certificate, "GATEWAY_TLS_CERTIFICATE"),
        (settings.tls_key, "GATEWAY_TLS_KEY"),
        (settings.tls_client_ca, "GATEWAY_TLS_CLIENT_CA"),
        (settings.ops_tls == "on", "GATEWAY_OPS_TLS"),
    ):
        if is_set:
            raise TlsProblem(
                f"{name} is set, and TLS needs both GATEWAY_TLS_CERTIFICATE and GATEWAY_TLS_KEY. "
                f"Set these, or unset {name}."
            )
    return None


@asynccontextmanager
async def renewing(tls: Tls | None) -> AsyncIterator[None]:
    """Renewed files are taken over while inside."""
    following = asyncio.create_task(tls.follow()) if tls else None
    try:
        yield
    finally:
        if following:
            following.cancel()


class Tls:
    """The contexts of both ports. `ops` is None where that port is plain."""

    def __init__(
        self,
        settings: Settings,
        certificate: Path,
        key: Path,
        log: Log,
        expires: Callable[[float], None],
    ) -> None:
        self._settings = settings
        self._certificate, self._key = certificate, key
        self._log = log
        self._expires = expires
        self._used = self._digest()
        self.api = self._context(settings.tls_client_ca)
        self.ops = self._context(None) if settings.ops_tls == "on" else None
        self._tell_expiry()

    async def follow(self) -> None:
        """Take renewed files over, for ever. Connections that are open keep what they had."""
        while True:
            await asyncio.sleep(self._settings.tls_reload_seconds)
            try:
                if (found := await asyncio.to_thread(self._digest)) != self._used:
                    await asyncio.to_thread(self._context, self._settings.tls_client_ca)
                    self._put_to_use()
                    self._used = found
                    self._log.info("tls_taken_over")
            except TlsProblem as problem:
                self._log.error("tls_refused", problem=str(problem))

    def _put_to_use(self) -> None:
        """In place: a context serves the connections that come from now on with what it has."""
        for context in (self.api, self.ops):
            if context is not None:
                self._fill(context, self._settings.tls_client_ca if context is self.api else None)
        self._tell_expiry()

    def _context(self, client_ca: str | None) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = VERSIONS[self._settings.tls_minimum]
        context.set_alpn_protocols(["http/1.1"])
        if client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
        self._fill(context, client_ca)
        return context

    def _fill(self, context: ssl.SSLContext, client_ca: str | None) -> None:
        """Authorities of clients are added; one that is gone is trusted until the next start."""
        try:
            context.load_cert_chain(self._certificate, self._key, password="")
        except (OSError, ValueError) as error:
            raise TlsProblem(
                f"the certificate {self._certificate} and its key {self._key} cannot be used "
                f"together: {_reason(error)}. Both must be PEM, belong together, and the key must "
                "have no passphrase."
            ) from None
        if client_ca:
            try:
                context.load_verify_locations(client_ca)
            except (OSError, ValueError) as error:
                raise TlsProblem(
                    f"the authorities of clients in {client_ca} cannot be used: {_reason(error)}."
                ) from None

    def _digest(self) -> str:
        """What the files are now."""
        paths = (self._certificate, self._key, self._settings.tls_client_ca)
        whole = hashlib.sha256()
        for path in paths:
            if path:
                whole.update(hashlib.sha256(_read(Path(path))).digest())
        return whole.hexdigest()

    def _tell_expiry(self) -> None:
        at = not_after(_read(self._certificate))
        if at is not None:
            self._expires(at)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsProblem(f"{path} cannot be read: {_reason(error)}.") from None


def _reason(error: Exception) -> str:
    """Why, without what a file holds."""
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or "it is not PEM"
