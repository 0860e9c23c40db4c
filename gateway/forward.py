"""The verb forward, and its port Upstream: one request to a provider, one reply in pieces.

Which headers pass in either direction, and whose fault an upstream's error is.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import gateway
from gateway.errors import ApiError, Unavailable, UpstreamFailed

RETRY_AFTER_SECONDS_MAX = 86_400.0  # what an upstream may tell a caller to wait

Headers = Sequence[tuple[str, str]]
"""Names in lower case, in order, repeats kept."""

OURS: Headers = (
    ("content-type", "application/json"),
    ("accept", "application/json, text/event-stream"),
    ("accept-encoding", "identity"),
    ("user-agent", f"completion-gateway/{gateway.__version__}"),
)
CALLERS = frozenset({"openai-beta", "traceparent", "tracestate"})
"""The only headers of a caller that an upstream sees."""
UPSTREAMS = frozenset({"content-type", "openai-model", "openai-version"})
"""The only headers of an upstream that a caller sees: the others speak of its connection, its
cookies, or the gateway's account."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes: `path` of a request is appended to `base_url`, which ends in what the
    upstream has for `/v1`. Times in seconds; `idle_timeout_seconds` is between two pieces of a
    body, `total_timeout_seconds` from sending to the last piece. `api_key` never shows in a repr.
    """

    name: str
    base_url: str
    api_key: str | None
    connect_timeout_seconds: float
    idle_timeout_seconds: float
    total_timeout_seconds: float

    def __repr__(self) -> str:
        return f"Target({self.name!r}, {self.base_url!r})"


@dataclass(frozen=True, slots=True)
class Reply:
    """A status line and headers, then pieces of the body as they arrive, decoded."""

    status: int
    headers: Headers
    pieces: AsyncIterator[bytes]


class Upstream(Protocol):
    """Leaving the context closes the exchange, and cancels the upstream if it is not at its end.

    Raises `errors.UpstreamFailed` (upstream_unreachable; upstream_invalid_answer where the bytes
    are not HTTP) and `errors.UpstreamTooSlow`: upstream_unreachable where there was no connection
    in time, so that nothing was sent, and upstream_timeout later. From entering as from
    iterating."""

    def send(
        self, target: Target, path: str, headers: Headers, body: bytes
    ) -> AbstractAsyncContextManager[Reply]: ...


@asynccontextmanager
async def forward(
    upstream: Upstream,
    target: Target,
    path: str,
    body: bytes,
    caller_headers: Headers,
    request_id: str,
) -> AsyncIterator[Reply]:
    """Send `body` to `path` under the target, with our headers and the few of the caller's that
    may pass. Raises what the port raises, and Unavailable where our key cannot be sent."""
    headers = outgoing_headers(target, caller_headers, request_id)
    async with upstream.send(target, path, headers, body) as reply:
        yield reply


def outgoing_headers(target: Target, caller_headers: Headers, request_id: str) -> Headers:
    """An allow-list: a header that is not named here does not go out.

    Raises Unavailable (upstream_key_missing) where the key has characters that no header can
    have: it was set to something that is not a key."""
    headers = [*OURS, ("x-request-id", request_id)]
    if target.api_key:
        key = target.api_key.strip()
        if not _can_be_header(key):
            raise Unavailable(
                f"The key of the upstream {target.name} cannot be sent. Set it again.",
                code="upstream_key_missing",
                retry=False,
            )
        headers.append(("authorization", f"Bearer {key}"))
    headers += [
        (name, value) for name, value in caller_headers if name in CALLERS and _can_be_header(value)
    ]
    return headers


def answer_headers(headers: Headers) -> list[tuple[str, str]]:
    """What a caller may see of an upstream's headers; the first of each name."""
    shown: dict[str, str] = {}
    for name, value in headers:
        if name in UPSTREAMS and _can_be_header(value):
            shown.setdefault(name, value)
    return list(shown.items())


def judge(status: int, headers: Headers, body: bytes) -> ApiError | None:
    """What a reply that is no success means for the caller; None where it is meant for the caller
    and passes with its own status. Never quotes the body."""
    if status in (401, 403):
        return Unavailable(
            f"The upstream refused the gateway's own key ({status}). An operator must look at it.",
            code="upstream_key_refused",
            retry=False,
        )
    if status == 429:
        return Unavailable(
            "The upstream limits the gateway's own account at the moment (429).",
            code="upstream_rate_limited",
            retry_after_seconds=_retry_after_seconds(headers),
        )
    if 400 <= status < 600 and error_object(body) is not None:
        return None
    return UpstreamFailed(
        f"The upstream answered {status} without an error that could be passed on.",
        code="upstream_invalid_answer",
    )


def error_object(body: bytes) -> dict[str, Any] | None:
    """An upstream's error as `{"error": {message, type, param, code, …}}` with all four keys, or
    None where the body has no error with a message.

    Servers that put the four beside `"object": "error"` mean the same."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(whole, dict):
        return None
    error = whole if whole.get("object") == "error" else whole.get("error")
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return None
    known = {"message": "", "type": None, "param": None, "code": None}
    rest = {} if error is whole else {name: whole[name] for name in whole if name != "error"}
    return {"error": known | error, **rest}


def _can_be_header(value: str) -> bool:
    return value.isascii() and value.isprintable()


def _retry_after_seconds(headers: Headers) -> float | None:
    """What the upstream told, or None. Only numbers: a date would need its clock."""
    told = dict(reversed(headers))
    for name, unit_seconds in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(told[name]) * unit_seconds
        except (KeyError, ValueError):
            continue
        if seconds >= 0:
            return min(seconds, RETRY_AFTER_SECONDS_MAX)
    return None
