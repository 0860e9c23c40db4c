"""After a run against everything that is hostile, nothing that this process printed, counted or
stored holds a secret or a text."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hostile_upstream import ANSWERS, HostileUpstream
from processes import (
    GATEWAY,
    UPSTREAM_KEY,
    Gateway,
    clean_environment,
    wait_until,
)

PEPPER = "PLANTED-pepper-of-32-letters-and-more"
MARK = "PLANTED"  # stands in every secret, so that also a part of one is found
WHERE = ["prompt", "system", "tool", "model", "header", "query", "path", "key", "json", "head"]
PLANTED = {where: f"{MARK}-{where}-7Q2M5XJA" for where in WHERE}
LONG = "x" * 70_000
END_USER = "ended-user-7Q2M5XJA"  # whom the book may name: that is what callers give it for


@pytest.fixture
def upstream() -> Iterator[HostileUpstream]:
    upstream = HostileUpstream()
    yield upstream
    upstream.close()


@pytest.fixture
def hostile(upstream: HostileUpstream, tmp_path: Path) -> Iterator[Gateway]:
    told: Any = upstream
    settings = {"log_level": "debug", "redaction_debug": "on", "pepper": PEPPER}
    gateway = Gateway(tmp_path, told, **settings)
    yield gateway
    gateway.remove()


def body(stream: bool, **more: Any) -> dict[str, Any]:
    messages = [
        {"role": "system", "content": PLANTED["system"]},
        {"role": "user", "content": f"mail {PLANTED['prompt']}@example.com: {PLANTED['prompt']}"},
    ]
    function = {"name": PLANTED["tool"], "description": PLANTED["tool"], "parameters": {}}
    tools = [{"type": "function", "function": function}]
    asked = {"model": "echo", "messages": messages, "tools": tools, "stream": stream}
    metadata = {PLANTED["prompt"]: PLANTED["prompt"]}
    return asked | {"user": END_USER, "metadata": metadata} | more


def attack(gateway: Gateway) -> list[int]:
    """The statuses of all that was asked with a good key; the rest is refused before."""
    key = gateway.key("main")
    path = f"/v1/chat/completions?api_key={PLANTED['query']}"
    headers = {"x-secret": PLANTED["header"], "user-agent": PLANTED["header"]}
    statuses = [
        _status(gateway, path, key, headers, json.dumps(body(stream)))
        for stream in (False, True)
        for _ in ANSWERS
    ]
    strange = {"content-type": PLANTED["header"], "x-request-id": PLANTED["header"]}
    for text in (
        '{"model": "' + PLANTED["json"],
        json.dumps(body(False, model=PLANTED["model"])),
        json.dumps(body(False, messages=PLANTED["json"])),
        json.dumps(body(False, n=PLANTED["json"], stop={PLANTED["json"]: 1})),
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1") + PLANTED["json"],
    ):
        _status(gateway, path, key, strange, text)
    _status(gateway, f"/v1/{PLANTED['path']}", key, {}, "{}")
    _status(gateway, f"/v1/engines/{PLANTED['path']}/completions", key, {}, '{"prompt": "x"}')
    _status(gateway, path, f"sk-{PLANTED['key']}", {}, "{}")
    for head in (
        f"GET /{PLANTED['head']} HTTP/9.9\r\nx: {PLANTED['head']}\r\n\r\n",
        f"{PLANTED['head']}\r\n\r\n",
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{PLANTED['head']}: {LONG}\r\n\r\n",
        f"POST /v1/chat/completions HTTP/1.1\r\ntransfer-encoding: {PLANTED['head']}\r\n\r\nzz",
    ):
        _raw(gateway, head.encode())
    return statuses


def _status(gateway: Gateway, path: str, key: str, headers: dict[str, str], text: str) -> int:
    """0 where the answer was cut."""
    try:
        return gateway.post(path, key, headers=headers, content=text.encode("latin-1")).status_code
    except httpx.HTTPError:
        return 0


def _raw(gateway: Gateway, request: bytes) -> None:
    url = urlsplit(gateway.url)
    with socket.create_connection((url.hostname, url.port), 10) as link:
        link.sendall(request)
        link.shutdown(socket.SHUT_WR)
        try:
            while link.recv(65536):
                pass
        except ConnectionError:
            return


def test_nothing_that_was_planted_is_printed_counted_or_stored(hostile: Gateway) -> None:
    statuses = attack(hostile)
    assert len(set(statuses)) > 2, "the upstream's answers were not told apart"
    policy = hostile.policy_file.read_text()
    hostile.policy_file.write_text(
        policy + f"\nprices: sk-{MARK}-policy\n{MARK}: [{MARK}, *{MARK}]\n"
    )
    wait_until(lambda: "policy_refused" in hostile.program.errors, "the wrong policy is refused")
    exposition = httpx.get(f"{hostile.ops_url}/metrics").text
    verbose = httpx.get(f"{hostile.ops_url}/readyz?verbose").text
    ended = start_with_wrong_policy(hostile)
    assert hostile.stop() == 0
    printed = hostile.program.said + hostile.program.errors
    lines = [json.loads(line) for line in hostile.program.errors.splitlines()]
    assert sum(line["event"] == "request" for line in lines) > 2 * len(ANSWERS)
    assert [line["left_out"] for line in lines if "left_out" in line] == []
    (key,) = hostile._keys.values()
    files = hostile.folder.glob("gateway.db*")
    kept = b"".join(path.read_bytes() for path in files).decode("latin-1")
    assert len(kept) > 10000
    for secret in (MARK, key, UPSTREAM_KEY, "sk-wrong-upstream-key", "example.com", END_USER):
        for text in (printed, exposition, verbose, ended, "" if secret == END_USER else kept):
            at = text.find(secret)
            assert at < 0, text[max(0, at - 300) : at + 300]


def start_with_wrong_policy(gateway: Gateway) -> str:
    """What a start prints that ends as the policies are wrong."""
    ended = subprocess.run(
        [*GATEWAY, "serve"], capture_output=True, text=True, cwd=gateway.folder, timeout=60,
        env=clean_environment(gateway.folder, gateway.environment), check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "journeys.yaml:" in ended.stderr
    assert "`gateway check` says what is wrong there" in ended.stderr
    return ended.stdout + ended.stderr
