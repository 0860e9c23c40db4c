"""An answer as the writes that make it, with the damage that was asked for. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway.simulator.options import Behaviour, ErrorBody
from gateway.simulator.usage import Event

GARBAGE = b'data: {"id": oops \xff\xfe\n\n'
GARBAGE_JSON = b"<<this is no JSON>> \xff\xfe"
FAULT_AT = 2
"""Which event of a stream, from 0, is damaged by `half_event` and `garbage`."""


class Ending(StrEnum):
    COMPLETE = "complete"
    CUT = "cut"  # the connection breaks
    HANG = "hang"  # nothing more comes until the client leaves


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes to send, and how many completion tokens were generated with them."""

    data: bytes
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Script:
    """All that is sent after the status line. `length` is a promised Content-Length."""

    writes: tuple[Write, ...]
    ending: Ending = Ending.COMPLETE
    length: int | None = None
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def json_bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def event_bytes(data: Any) -> bytes:
    return b"data: " + json_bytes(data) + b"\n\n"


def _error(status: int) -> dict[str, Any]:
    kinds = {
        401: ("invalid_request_error", "invalid_api_key"),
        403: ("invalid_request_error", "unsupported_country_region_territory"),
        404: ("invalid_request_error", "model_not_found"),
        429: ("requests", "rate_limit_exceeded"),
    }
    kind, code = kinds.get(
        status, ("server_error" if status >= 500 else "invalid_request_error", None)
    )
    message = f"The simulator was asked to fail with {status}."
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def error_script(
    behaviour: Behaviour, status: int, usage: Mapping[str, Any] | None = None
) -> Script:
    """A refusal with the body that was asked for; an OpenAI-shaped one can tell a usage."""
    told = {} if usage is None else {"usage": usage}
    bodies = {
        ErrorBody.OPENAI: ("application/json", json_bytes(_error(status) | told)),
        ErrorBody.HTML: (
            "text/html",
            f"<html><head><title>{status}</title></head><body>nginx</body></html>".encode(),
        ),
        ErrorBody.TEXT: ("text/plain", b"upstream connect error or disconnect/reset"),
        ErrorBody.EMPTY: ("text/plain", b""),
    }
    content_type, data = bodies[behaviour.error_body]
    headers: tuple[tuple[str, str], ...] = ()
    if behaviour.retry_after_seconds is not None:
        headers = (("retry-after", f"{behaviour.retry_after_seconds:g}"),)
    return Script((Write(data),), Ending.COMPLETE, len(data), status, content_type, headers)


def json_script(answer: dict[str, Any], tokens: int, behaviour: Behaviour) -> Script:
    """A JSON answer; where it is damaged, its first half."""
    data = json_bytes(answer)
    half = (Write(data[: len(data) // 2], tokens),)
    if behaviour.disconnect_after_chunks is not None:
        return Script(half, Ending.CUT, len(data))
    if behaviour.hang_after_chunks is not None:
        return Script(half, Ending.HANG, len(data))
    if behaviour.half_event:
        return Script(half, length=len(half[0].data))
    if behaviour.garbage:
        return Script((Write(GARBAGE_JSON, tokens),), length=len(GARBAGE_JSON))
    return Script((Write(data, tokens),), length=len(data))


def stream_script(events: Sequence[Event], behaviour: Behaviour) -> Script:
    """A stream of events up to [DONE], or up to where it is damaged."""
    whole = [Write(event_bytes(event.data), event.tokens) for event in events]
    whole.append(Write(b"data: [DONE]\n\n"))
    ending = Ending.COMPLETE
    writes = whole
    if behaviour.disconnect_after_chunks is not None:
        writes, ending = whole[: behaviour.disconnect_after_chunks], Ending.CUT
    elif behaviour.hang_after_chunks is not None:
        writes, ending = whole[: behaviour.hang_after_chunks], Ending.HANG
    elif behaviour.error_after_chunks is not None:
        writes = [*whole[: behaviour.error_after_chunks], Write(event_bytes(_error(500)))]
    elif behaviour.half_event or behaviour.garbage:
        at = min(FAULT_AT, len(whole) - 1)
        writes = [*whole[:at], Write(GARBAGE), *whole[at:]]
        if behaviour.half_event:
            broken = whole[at].data
            writes = [*whole[:at], Write(broken[: len(broken) // 2], whole[at].tokens)]
    return Script(tuple(writes), ending, None, 200, "text/event-stream; charset=utf-8")
