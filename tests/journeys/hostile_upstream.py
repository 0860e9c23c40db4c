"""An upstream that gives back what it received, in every place where an answer has room for it."""

from __future__ import annotations

import itertools
import json
import socketserver
import threading
from collections.abc import Callable
from typing import Any

Answer = Callable[[str], bytes]


def _http(status: str, kind: str, body: str, headers: str = "") -> bytes:
    text = body.encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(text)}\r\n{headers}"
    return f"{head}connection: close\r\n\r\n".encode() + text


def _error(text: str) -> str:
    return json.dumps({"error": {"message": text, "type": text, "param": text, "code": text}})


def _stream(*events: str) -> bytes:
    body = "".join(f"data: {event}\n\n" for event in events)
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + body.encode()


def _chunk(text: str) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]})


ANSWERS: tuple[Answer, ...] = (
    lambda text: _http("400 Bad Request", "application/json", _error(text)),
    lambda text: _http("401 Unauthorized", "application/json", _error(text)),
    lambda text: _http("429 Too Many Requests", "application/json", _error(text)),
    lambda text: _http("500 " + text[:200], "text/plain", text),
    lambda text: _http("200 OK", "application/json", "{" + text),
    lambda text: _http("200 OK", "application/json", json.dumps([text])),
    lambda text: _http("200 OK", "application/json", json.dumps({"usage": text, "choices": text})),
    lambda text: _http("200 OK", f"text/{text[:100]}", text, f"content-encoding: {text[:100]}\r\n"),
    lambda text: _stream(_chunk(text), _error(text)),
    lambda text: _stream(_chunk(text), "{" + text, "[DONE]"),
    lambda text: _stream(_chunk(text), json.dumps({"choices": {text: text}, "usage": text})),
    lambda text: _stream(_chunk(text))[:-5],
    lambda text: b"HTTP/1.1 " + text.encode() + b"\r\n\r\n",
    lambda text: f"{text}\r\n{text}: {text}\r\n\r\n".encode(),
    lambda text: f"HTTP/1.1 200 OK\r\n{text}\r\ntransfer-encoding: {text}\r\n\r\n".encode(),
    lambda text: b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + text.encode(),
    lambda text: b"",
)


class HostileUpstream:
    """Each request gets the next of ANSWERS, made of the request's whole text on one line."""

    def __init__(self) -> None:
        turns = itertools.cycle(ANSWERS)

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(next(turns)(_received(self.rfile)))

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _received(reader: Any) -> str:
    head, size = [], 0
    while (line := reader.readline().decode("latin-1").strip()) != "":
        head.append(line)
        if line.lower().startswith("content-length:"):
            size = int(line.split(":")[1])
    body = reader.read(size).decode("utf-8", "replace")
    return " ".join([*head, body]).replace("\r", " ").replace("\n", " ")
