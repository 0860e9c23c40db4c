"""Bad input gets a clear answer, and nothing is lost: over raw sockets, as no client sends it."""

from __future__ import annotations

import http.client
import json
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processes import Gateway, Simulator

CHAT = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
MB = 2**20

Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module")
def gateway(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that waits for nobody. At the end, it must have failed nowhere."""
    times = {"header_timeout_seconds": "0.5", "body_timeout_seconds": "0.5"}
    gateway = Gateway(tmp_path_factory.mktemp("strict"), simulator, **times)
    gateway.key("main")
    yield gateway
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.program.errors
    lines = [json.loads(line) for line in gateway.program.errors.splitlines()]
    assert [line for line in lines if line.get("level") == "error"] == []
    assert not [entry for entry in gateway.entries() if entry["outcome"] == "failed"]
    gateway.remove()


@pytest.fixture
def ask(gateway: Gateway) -> Callable[..., Answer]:
    """Sends a chat with this body and reads the answer."""

    def send(body: bytes, *headers: str, key: str | None = None) -> Answer:
        with connected(gateway) as caller:
            caller.sendall(head(gateway, body, *headers, key=key))
            with refused_early():
                caller.sendall(body)
            return read_answer(caller)

    return send


def refused_early() -> suppress:
    """Where the gateway may answer, and close, before all was read."""
    return suppress(BrokenPipeError, ConnectionResetError)


def connected(gateway: Gateway) -> socket.socket:
    host, port = gateway.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def head(gateway: Gateway, body: bytes, *headers: str, key: str | None = None) -> bytes:
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        "host: gateway",
        f"authorization: Bearer {gateway.key('main') if key is None else key}",
        "content-type: application/json",
        "connection: close",
        *headers,
    ]
    if not any(line.startswith("transfer-encoding") for line in headers):
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def read_answer(caller: socket.socket) -> Answer:
    response = http.client.HTTPResponse(caller)
    response.begin()
    body = response.read()
    return response.status, {k.lower(): v for k, v in response.getheaders()}, body


def error_of(answer: Answer, status: int) -> dict[str, Any]:
    """The error in an answer, which has all four keys and says something."""
    assert answer[0] == status, answer
    error: dict[str, Any] = json.loads(answer[2])["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert len(error["message"]) > 10
    return error


def changed(**fields: Any) -> bytes:
    return json.dumps(CHAT | fields).encode()


MALFORMED = {
    "empty": b"",
    "no JSON": b"hello",
    "half a JSON": changed()[:-5],
    "two JSONs": changed() * 2,
    "a list": b"[]",
    "a string": b'"text"',
    "a number": b"5",
    "null": b"null",
    "NaN": changed()[:-1] + b', "temperature": NaN}',
    "infinity": changed()[:-1] + b', "temperature": -Infinity}',
    "a number out of range": changed()[:-1] + b', "temperature": 1e999}',
    "a number of ten thousand digits": changed()[:-1] + b', "seed": ' + b"9" * 10_000 + b"}",
    "invalid UTF-8": changed()[:-1] + b', "x": "\xff\xfe"}',
    "UTF-16": changed().decode().encode("utf-16"),
    "a thousand levels of lists": changed()[:-1] + b', "x": ' + b"[" * 1000 + b"]" * 1000 + b"}",
    "a hundred thousand open lists": b"[" * 100_000,
    "a hundred thousand open objects": b'{"a":' * 100_000,
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_json_is_refused(
    gateway: Gateway, ask: Callable[..., Answer], body: bytes
) -> None:
    answer = ask(body)
    error = error_of(answer, 400)
    assert error["type"] == "invalid_request_error"
    entry = gateway.entry(answer[1]["x-request-id"])
    assert (entry["status"], entry["outcome"], entry["requests"]) == (400, "refused", 0)


WRONG_FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "model is missing": ({"model": None}, "model"),
    "model is a number": ({"model": 5}, "model"),
    "model is empty": ({"model": ""}, "model"),
    "messages are missing": ({"messages": None}, "messages"),
    "messages are a string": ({"messages": "hi"}, "messages"),
    "messages are empty": ({"messages": []}, "messages"),
    "a message is a string": ({"messages": ["hi"]}, "messages[0]"),
    "stream is a string": ({"stream": "yes"}, "stream"),
    "n is a fraction": ({"n": 1.5}, "n"),
    "n is true": ({"n": True}, "n"),
    "n is negative": ({"n": -1}, "n"),
    "n is zero": ({"n": 0}, "n"),
    "n is absurd": ({"n": 10**6}, "n"),
    "n is beyond 64 bits": ({"n": 10**30}, "n"),
    "max_tokens is a string": ({"max_tokens": "many"}, "max_tokens"),
    "max_tokens is negative": ({"max_tokens": -5}, "max_tokens"),
    "max_tokens is absurd": ({"max_tokens": 10**12}, "max_tokens"),
    "max_completion_tokens is absurd": ({"max_completion_tokens": 10**30}, "max_completion_tokens"),
    "user is a list": ({"user": []}, "user"),
    "stream_options is a list": ({"stream": True, "stream_options": []}, "stream_options"),
}


@pytest.mark.parametrize(("fields", "param"), WRONG_FIELDS.values(), ids=WRONG_FIELDS)
def test_a_wrong_field_is_named(
    gateway: Gateway, ask: Callable[..., Answer], fields: dict[str, Any], param: str
) -> None:
    answer = ask(changed(**fields))
    assert error_of(answer, 400)["param"] == param
    assert gateway.entry(answer[1]["x-request-id"])["outcome"] == "refused"


@pytest.mark.parametrize(
    "key", ["", "wrong", "sk-0123456789abcdef-" + "x" * 43, "k" * 5000, "ключ"]
)
def test_a_wrong_key_is_refused_before_its_body_is_looked_at(
    gateway: Gateway, ask: Callable[..., Answer], key: str
) -> None:
    answer = ask(b"no JSON", key=key)
    error = error_of(answer, 401)
    assert error["code"] == (None if key == "" else "invalid_api_key")
    assert len(key) < 5 or key not in answer[2].decode()
    assert gateway.entry(answer[1]["x-request-id"])["status"] == 401


def test_a_body_over_the_limit_is_too_large(gateway: Gateway, ask: Callable[..., Answer]) -> None:
    answer = ask(b'{"x": "' + b"a" * (50 * MB) + b'"}')
    error_of(answer, 413)
    assert gateway.entry(answer[1]["x-request-id"])["outcome"] == "refused"


def test_a_body_that_says_it_is_too_large_is_not_waited_for(gateway: Gateway) -> None:
    start = head(gateway, b"", "expect: 100-continue", f"content-length: {2**30}")
    start = start.replace(b"content-length: 0\r\n", b"")
    with connected(gateway) as caller:
        caller.sendall(start)
        answer = read_answer(caller)
    assert "larger" in error_of(answer, 413)["message"]
    assert gateway.entry(answer[1]["x-request-id"])["outcome"] == "refused"


@pytest.mark.parametrize("body", [b"zz\r\n", b"3\r\nabcd\r\n", b"-1\r\n", b"1;\x00\r\n"])
def test_a_body_whose_chunks_are_none_is_answered_and_written_down_once(
    gateway: Gateway, body: bytes
) -> None:
    before = gateway.entry_ids()
    with connected(gateway) as caller:
        caller.sendall(head(gateway, b"", "transfer-encoding: chunked") + body)
        answer = read_answer(caller)
    assert "HTTP/1.1" in error_of(answer, 400)["message"]
    entry = gateway.entry(answer[1]["x-request-id"])
    assert (entry["status"], entry["outcome"], entry["project"]) == (400, "refused", "main")
    assert gateway.entry_ids() - before == {entry["id"]}


def test_a_body_over_the_limit_in_pieces_is_too_large(
    gateway: Gateway, ask: Callable[..., Answer]
) -> None:
    piece = f"{MB:x}\r\n".encode() + b"a" * MB + b"\r\n"
    error_of(ask(piece * 50 + b"0\r\n\r\n", "transfer-encoding: chunked"), 413)


@pytest.mark.parametrize(
    "headers",
    [["x-bomb: " + "a" * MB], [f"x-bomb-{number}: {'a' * 100}" for number in range(10_000)]],
    ids=["one large header", "ten thousand headers"],
)
def test_a_bomb_of_headers_is_refused(gateway: Gateway, headers: list[str]) -> None:
    with connected(gateway) as caller:
        with refused_early():
            caller.sendall(head(gateway, b"", *headers))
        error_of(read_answer(caller), 431)


def drip(caller: socket.socket, data: bytes) -> Answer:
    """Send a byte after the other, slowly, until there is an answer."""
    for at in range(len(data)):
        caller.sendall(data[at : at + 1])
        if select.select([caller], [], [], 0.1)[0]:
            return read_answer(caller)
    raise AssertionError("it took all of it")


def test_a_head_that_comes_byte_by_byte_is_given_up_on(gateway: Gateway) -> None:
    with connected(gateway) as caller:
        error_of(drip(caller, head(gateway, changed()) + changed()), 408)


def test_a_body_that_comes_byte_by_byte_is_given_up_on(gateway: Gateway) -> None:
    with connected(gateway) as caller:
        body = changed(user="somebody with a long name")
        caller.sendall(head(gateway, body))
        answer = drip(caller, body)
    error_of(answer, 408)
    assert gateway.entry(answer[1]["x-request-id"])["status"] == 408


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
                                  b"HELO there\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"])  # fmt: skip
def test_what_is_no_http_is_refused(gateway: Gateway, data: bytes) -> None:
    with connected(gateway) as caller:
        caller.sendall(data)
        assert read_answer(caller)[0] in (400, 404, 505)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/chat/completions", 405), ("POST", "/v1/chat/nothing", 404),
     ("GET", "/", 404), ("DELETE", "/v1/models", 405), ("GET", "/v1/models/%ff", 404),
     ("GET", "/v1/models/no-such", 404), ("POST", "/v1/engines/%2e%2e%2f/completions", 404)],
)  # fmt: skip
def test_a_wrong_url_or_method_is_told(
    gateway: Gateway, method: str, path: str, status: int
) -> None:
    with connected(gateway) as caller:
        lines = [f"{method} {path} HTTP/1.1", "host: gateway", "connection: close",
                 f"authorization: Bearer {gateway.key('main')}", "content-length: 15"]  # fmt: skip
        caller.sendall("\r\n".join(lines).encode() + b'\r\n\r\n{"prompt": "a"}')
        answer = read_answer(caller)
    error_of(answer, status)
    assert answer[1]["x-request-id"]


def test_fields_that_nobody_knows_pass_unharmed(gateway: Gateway, simulator: Simulator) -> None:
    future = {"deep": [{"a": 1.5, "b": None, "ü": "\u0000\U0001f600"}], "big": 2**53 + 1}
    answer = gateway.chat(text="with a field of the future", future=future)
    assert answer.status_code == 200
    bodies = [note["body"] for note in simulator.received() if note["event"] == "received"]
    assert [body["future"] for body in bodies if "future" in body] == [future]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "type", "text"]), inner, max_size=3)
    ),
    max_leaves=8,
)
FIELDS = ("model", "messages", "n", "max_tokens", "stream", "stop", "user", "tools", "prompt",
          "stream_options", "response_format", "metadata", "temperature")  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4), st.booleans())
def test_whatever_the_fields_hold_the_answer_is_clear(
    gateway: Gateway, fields: dict[str, Any], complete: bool
) -> None:
    body = json.dumps((CHAT if complete else {}) | fields)
    for path in ("/v1/chat/completions", "/v1/engines/echo/completions", "/v1/embeddings"):
        answer = gateway.post(path, gateway.key("main"), content=body)
        assert answer.status_code in (200, 400, 403, 404), answer.text
        if answer.status_code != 200:
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
