"""The gateway itself speaks TLS, with a certificate that is renewed under it."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from processes import Gateway, wait_until


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    made = folder / f"{name}.crt", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-keyout", str(made[1]), "-out", str(made[0]), "-days", "2"]
    command += ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return made


def test_a_chat_over_tls_before_and_after_a_renewal(
    new_gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    old, new = certificate(tmp_path, "old"), certificate(tmp_path, "new")
    serving = tmp_path / "tls.crt", tmp_path / "tls.key"
    for source, goal in zip(old, serving, strict=True):
        shutil.copy(source, goal)
    gateway = new_gateway(
        tls_certificate=str(serving[0]), tls_key=str(serving[1]), tls_reload_seconds="0.1"
    )
    assert gateway.url.startswith("https://127.0.0.1:")
    key = gateway.key("main")

    def status(trusted: Path) -> int:
        body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
        context = ssl.create_default_context(cafile=str(trusted))
        try:
            answer = httpx.post(
                f"{gateway.base_url}/chat/completions",
                json=body,
                headers={"authorization": f"Bearer {key}"},
                verify=context,
                timeout=60,
            )
        except httpx.ConnectError:
            return 0
        return answer.status_code

    assert (status(old[0]), status(new[0])) == (200, 0)
    first = gateway.metric("gateway_tls_expires_timestamp_seconds")
    assert first > 0
    for source, goal in zip(new, serving, strict=True):
        shutil.copy(source, goal)
    wait_until(lambda: "tls_taken_over" in gateway.program.errors, "the renewal is taken over")
    assert (status(old[0]), status(new[0])) == (0, 200)
    assert gateway.metric("gateway_connections") <= 1
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.program.errors


def test_a_certificate_that_cannot_be_used_is_a_sentence(gateway: Gateway, tmp_path: Path) -> None:
    one, other = certificate(tmp_path, "one"), certificate(tmp_path, "other")
    ended = gateway.command("serve", tls_certificate=str(one[0]), tls_key=str(other[1]))
    assert ended.returncode == 3
    assert "cannot be used together" in ended.stderr
    assert "Traceback" not in ended.stderr
    ended = gateway.command("serve", tls_certificate=str(one[0]))
    assert ended.returncode == 3
    assert "GATEWAY_TLS_KEY" in ended.stderr
