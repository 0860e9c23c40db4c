"""Where a request goes is the policy's word alone: nothing that a caller sends changes it.

Over raw sockets, with a listener beside the gateway that nobody may ever call."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from processes import Gateway, Simulator


@pytest.fixture
def evil() -> Iterator[socket.socket]:
    """A server of the caller's; at the end, nobody must have called it."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.3)
    yield listener
    with pytest.raises(TimeoutError):
        listener.accept()
    listener.close()


def sent(gateway: Gateway, target: str, *headers: str, body: bytes = b"") -> tuple[int, bytes]:
    host, port = gateway.url.removeprefix("http://").split(":")
    key = f"authorization: Bearer {gateway.key('main')}"
    length = f"content-length: {len(body)}"
    lines = [f"POST {target} HTTP/1.1", *headers, "connection: close", key, length]
    with socket.create_connection((host, int(port)), timeout=60) as caller:
        caller.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        response = http.client.HTTPResponse(caller)
        response.begin()
        return response.status, response.read()


def chat(**fields: Any) -> bytes:
    return json.dumps(
        {"model": "echo", "messages": [{"role": "user", "content": "hi"}], **fields}
    ).encode()


def newest(simulator: Simulator, before: int) -> list[dict[str, Any]]:
    return [note for note in simulator.received()[before:] if note["event"] == "received"]


def urls_of(evil: socket.socket) -> tuple[str, str]:
    address = f"127.0.0.1:{evil.getsockname()[1]}"
    return address, f"http://{address}/v1"


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/v1/chat/completions", ["host: EVIL"]),
        ("http://EVIL/v1/chat/completions", ["host: EVIL"]),
        ("/v1/chat/completions?base_url=http://EVIL/v1&url=http://EVIL", ["host: x"]),
        (
            "/v1/chat/completions",
            [
                "host: x",
                "x-forwarded-host: EVIL",
                "x-forwarded-proto: http",
                "forwarded: for=1.2.3.4;host=EVIL",
                "x-original-url: http://EVIL/v1",
                "x-rewrite-url: http://EVIL/v1",
                "x-openai-base-url: http://EVIL/v1",
                "openai-organization: EVIL",
                "proxy: http://EVIL",
                "x-http-method-override: GET",
            ],
        ),
    ],
    ids=["host", "absolute form", "query", "headers"],
)
def test_neither_url_nor_headers_choose_the_upstream(
    gateway: Gateway,
    simulator: Simulator,
    evil: socket.socket,
    target: str,
    headers: list[str],
) -> None:
    address, _ = urls_of(evil)
    before = len(simulator.received())
    put = [header.replace("EVIL", address) for header in headers]
    status, _ = sent(gateway, target.replace("EVIL", address), *put, body=chat())
    assert status == 200
    (received,) = newest(simulator, before)
    assert received["path"] == "/v1/chat/completions"
    assert address not in json.dumps(received)


def test_a_request_with_two_hosts_goes_nowhere(
    gateway: Gateway, simulator: Simulator, evil: socket.socket
) -> None:
    address, _ = urls_of(evil)
    before = len(simulator.received())
    hosts = ("host: a", f"host: {address}")
    status, _ = sent(gateway, "/v1/chat/completions", *hosts, body=chat())
    assert status == 400
    assert newest(simulator, before) == []


def test_no_field_of_a_body_chooses_the_upstream(
    gateway: Gateway, simulator: Simulator, evil: socket.socket
) -> None:
    _, url = urls_of(evil)
    before = len(simulator.received())
    fields = dict.fromkeys(("base_url", "api_base", "url", "endpoint", "proxy", "host"), url)
    status, _ = sent(gateway, "/v1/chat/completions", "host: x", body=chat(**fields))
    assert status == 200
    assert [note["path"] for note in newest(simulator, before)] == ["/v1/chat/completions"]


@pytest.mark.parametrize(
    "target",
    [
        "//EVIL/v1/chat/completions",
        "/v1/chat/completions/../../../x",
        "/v1/../v1/chat/completions",
        "/v1/%2e%2e/v1/chat/completions",
        "/v1/chat%2fcompletions/x",
        "/v1/chat/completions%00",
        "/v1/chat/completions%0d%0ahost:%20EVIL",
        "/v1/chat/completions;url=http://EVIL",
        "/\\EVIL/v1/chat/completions",
        "/http://EVIL/v1/chat/completions",
    ],
)
def test_a_trick_with_the_path_is_an_unknown_url(
    gateway: Gateway, simulator: Simulator, evil: socket.socket, target: str
) -> None:
    address, _ = urls_of(evil)
    before = len(simulator.received())
    status, body = sent(gateway, target.replace("EVIL", address), "host: x", body=chat())
    assert status == 404
    assert "Invalid URL" in json.loads(body)["error"]["message"]
    assert newest(simulator, before) == []


@pytest.mark.parametrize(
    "engine",
    ["http:%2f%2fEVIL%2fv1", "..%2f..%2fx", "%2fEVIL", "echo%0d%0ahost:%20EVIL", "..", "EVIL:80"],
)
def test_the_engine_in_an_old_url_is_a_name_and_never_a_place(
    gateway: Gateway, simulator: Simulator, evil: socket.socket, engine: str
) -> None:
    address, _ = urls_of(evil)
    before = len(simulator.received())
    target = f"/v1/engines/{engine.replace('EVIL', address)}/completions"
    status, body = sent(gateway, target, "host: x", body=b'{"prompt": "a"}')
    assert status == 404
    assert json.loads(body)["error"]["code"] in ("model_not_found", None)  # or no URL at all
    assert newest(simulator, before) == []


@pytest.mark.parametrize("model", ["http://EVIL/v1", "../../x", "echo\r\nhost: EVIL", "echo\0"])
def test_a_model_is_a_name_and_never_a_place(
    gateway: Gateway, simulator: Simulator, evil: socket.socket, model: str
) -> None:
    address, _ = urls_of(evil)
    before = len(simulator.received())
    body = chat(model=model.replace("EVIL", address))
    status, answer = sent(gateway, "/v1/chat/completions", "host: x", body=body)
    assert status == 404
    assert json.loads(answer)["error"]["code"] == "model_not_found"
    assert newest(simulator, before) == []


def test_a_header_that_may_pass_cannot_bring_others_along(
    gateway: Gateway, simulator: Simulator, evil: socket.socket
) -> None:
    """A CR or LF inside of one is refused with the whole head; what is not ASCII stays here."""
    address, _ = urls_of(evil)
    head = ["host: x", "traceparent: 00-\x0bx", f"openai-beta: a\xff\u00a0{address}"]
    before = len(simulator.received())
    status, _ = sent(gateway, "/v1/chat/completions", head[0], head[2], body=chat())
    assert status == 200
    (received,) = newest(simulator, before)
    assert "openai-beta" not in json.dumps(received).lower()
    assert sent(gateway, "/v1/chat/completions", head[0], head[1], body=chat())[0] == 400


def test_what_operators_see_is_not_on_the_port_of_callers(gateway: Gateway) -> None:
    for path in ("/metrics", "/livez", "/readyz", "/counters", "/v1/metrics", "/%6detrics"):
        assert gateway.post(path, gateway.key("main")).status_code == 404
    for path in ("/v1/models", "/v1/chat/completions"):
        assert httpx.get(gateway.ops_url + path, timeout=60).status_code == 404
