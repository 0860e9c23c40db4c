"""What `gateway doctor` says of TLS, and that it finds a gateway whose operations port has it."""

from __future__ import annotations

import http.server
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.diagnosis import Patient, State
from gateway.cli.doctor_running import running
from gateway.cli.doctor_tls import DAY_SECONDS, tls
from gateway.settings import Settings


@pytest.fixture
def made(tmp_path: Path) -> dict[str, str]:
    """The settings of a certificate for 30 days, for a name that is not this machine's."""
    certificate, key = tmp_path / "one.crt", tmp_path / "one.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", certificate, "-days", "30", "-subj", "/CN=ai.example"],
        check=True, capture_output=True,
    )  # fmt: skip
    return {"tls_certificate": str(certificate), "tls_key": str(key)}


def patient(days_later: float = 0, **settings: Any) -> Patient:
    now = time.time() + days_later * DAY_SECONDS
    return Patient(Settings(**settings), {}, {}, None, (), 5.0, lambda: now)


def test_a_certificate_is_good_then_near_its_end_then_over(made: dict[str, str]) -> None:
    for days, state in ((0, State.OK), (20, State.WARNING), (31, State.WRONG)):
        (one,) = tls(patient(days, **made))
        assert (one.check, one.state, bool(one.do)) == ("tls", state, state is not State.OK)


def test_files_with_which_the_gateway_would_not_start_are_told(made: dict[str, str]) -> None:
    Path(made["tls_key"]).write_text("nothing")
    (one,) = tls(patient(**made))
    assert (one.state, "cannot be used" in one.found) == (State.WRONG, True)
    (one,) = tls(patient(tls_key=made["tls_key"]))
    assert "GATEWAY_TLS_CERTIFICATE" in one.found


def test_a_plain_port_is_a_note_where_others_reach_it() -> None:
    for host, state in (("127.0.0.1", State.OK), ("0.0.0.0", State.NOTE)):
        (one,) = tls(patient(host=host))
        assert one.state is state


def test_a_gateway_is_found_whose_operations_port_has_tls(made: dict[str, str]) -> None:
    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made["tls_certificate"], made["tls_key"])
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ready) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            port = server.server_address[1]
            (one,) = running(patient(ops_port=port, ops_tls="on", **made))
        finally:
            server.shutdown()
            thread.join()
    assert (one.state, "is ready" in one.found) == (State.OK, True)
