"""TLS of the ports: a certificate out of files, and renewed files taken over while they serve.

Who renews (cert-manager, an ACME client) replaces both files, not at one instant. A pair that does
not fit is therefore never put to use, which would end TLS: it is tried aside first, and again at
the next look. Each look reads the files once, so that what was tried is what is put to use.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.edge.certificate import not_after
from gateway.parts import Log
from gateway.settings import Settings

Files = list[bytes]
"""The certificate and its chain, its key, and the authorities of clients, if there are any."""
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
        files = self._files()
        self._used = _digest(files)
        self.api = self._context(files, asks=True)
        self.ops = self._context(files, asks=False) if settings.ops_tls == "on" else None
        self._tell_expiry(files)

    async def follow(self) -> None:
        """Take renewed files over, for ever. Connections that are open keep what they had."""
        while True:
            await asyncio.sleep(self._settings.tls_reload_seconds)
            try:
                files = await asyncio.to_thread(self._files)
                if (found := _digest(files)) != self._used:
                    await asyncio.to_thread(self._context, files, asks=True)
                    self._put_to_use(files)
                    self._used = found
                    self._log.info("tls_taken_over")
            except TlsProblem as problem:
                self._log.error("tls_refused", problem=str(problem))

    def _put_to_use(self, files: Files) -> None:
        """In place: a context serves the connections that come from now on with what it has."""
        for context in (self.api, self.ops):
            if context is not None:
                self._fill(context, files, asks=context is self.api)
        self._tell_expiry(files)

    def _context(self, files: Files, asks: bool) -> ssl.SSLContext:
        """`asks`: for the certificate of a client, where there are authorities of those."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = VERSIONS[self._settings.tls_minimum]
        context.set_alpn_protocols(["http/1.1"])
        if asks and self._settings.tls_client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
        self._fill(context, files, asks)
        return context

    def _fill(self, context: ssl.SSLContext, files: Files, asks: bool) -> None:
        """Authorities of clients are added; one that is gone is trusted until the next start."""
        try:
            with paths_of(files) as (certificate, key, *authorities):
                self._load(context, certificate, key, authorities if asks else ())
        except OSError as error:  # no memory or no file is left for it at the moment
            raise TlsProblem(f"certificates cannot be loaded: {_reason(error)}.") from None

    def _load(
        self, context: ssl.SSLContext, certificate: str, key: str, authorities: Iterable[str]
    ) -> None:
        client_ca = self._settings.tls_client_ca
        try:
            context.load_cert_chain(certificate, key, password="")
        except (OSError, ValueError) as error:
            raise TlsProblem(
                f"the certificate {self._certificate} and its key {self._key} cannot be used "
                f"together: {_reason(error)}. Both must be PEM, belong together, and the key must "
                "have no passphrase."
            ) from None
        try:
            for one in authorities:
                context.load_verify_locations(one)
        except (OSError, ValueError) as error:
            raise TlsProblem(
                f"the authorities of clients in {client_ca} cannot be used: {_reason(error)}."
            ) from None

    def _files(self) -> Files:
        """What they are now."""
        paths = (self._certificate, self._key, self._settings.tls_client_ca)
        return [_read(Path(path)) for path in paths if path]

    def _tell_expiry(self, files: Files) -> None:
        at = not_after(files[0])
        if at is not None:
            self._expires(at)


def _digest(files: Files) -> str:
    return hashlib.sha256(b"".join([hashlib.sha256(one).digest() for one in files])).hexdigest()


@contextmanager
def paths_of(files: Files) -> Iterator[list[str]]:
    """OpenSSL reads certificates and keys by path only: of files in memory, where there are such,
    as a disk may be read-only and should hold no second key."""
    if not (hasattr(os, "memfd_create") and Path("/proc/self/fd").exists()):
        with TemporaryDirectory() as folder:  # which is for nobody else
            paths = [Path(folder) / str(number) for number in range(len(files))]
            for path, content in zip(paths, files, strict=True):
                path.write_bytes(content)
            yield [str(path) for path in paths]
        return
    opened: list[int] = []
    try:
        for content in files:
            opened.append(os.memfd_create("tls"))
            with os.fdopen(opened[-1], "wb", closefd=False) as file:
                file.write(content)
        yield [f"/proc/self/fd/{one}" for one in opened]
    finally:
        for one in opened:
            os.close(one)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsProblem(f"{path} cannot be read: {_reason(error)}.") from None


def _reason(error: Exception) -> str:
    """Why, without what a file holds."""
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or "it is not PEM"
