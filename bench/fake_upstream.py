"""A fake OpenAI-shaped upstream that is fast enough never to be what is measured.

It answers chat completions from canned bytes, and says back whom the prompt told it to write to, so
that whoever asks can see that the answer is the one to its own question. A model whose name ends in
`-50ms` answers after so long. A stream is a head, 50 chunks written one by one, and an end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from typing import Any, cast

CHUNKS = 50
PIECES = 3
"""Of the chunks, those over which the address is spread, so that it has to be put together."""
FIRST_PIECE = 10
WORDS = [f" word{number}" for number in range(CHUNKS)]

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding: *chunked")
_WHOM = re.compile(rb"Write to (\S+) that")
_DELAY = re.compile(rb'"model": ?"[^"]*-(\d+)ms"')
_STREAM = re.compile(rb'"stream": ?true')
_WANTS_USAGE = re.compile(rb'"include_usage": ?true')

_BASE = {"id": "chatcmpl-bench", "created": 1700000000, "model": "bench"}
_USAGE = {"prompt_tokens": 50, "completion_tokens": 50, "total_tokens": 100}
_WHOM_HERE = "@WHOM@"


def said(whom: str) -> str:
    """The text of every answer, streamed or not."""
    return "".join([*WORDS[:FIRST_PIECE], " ", whom, *WORDS[FIRST_PIECE + PIECES :]])


def _canned_json() -> tuple[bytes, bytes]:
    """An answer before and behind the address."""
    message = {"role": "assistant", "content": said(_WHOM_HERE), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = {**_BASE, "object": "chat.completion", "choices": [choice], "usage": _USAGE}
    before, _, behind = json.dumps(body, separators=(",", ":")).partition(_WHOM_HERE)
    return before.encode(), behind.encode()


def _event(choices: list[dict[str, Any]], **more: Any) -> bytes:
    body = {**_BASE, "object": "chat.completion.chunk", "choices": choices, **more}
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


def _delta(finish_reason: str | None = None, **delta: str) -> bytes:
    return _event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}])


def _framed(data: bytes) -> bytes:
    """One chunk of HTTP's chunked encoding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


JSON_BEFORE, JSON_BEHIND = _canned_json()
PIECE_BEFORE, _, PIECE_BEHIND = _delta(content=_WHOM_HERE).partition(_WHOM_HERE.encode())
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    + _framed(_delta(role="assistant", content=""))
)
STREAM_CHUNKS = [_framed(_delta(content=word)) for word in WORDS]
DONE = b"data: [DONE]\n\n"
LAST_CHUNK = b"0\r\n\r\n"
STREAM_END = _framed(_delta("stop")) + _framed(DONE) + LAST_CHUNK
STREAM_END_USAGE = _framed(_delta("stop")) + _framed(_event([], usage=_USAGE)) + _framed(DONE)
STREAM_END_USAGE += LAST_CHUNK


class FakeUpstream(asyncio.Protocol):
    """One connection; a request is answered before the next is read."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        body = _whole_body(self._buffer)
        if body is None:
            return
        self._buffer = b""
        delay = _DELAY.search(body)
        if delay:
            self._loop.call_later(int(delay[1]) / 1000, self._answer, body)
        else:
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        whom = _WHOM.search(body)
        if whom is None:
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        elif _STREAM.search(body):
            end = STREAM_END_USAGE if _WANTS_USAGE.search(body) else STREAM_END
            self._transport.write(STREAM_HEAD)
            self._loop.call_soon(self._go_on, [*_chunks(whom[1]), end], 0)
        else:
            self._transport.write(_json_answer(whom[1]))

    def _go_on(self, chunks: list[bytes], at: int) -> None:
        """One write in each round of the loop, as a model's words come one by one."""
        if self._transport.is_closing():
            return
        self._transport.write(chunks[at])
        if at + 1 < len(chunks):
            self._loop.call_soon(self._go_on, chunks, at + 1)


def _json_answer(whom: bytes) -> bytes:
    length = len(JSON_BEFORE) + len(whom) + len(JSON_BEHIND)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return b"".join((head % length, JSON_BEFORE, whom, JSON_BEHIND))


def _chunks(whom: bytes) -> list[bytes]:
    """The stream's chunks, the address spread over some."""
    whom = b" " + whom
    size = -(-len(whom) // PIECES)
    pieces = [whom[n * size : (n + 1) * size] for n in range(PIECES)]
    chunks = STREAM_CHUNKS.copy()
    chunks[FIRST_PIECE : FIRST_PIECE + PIECES] = [
        _framed(b"".join((PIECE_BEFORE, piece, PIECE_BEHIND))) for piece in pieces
    ]
    return chunks


def _whole_body(request: bytes) -> bytes | None:
    """The body of a request, or None as long as a part is missing."""
    head, end, body = request.partition(b"\r\n\r\n")
    if not end:
        return None
    if length := _LENGTH.search(head):
        return body if len(body) >= int(length[1]) else None
    if _CHUNKED.search(head):
        return unframed(body) if body.endswith(LAST_CHUNK) else None
    return b""


def unframed(body: bytes) -> bytes:
    """What is inside of HTTP's chunks."""
    parts, at = [], 0
    while size := int(body[at : (line := body.index(b"\r\n", at))], 16):
        parts.append(body[line + 2 : line + 2 + size])
        at = line + 2 + size + 2
    return b"".join(parts)


async def listening(port: int = 0) -> asyncio.Server:
    """A server on 127.0.0.1; port 0 takes a free one."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(FakeUpstream, "127.0.0.1", port, backlog=1024)


async def _serve(port: int) -> None:
    server = await listening(port)
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    uvloop.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
