"""`gateway health`: what a container's health check says, and that it costs little to ask."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gateway.cli.health import problems_of
from gateway.settings import Settings

READY = (200, b'{"status": "ok"}')
DRAINING = (503, b'{"status": "not ready", "schema": "ok", "lifecycle": "shutting down"}')


@contextmanager
def ops(answer: tuple[int, bytes] = READY, port: int = 0, pem: Path | None = None) -> Iterator[int]:
    """An operations port that gives this answer; yields where it is."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer[0] if self.path == "/readyz" else 404)
            self.end_headers()
            self.wfile.write(answer[1])

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", port), Answering)
    if pem is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def free_port() -> int:
    with ops() as port:
        return port


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_gateway_that_is_ready_has_no_problem(host: str) -> None:
    with ops() as port:
        assert problems_of(Settings(ops_host=host, ops_port=port)) == []


def test_what_keeps_it_from_being_ready_is_told() -> None:
    with ops(DRAINING) as port:
        (problem,) = problems_of(Settings(ops_port=port))
    assert problem == f"127.0.0.1:{port}: status: not ready; lifecycle: shutting down"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b""])
def test_another_server_on_the_port_is_a_problem(body: bytes) -> None:
    with ops((404, body)) as port:
        assert "not the operations port" in problems_of(Settings(ops_port=port))[0]


def test_nothing_on_the_port_is_a_problem() -> None:
    assert "no answer" in problems_of(Settings(ops_port=free_port()))[0]
    assert "GATEWAY_OPS_PORT is 0" in problems_of(Settings(ops_port=0))[0]


def first_of_two_ports() -> int:
    """With nobody on it, nor on the next one."""
    while True:
        port = free_port()
        try:
            with ops(port=port + 1):
                return port
        except (OSError, OverflowError):
            continue


def test_every_worker_is_asked() -> None:
    with ops(port=first_of_two_ports()) as port:
        (problem,) = problems_of(Settings(ops_port=port, workers=2))
        assert problem.startswith(f"127.0.0.1:{port + 1}: ")
        with ops(port=port + 1):
            assert problems_of(Settings(ops_port=port, workers=2)) == []


def test_an_operations_port_with_tls_is_asked_over_tls(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    pem = tmp_path / "pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    made += ["-nodes", "-keyout", str(pem), "-out", f"{pem}.crt", "-subj", "/CN=elsewhere"]
    subprocess.run(made, capture_output=True, check=True)
    pem.write_bytes(pem.read_bytes() + Path(f"{pem}.crt").read_bytes())
    with ops(pem=pem) as port:
        assert problems_of(Settings(ops_port=port, ops_tls="on")) == []


def run(environ: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], env=environ, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", [["gateway.cli.health"], ["gateway.cli.main", "health"]])
def test_the_command_says_it_by_its_exit_code(command: list[str]) -> None:
    with ops() as port:
        done = run({"GATEWAY_OPS_PORT": str(port)}, "-m", *command)
        assert (done.returncode, done.stdout) == (0, "ok\n")
    for environ in ({"GATEWAY_OPS_PORT": str(port)}, {"GATEWAY_OPS_PORT": "x"}):
        done = run(environ, "-m", *command)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr


def test_asking_imports_no_package_of_others() -> None:
    code = (
        "import sys, gateway.cli.health\n"
        "own = ('gateway', 'sitecustomize', 'usercustomize')\n"
        "roots = {name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)\n"
        "print(sorted(r for r in roots if not r.startswith(('_', *own)) and r != 'editables'))"
    )
    assert run({}, "-c", code).stdout == "[]\n"
