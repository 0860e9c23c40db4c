"""`gateway doctor` against real servers and real faults: what it finds, and what it says to do."""

from __future__ import annotations

import http.server
import json
import os
import resource
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from command_line import run

from gateway.cli import doctor_machine, doctor_upstreams
from gateway.cli.diagnosis import Finding, Patient, State, examined
from gateway.cli.doctor import CHECKS
from gateway.cli.main import app
from gateway.settings import Settings

KEY = "sk-PLANTED-0123456789abcdef"
POLICY = """
upstreams:
  acme: {base_url: "@URL@", api_key_env: ACME_KEY}
models:
  echo: {upstream: acme, endpoints: [chat], price: {input: 1, output: 1}, context: 1000,
         max_output: 100, tokenizer: o200k}
redaction:
  open: {entities: {}}
plans:
  all: {models: [echo], redaction: open}
organizations:
  org:
    defaults: {plan: all}
    limits: [{name: rate, measure: requests, amount: 10, per: day}]
    projects: {main: {}}
"""


@contextmanager
def upstream(
    status: int = 200, date: float | None = None, delay: float = 0.0, cert: Path | None = None
) -> Iterator[str]:
    """A server that answers each GET so; its base URL. Its body echoes the key."""
    asked = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/v1/models"
            asked.wait(delay)
            body = str(self.headers.get("authorization")).encode()
            self.send_response_only(status)
            self.send_header("date", formatdate(time.time() if date is None else date, usegmt=True))
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        scheme = "https"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{scheme}://localhost:{server.server_address[1]}/v1"
    finally:
        asked.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def sick(home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the doctor with a policy whose upstream is at a URL; its findings, by check."""
    monkeypatch.setenv("ACME_KEY", KEY)
    monkeypatch.setenv("GATEWAY_PEPPER", "PLANTED-pepper-of-32-letters-or-more")
    monkeypatch.setenv("GATEWAY_OPS_PORT", "9")  # the discard port, where nothing listens

    def find(url: str, *flags: str, code: int | None = None) -> dict[str, list[dict[str, str]]]:
        (home / "policies" / "p.yaml").write_text(POLICY.replace("@URL@", url))
        result = run(app, "doctor", "--json", *flags)
        assert "PLANTED" not in result.output
        told = json.loads(result.stdout)
        is_wrong = any(one["state"] == "wrong" for one in told["findings"])
        assert (told["ok"], result.exit_code) == (not is_wrong, int(is_wrong))
        assert code is None or result.exit_code == code
        found: dict[str, list[dict[str, str]]] = {}
        for one in told["findings"]:
            found.setdefault(one["check"], []).append(one)
        return found

    return find


def test_nothing_is_wrong_with_a_gateway_that_is_well(sick: Any) -> None:
    with upstream() as url:
        found = sick(url, code=0)
    bad = [one for some in found.values() for one in some if one["state"] not in ("ok", "note")]
    assert bad == []
    assert found.keys() >= {"settings", "policies", "keys", "data", "disk", "database", "redis"}
    assert "takes the key" in found["upstreams"][0]["found"]


@pytest.mark.parametrize(
    ("status", "state", "words"),
    [
        (401, "wrong", "refuses the key (401)"),
        (403, "wrong", "refuses the key (403)"),
        (503, "warning", "with 503"),
        (429, "warning", "with 429"),
        (404, "note", "with 404 for /models"),
    ],
)
def test_what_an_upstream_answers_is_told(sick: Any, status: int, state: str, words: str) -> None:
    with upstream(status) as url:
        (one,) = sick(url)["upstreams"]
    assert (one["state"], words in one["found"]) == (state, True)
    assert ("ACME_KEY" in one["do"]) == (status in (401, 403))


def test_an_upstream_that_cannot_be_reached_is_told_by_why(sick: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        silent = sick(f"http://127.0.0.1:{port}/v1", "--timeout-seconds", "0.5")
    assert "in time" in silent["upstreams"][0]["found"]
    for url, words in (
        (f"http://127.0.0.1:{port}/v1", "nothing listens at 127.0.0.1"),
        ("http://no-such-host.invalid/v1", "cannot be resolved"),
    ):
        (one,) = sick(url, code=1)["upstreams"]
        assert (one["state"], words in one["found"], bool(one["do"])) == ("wrong", True, True)
    with upstream() as url:
        (one,) = sick(url.replace("http://", "https://"), code=1)["upstreams"]
    assert "does not speak TLS" in one["found"]


def test_a_certificate_that_nobody_known_signed_is_told(sick: Any, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    pem = tmp_path / "pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", pem, "-out", f"{pem}.crt", "-days", "2", "-subj", "/CN=localhost"],
        capture_output=True, check=True,
    )  # fmt: skip
    pem.write_bytes(pem.read_bytes() + Path(f"{pem}.crt").read_bytes())
    with upstream(cert=pem) as url:
        (one,) = sick(url, code=1)["upstreams"]
    assert "not trusted" in one["found"]
    assert "SSL_CERT_FILE" in one["do"]


@pytest.mark.parametrize(("off", "state"), [(-3600, "wrong"), (3600, "wrong"), (-10, "warning")])
def test_a_clock_that_is_off_is_told(sick: Any, off: int, state: str) -> None:
    with upstream(date=time.time() + off) as url:
        _, one = sick(url)["upstreams"]
    assert one["state"] == state
    assert ("ahead of" if off < 0 else "behind") in one["found"]


def test_settings_that_are_none_or_not_usable_are_told_without_their_values(
    sick: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_REDIS_ULR", "redis://:PLANTED@127.0.0.1")
    monkeypatch.setenv("GATEWAY_REQUESTS_MAX", "PLANTED")
    monkeypatch.setenv("GATEWAY_PORT", "tcp://10.0.0.1:8080")
    monkeypatch.setenv("GATEWAY_PORT_8080_TCP", "tcp://10.0.0.1:8080")
    monkeypatch.setenv("GATEWAY_XYZZY_PLUGH", "1")
    with upstream() as url:
        told = {one["found"]: one["do"] for one in sick(url, code=1)["settings"]}
    assert told["GATEWAY_REDIS_ULR is no setting"] == "Did you mean GATEWAY_REDIS_URL?"
    assert "whole number from 1 to" in told["GATEWAY_REQUESTS_MAX is not usable"]
    assert "enableServiceLinks: false" in told["GATEWAY_PORT is not usable"]
    assert "enableServiceLinks" in told["GATEWAY_PORT_8080_TCP is a service link"]
    assert "nothing reads it" in told["GATEWAY_XYZZY_PLUGH is no setting"]


@pytest.mark.parametrize(("key", "words"), [("", "is not set"), (f"{KEY}\n", "white space")])
def test_a_key_that_is_not_there_or_has_a_line_break_is_told(
    sick: Any, monkeypatch: pytest.MonkeyPatch, key: str, words: str
) -> None:
    monkeypatch.setenv("ACME_KEY", key)
    (one,) = sick("http://127.0.0.1:9/v1", code=1)["keys"]
    assert (one["state"], words in one["found"]) == ("wrong", True)


def test_a_wrong_policy_is_told_by_its_place(sick: Any) -> None:
    found = sick("PLANTED", code=1)
    assert found["policies"][0]["found"].startswith("policies/p.yaml:3")
    assert "`gateway check`" in found["policies"][0]["do"]


def test_a_database_that_lacks_or_cannot_be_used_is_told(
    sick: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "text.db").write_text("not a database, but a text of some length " * 50)
    for url, words in (
        (f"sqlite:///{tmp_path}/text.db", "is not an SQLite database"),
        ("postgresql://me:PLANTED@127.0.0.1:9/x", "nothing listens there"),
    ):
        monkeypatch.setenv("GATEWAY_DATABASE_URL", url)
        (one,) = sick("http://127.0.0.1:9/v1", code=1)["database"]
        assert (one["state"], words in one["found"]) == ("wrong", True)


def test_a_redis_that_is_away_is_told(sick: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_REDIS_URL", "redis://:PLANTED@127.0.0.1:9/0")
    (one,) = sick("http://127.0.0.1:9/v1", code=1)["redis"]
    assert one["state"] == "wrong"
    assert "127.0.0.1:9" in one["found"]


def patient(**settings: Any) -> Patient:
    return Patient(Settings(**settings), {}, {}, None, (), 0.3, time.time)


def states(findings: Any) -> list[State]:
    return [one.state for one in findings]


def test_files_that_others_may_read_or_nobody_may_write_are_told(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pepper = home / "pepper"
    pepper.write_text("a pepper of tests, of 32 letters")
    pepper.chmod(0o644)
    first, *_ = doctor_machine.data(patient(pepper_file=str(pepper)))
    assert (first.state, first.do) == (State.WARNING, f"chmod 600 {pepper}")
    pepper.chmod(0o600)
    assert states(doctor_machine.data(patient(pepper_file=str(pepper)))) == [State.OK] * 2
    pepper.write_text("short")
    first, *_ = doctor_machine.data(patient(pepper_file=str(pepper)))
    assert first.state is State.WRONG
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert states(doctor_machine.data(patient(pepper="p" * 32))) == [State.OK, State.WRONG]


def test_a_disk_that_is_nearly_full_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, state in ((10**12, State.OK), (10**9, State.WARNING), (10**6, State.WRONG)):
        usage = shutil._ntuple_diskusage(10**12, 0, free)  # type: ignore[attr-defined]
        monkeypatch.setattr(shutil, "disk_usage", lambda _, usage=usage: usage)
        assert states(doctor_machine.disk(patient())) == [state]


def test_more_connections_than_files_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 20_000))  # the start raises the 1st
    assert states(doctor_machine.open_files(patient())) == [State.OK]
    (one,) = doctor_machine.open_files(patient(connections_max=20_000))
    assert one.state is State.WARNING
    assert "ulimit -Hn" in one.do


@pytest.mark.parametrize(
    ("host", "state"),
    [("127.0.0.1", State.OK), ("10.1.2.3", State.OK), ("localhost", State.OK),
     ("0.0.0.0", State.NOTE), ("::", State.NOTE), ("8.8.8.8", State.NOTE)],
)  # fmt: skip
def test_an_operations_port_that_others_may_reach_is_told(host: str, state: State) -> None:
    assert states(doctor_machine.exposure(patient(ops_host=host))) == [state]


def test_a_clock_of_before_the_installation_is_told() -> None:
    past = Patient(Settings(), {}, {}, None, (), 1.0, lambda: 10.0**9)
    assert states(doctor_machine.clock(past)) == [State.WRONG]


def test_a_check_that_hangs_and_one_that_fails_do_not_keep_the_others() -> None:
    end = threading.Event()

    def hangs(_: Patient) -> list[Finding]:
        end.wait()
        return []

    def fails(_: Patient) -> list[Finding]:
        raise ValueError("PLANTED")

    def well(_: Patient) -> list[Finding]:
        return [Finding("well", State.OK, "is well")]

    began = time.monotonic()
    found = list(examined({"hangs": hangs, "fails": fails, "well": well}, patient()))
    assert time.monotonic() - began < 20
    end.set()
    assert states(found) == [State.WRONG, State.WRONG, State.OK]
    assert "no answer within 0.3 seconds" in found[0].found
    assert "ValueError at" in found[1].found
    assert "PLANTED" not in str(found)


def test_the_table_for_people_has_every_finding_and_what_to_do(sick: Any, home: Path) -> None:
    with upstream(401) as url:
        sick(url)
        result = run(app, "doctor")
    assert result.exit_code == 1
    assert "WRONG    upstreams: acme: it refuses the key (401)" in result.stdout
    assert "→ Set ACME_KEY to a good key." in result.stdout
    assert result.stdout.splitlines()[-1].endswith("1 wrong")


def test_every_check_is_in_the_table_once() -> None:
    assert len(set(CHECKS.values())) == len(CHECKS)
    assert CHECKS["upstreams"] is doctor_upstreams.upstreams
