"""Whose fault an upstream's error is, and what it tells: read from its status, headers and body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.errors import ApiError, Unavailable, UpstreamFailed
from gateway.openai.chunks import read_object
from gateway.openai.usage import Told, tokens_told

RETRY_AFTER_SECONDS_MAX = 86_400.0  # what an upstream may tell a caller to wait
Headers = Sequence[tuple[str, str]]
"""Names in lower case, in order, repeats kept."""


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
            retry_after_seconds=retry_after_seconds(headers),
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
    whole = read_object(body)
    if whole is None:
        return None
    error = whole if whole.get("object") == "error" else whole.get("error")
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return None
    known = {"message": "", "type": None, "param": None, "code": None}
    rest = {} if error is whole else {name: whole[name] for name in whole if name != "error"}
    return {"error": known | error, **rest}


def told_in_error(body: bytes) -> Told | None:
    """The usage that an error tells, beside its error object or in it: it is charged."""
    whole = read_object(body)
    if whole is None:
        return None
    error = whole.get("error")
    inner = error.get("usage") if isinstance(error, dict) else None
    return tokens_told(whole.get("usage")) or tokens_told(inner)


def retry_after_seconds(headers: Headers) -> float | None:
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
