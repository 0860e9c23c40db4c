"""The port Upstream over TLS, and over IPv6."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from upstream_world import (
    CHUNKED,
    END,
    Peer,
    Script,
    body_of,
    chunk,
    exchanged,
    http,
    opened,
    target,
    whole,
)

from gateway.backends.http_upstream import HttpUpstream
from gateway.errors import UpstreamFailed
from gateway.forward import BrokenOff

pytestmark = pytest.mark.usefixtures("each_loop")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    path = tmp_path_factory.mktemp("tls") / "pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", path, "-out", f"{path}.crt", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


def over_tls(
    certificate: Path, script: Script, then: Callable[[HttpUpstream, str, list[Any]], Any]
) -> Any:
    """What `then` returns, given an upstream, a URL of a server that runs `script`, and the list
    of the names that it was asked for."""
    names: list[Any] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _, name, __: names.append(name)

    async def main() -> Any:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await script(Peer(reader, writer))
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
        upstream = HttpUpstream(1, ssl.create_default_context(cafile=f"{certificate}.crt"))
        try:
            url = f"https://localhost:{server.sockets[0].getsockname()[1]}/v1"
            return await then(upstream, url, names)
        finally:
            await upstream.aclose()
            server.close()
            await asyncio.sleep(0.05)  # for the server's ends

    return asyncio.run(main())


def test_over_tls_a_host_is_named_and_a_connection_is_kept(certificate: Path) -> None:
    async def script(peer: Peer) -> None:
        while True:
            _, body = await peer.request()
            await peer.say(whole(b"%d" % len(body)))

    async def then(upstream: HttpUpstream, url: str, names: list[Any]) -> None:
        for size in (2, 3_000_000, 5):
            async with upstream.send(target(url), "/x", [], bytes(size)) as reply:
                assert await body_of(reply) == b"%d" % size
        assert names == ["localhost"]

    over_tls(certificate, script, then)


def test_over_tls_a_reply_cut_at_any_byte_is_broken_off(certificate: Path) -> None:
    said = CHUNKED + chunk(b"hel") + chunk(b"lo") + END
    cuts = iter(range(0, len(said) + 1, 7))

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(said[: next(cuts)])

    async def then(upstream: HttpUpstream, url: str, names: list[Any]) -> None:
        for _ in range(0, len(said), 7):
            with pytest.raises(BrokenOff):
                await exchanged(upstream, target(url))

    over_tls(certificate, script, then)


def test_over_tls_another_name_or_no_trust_is_unreachable_and_nothing_is_sent(
    certificate: Path,
) -> None:
    async def script(peer: Peer) -> None:
        raise AssertionError("a request came")

    async def then(upstream: HttpUpstream, url: str, names: list[Any]) -> None:
        with pytest.raises(UpstreamFailed) as raised:
            await exchanged(upstream, target(url.replace("localhost", "127.0.0.1")))
        assert (raised.value.code, type(raised.value)) == ("upstream_unreachable", UpstreamFailed)
        async with opened(http) as untrusting:
            with pytest.raises(UpstreamFailed):
                await exchanged(untrusting, target(url))

    over_tls(certificate, script, then)


def test_over_ipv6() -> None:
    async def main() -> bytes:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head, _ = await Peer(reader, writer).request()
            writer.write(whole(head.split(b"\r\n")[1]))
            writer.close()

        try:
            server = await asyncio.start_server(accept, "::1", 0)
        except OSError:
            pytest.skip("no IPv6 here")
        port = server.sockets[0].getsockname()[1]
        async with opened(http) as upstream:
            told = (await exchanged(upstream, target(f"http://[::1]:{port}")))[2]
        server.close()
        return told.replace(b"%d" % port, b"PORT")

    assert asyncio.run(main()) == b"host: [::1]:PORT"
