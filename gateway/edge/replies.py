"""How answers are written: JSON, errors with their headers, the last event of a stream."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from starlette.types import Send

from gateway.errors import ApiError
from gateway.quota.admit import Refusal, rate_headers, retry_headers

Headers = Sequence[tuple[str, str]]


def encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def decoded(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


async def send_json(send: Send, status: int, value: Any, headers: Headers = ()) -> None:
    body = json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")
    await send_body(send, status, body, [("content-type", "application/json"), *headers])


async def send_body(send: Send, status: int, body: bytes, headers: Headers) -> None:
    all_headers = [*headers, ("content-length", str(len(body)))]
    await send({"type": "http.response.start", "status": status, "headers": encoded(all_headers)})
    await send({"type": "http.response.body", "body": body})


async def send_error(send: Send, error: ApiError, now: float) -> None:
    """An error as OpenAI has it, with the headers by which SDKs decide whether to retry."""
    headers = list(retry_headers(error))
    if isinstance(error, Refusal):
        headers += rate_headers(error.standings, now)
    await send_json(send, error.status, error.body(), headers)


def error_event(error: ApiError) -> bytes:
    """The last event of a stream that failed; SDKs raise an APIError from it."""
    return b"data: " + json.dumps(error.body()).encode() + b"\n\n"
