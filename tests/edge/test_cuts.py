"""However what a caller sends is cut into packets, the same requests are read out of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from gateway.edge.peers import Peers
from gateway.edge.protocol import bounded_protocol
from gateway.settings import Settings

HEADERS = (
    b"connection: upgrade", b"Connection: Upgrade, HTTP2-Settings", b"upgrade: h2c",
    b"Upgrade:websocket", b"UPGRADE: a, b", b"connection: close", b"connection: keep-alive",
    b"expect: 100-continue", b"x-upgrade: z", b"content-length: 0", b"host: y", b"x:",
    b"transfer-encoding: chunked",
)  # fmt: skip
BODIES = (
    b"", b"abc", b"\r\nupgrade: x\r\n\r\n",
    b"GET /s HTTP/1.1\r\nhost: x\r\nupgrade: a\r\nconnection: upgrade\r\n\r\n",
)  # fmt: skip
METHODS = (b"GET", b"POST", b"OPTIONS", b"CONNECT", b"SOURCE")
VERSIONS = (b"1.1", b"1.1", b"1.0")


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    lines = draw(st.lists(st.sampled_from(HEADERS), max_size=4, unique=True))
    body, framing = draw(st.sampled_from(BODIES)), draw(st.sampled_from(["", "sized", "chunked"]))
    if framing == "sized":
        lines.append(b"content-length: %d" % len(body))
    elif framing == "chunked":
        lines.append(b"transfer-encoding: chunked")
        chunk = b"%x;ext\r\n%b\r\n" % (len(body), body) if body else b""
        body = chunk + b"0\r\n" + draw(st.sampled_from([b"", b"upgrade: t\r\n"])) + b"\r\n"
    else:
        body = b""
    start = draw(st.sampled_from(METHODS)) + b" /p?q=1 HTTP/" + draw(st.sampled_from(VERSIONS))
    return b"\r\n".join([start, b"host: x", *lines, b"", body])


class Wire(asyncio.Transport):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name, default)

    def write(self, data: Any) -> None: ...
    def close(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def is_closing(self) -> bool:
        return False


async def read_of(pieces: Sequence[bytes]) -> tuple[list[Any], list[int]]:
    """The requests that were read, none of which is answered, and what was refused."""
    heard, turns = list[int](), list[Any]()
    bounds = Settings(pipelined_max=50)

    def refused(error: Any) -> Sequence[tuple[str, str]]:
        heard.append(error.status)
        return ()

    protocol: Any = bounded_protocol(bounds, Peers(bounds), refused)
    config = uvicorn.Config(read_of, lifespan="off", log_config=None)
    connection = protocol(config, ServerState(), {})
    connection._answer = turns.append
    connection.connection_made(Wire())
    for piece in pieces:
        connection.data_received(piece)
    turns += connection.waiting
    read = [
        (one._scope["method"], one._scope["headers"], b"".join(one._body), one._more_body,
         one.keep_alive, str(one._spoiled))
        for one in turns
    ]  # fmt: skip
    connection.connection_lost(None)
    return read, heard


@settings(max_examples=300, deadline=None)
@given(
    sent=st.lists(requests(), min_size=1, max_size=4).map(b"".join),
    cuts=st.lists(st.integers(1, 400), max_size=6),
    change=st.none() | st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=1)),
)
def test_however_requests_are_cut_the_same_are_read(
    sent: bytes, cuts: list[int], change: tuple[int, bytes] | None
) -> None:
    if change:
        at, byte = change
        sent = sent[:at] + byte + sent[at + 1 :]
    ends = sorted({min(cut, len(sent)) for cut in cuts} | {len(sent)})
    pieces = [sent[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]

    async def main() -> None:
        whole = await read_of([sent])
        assert await read_of(pieces) == whole
        assert await read_of([sent[at : at + 1] for at in range(len(sent))]) == whole

    asyncio.run(main())
