"""TLS by setting: what is spoken, to whom, and that a renewed certificate needs no restart."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from edge_world import GET, Served, dialled, eventually, said_to, serving, settings_of, statuses
from world import FakeLog

from gateway.edge.certificate import not_after
from gateway.edge.tls import Tls, TlsProblem, load_tls, paths_of
from gateway.settings import Settings

Made = tuple[Path, Path]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Made]:
    """Makes a certificate and its key as openssl writes them."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")

    def made(name: str, days: int = 2, ca: Made | None = None, passphrase: str = "") -> Made:
        certificate, key = tmp_path / f"{name}.crt", tmp_path / f"{name}.key"
        locked = ["-passout", f"pass:{passphrase}"] if passphrase else ["-nodes"]
        signed = ["-CA", ca[0], "-CAkey", ca[1]] if ca else []
        done = subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             *locked, *signed, "-keyout", key, "-out", certificate, "-days", str(days),
             "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost"],
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return certificate, key

    return made


def tls_settings(made: Made, **changed: Any) -> Settings:
    return settings_of(tls_certificate=str(made[0]), tls_key=str(made[1]), **changed)


def client(trusted: Path, own: Made | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(trusted))
    if own:
        context.load_cert_chain(*own)
    return context


def loaded(settings: Settings, log: Any = None) -> Tls:
    tls = load_tls(settings, log or FakeLog())
    assert tls is not None
    return tls


def test_the_api_is_https_and_the_operations_port_stays_plain(make: Callable[..., Made]) -> None:
    settings = tls_settings(make("one"))

    async def talk(served: Served) -> None:
        trusts = client(Path(settings.tls_certificate or ""))
        assert statuses(await said_to(served.port, GET, tls=trusts)) == [200]
        assert served.scopes[-1]["scheme"] == "https"
        assert statuses(await said_to(served.port, GET)) == []  # it is not understood
        assert statuses(await said_to(served.ops_port, GET)) == [200]

    serving(talk, settings, lambda: loaded(settings))


def test_the_operations_port_is_https_too_where_that_is_wanted(make: Callable[..., Made]) -> None:
    settings = tls_settings(make("one"), ops_tls="on")

    async def talk(served: Served) -> None:
        trusts = client(Path(settings.tls_certificate or ""))
        assert statuses(await said_to(served.ops_port, GET, tls=trusts)) == [200]
        assert statuses(await said_to(served.ops_port, GET)) == []

    serving(talk, settings, lambda: loaded(settings))


@pytest.mark.parametrize(
    ("minimum", "spoken", "takes"),
    [("1.2", "TLSv1_1", False), ("1.2", "TLSv1_2", True), ("1.2", "TLSv1_3", True),
     ("1.3", "TLSv1_2", False), ("1.3", "TLSv1_3", True)],
)  # fmt: skip
def test_older_versions_of_tls_are_not_spoken(
    make: Callable[..., Made], minimum: str, spoken: str, takes: bool
) -> None:
    settings = tls_settings(make("one"), tls_minimum=minimum)

    async def talk(served: Served) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(settings.tls_certificate)
        context.set_ciphers("ALL:@SECLEVEL=0")  # so that it is the server who refuses
        with pytest.warns() if spoken == "TLSv1_1" else no_warning():
            context.minimum_version = context.maximum_version = ssl.TLSVersion[spoken]
        try:
            answer = await said_to(served.port, GET, tls=context)
        except (ssl.SSLError, ConnectionError):
            answer = b""
        assert statuses(answer) == [200] * takes

    serving(talk, settings, lambda: loaded(settings))


class no_warning:  # noqa: N801
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def test_with_an_authority_only_its_clients_come_in(make: Callable[..., Made]) -> None:
    ours, others = make("ca"), make("others")
    settings = tls_settings(make("one"), tls_client_ca=str(ours[0]), ops_tls="on")
    trusted = Path(settings.tls_certificate or "")

    async def attempt(port: int, own: Made | None) -> list[int]:
        try:
            return statuses(await said_to(port, GET, tls=client(trusted, own)))
        except (ssl.SSLError, ConnectionError):
            return []

    async def talk(served: Served) -> None:
        assert await attempt(served.port, make("client", ca=ours)) == [200]
        assert await attempt(served.port, None) == []
        assert await attempt(served.port, make("stranger", ca=others)) == []
        assert await attempt(served.ops_port, None) == [200]  # probes have none

    serving(talk, settings, lambda: loaded(settings))


async def presented(port: int, trusted: Path) -> str:
    """The name in the certificate that a new connection gets."""
    try:
        _, writer = await dialled(port, client(trusted))
    except (ssl.SSLError, ConnectionError):
        return ""
    subject = writer.get_extra_info("peercert")["subject"]
    writer.close()
    return str(subject[0][0][1])


def test_a_renewed_certificate_is_taken_over_while_connections_stay(
    make: Callable[..., Made],
) -> None:
    old, new, log, ends = make("old"), make("new", days=9), FakeLog(), []
    settings = tls_settings(old, tls_reload_seconds=0.05, ops_tls="on")
    both = old[0].parent / "both.pem"
    both.write_bytes(old[0].read_bytes() + new[0].read_bytes())

    async def talk(served: Served) -> None:
        reader, writer = await dialled(served.port, client(both))
        assert await presented(served.port, both) == "old"
        old[0].write_bytes(new[0].read_bytes())  # and not yet the key: the pair does not fit
        await eventually(lambda: any(event == "tls_refused" for event, _ in log.lines))
        assert await presented(served.port, both) == "old"
        old[1].write_bytes(new[1].read_bytes())
        await eventually(lambda: any(event == "tls_taken_over" for event, _ in log.lines))
        assert await presented(served.port, both) == "new"
        assert await presented(served.ops_port, both) == "new"
        writer.write(GET)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        writer.close()
        old[0].unlink()  # an empty moment changes nothing either
        await eventually(lambda: "cannot be read" in str(log.lines[-1]))
        assert await presented(served.port, both) == "new"

    serving(talk, settings, lambda: load_tls(settings, log, ends.append))
    assert [round((at - time.time()) / 86400) for at in ends] == [2, 9]


def test_what_was_tried_is_put_to_use_and_not_what_the_files_are_by_then(
    make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate without its key in the contexts that serve would end TLS."""
    old, new, third, log = make("old"), make("new"), make("third"), FakeLog()
    settings = tls_settings(old, tls_reload_seconds=0.05)
    tried = Tls._context

    async def talk(served: Served) -> None:
        both = old[0].parent / "both.pem"
        both.write_bytes(old[0].read_bytes() + new[0].read_bytes())

        def renewed_meanwhile(*given: Any, **how: Any) -> ssl.SSLContext:
            context = tried(*given, **how)
            old[0].write_bytes(third[0].read_bytes())  # and not its key
            return context

        monkeypatch.setattr(Tls, "_context", renewed_meanwhile)
        old[1].write_bytes(new[1].read_bytes())
        old[0].write_bytes(new[0].read_bytes())
        await eventually(lambda: any(event == "tls_refused" for event, _ in log.lines))
        assert await presented(served.port, both) in ("old", "new")
        await eventually(lambda: "cannot be used" in str(log.lines[-1]))
        assert await presented(served.port, both) in ("old", "new")

    serving(talk, settings, lambda: load_tls(settings, log))


@pytest.mark.parametrize("kind", ["in memory", "in a folder"])
def test_files_are_given_by_path_and_gone_behind_it(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "in a folder":
        monkeypatch.delattr(os, "memfd_create", raising=False)
    with paths_of([b"a" * 100_000, b"", b"c"]) as paths:
        assert [Path(one).read_bytes() for one in paths] == [b"a" * 100_000, b"", b"c"]
        assert [Path(one).read_bytes() for one in paths] == [b"a" * 100_000, b"", b"c"]
    assert not any(Path(one).exists() for one in paths)


def test_no_file_for_a_certificate_at_the_moment_is_a_sentence_and_leaves_none_open(
    make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tls_settings(make("localhost"))
    opened: list[int] = []

    def one_and_no_more(name: str) -> int:
        if opened:
            raise OSError(24, "Too many open files")
        opened.append(os.open("/dev/null", os.O_RDWR))
        return opened[0]

    monkeypatch.setattr(os, "memfd_create", one_and_no_more)
    assert "Too many open files" in problem_of(settings)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])


def test_a_handshake_that_does_not_come_is_given_up_on(make: Callable[..., Made]) -> None:
    settings = tls_settings(make("one"), header_timeout_seconds=0.2)

    async def talk(served: Served) -> None:
        reader, writer = await dialled(served.port)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()

    serving(talk, settings, lambda: loaded(settings))


def test_the_end_of_a_certificate_is_read_as_openssl_reads_it(make: Callable[..., Made]) -> None:
    for days in (1, 400, 40_000):  # the last one is written with a year of four digits
        certificate, _ = make("one", days=days)
        shown = subprocess.run(
            ["openssl", "x509", "-in", certificate, "-noout", "-enddate"],
            capture_output=True, text=True, check=True,
        ).stdout.strip().removeprefix("notAfter=")  # fmt: skip
        assert not_after(certificate.read_bytes()) == ssl.cert_time_to_seconds(shown)


@pytest.mark.parametrize(
    "pem", [b"", b"x", b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_has_no_end(pem: bytes) -> None:
    assert not_after(pem) is None


def problem_of(settings: Settings) -> str:
    with pytest.raises(TlsProblem) as raised:
        load_tls(settings, FakeLog())
    return str(raised.value)


def test_what_cannot_be_used_is_a_sentence(make: Callable[..., Made], tmp_path: Path) -> None:
    one, other = make("one"), make("other")
    locked = make("locked", passphrase="secret")
    assert "GATEWAY_TLS_KEY" in problem_of(settings_of(tls_certificate="a"))
    assert "GATEWAY_TLS_CERTIFICATE" in problem_of(settings_of(tls_key="a"))
    assert "GATEWAY_OPS_TLS is set" in problem_of(settings_of(ops_tls="on"))
    assert "GATEWAY_TLS_CLIENT_CA is set" in problem_of(settings_of(tls_client_ca="a"))
    assert "cannot be read" in problem_of(tls_settings((tmp_path / "no.crt", one[1])))
    assert "together" in problem_of(tls_settings((one[0], other[1])))
    assert "no passphrase" in problem_of(tls_settings(locked))
    empty = tmp_path / "empty"
    empty.touch()
    assert "authorities" in problem_of(tls_settings(one, tls_client_ca=str(empty)))
    assert load_tls(settings_of(), FakeLog()) is None
