"""Where a request is in a trace, as headers say it. Format: W3C, "Trace Context".

The ids of our spans are those of the request: without a trace of the caller's, the trace's id is
the digits of the request's own, so that whoever has one has both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.forward import Headers
from gateway.request_id import PREFIX

TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
STATE_CHARACTERS_MAX = 512  # what the format asks everybody to pass on, at least


@dataclass(frozen=True, slots=True)
class Context:
    """Where in a trace: a span, and whether its trace is kept."""

    trace_id: int
    span_id: int
    is_sampled: bool
    state: str = ""

    def headers(self) -> list[tuple[str, str]]:
        flags = "01" if self.is_sampled else "00"
        told = [("traceparent", f"00-{self.trace_id:032x}-{self.span_id:016x}-{flags}")]
        return [*told, ("tracestate", self.state)] if self.state else told


def context_of(headers: Headers) -> Context | None:
    """Where the caller is in its trace; None where it does not say, or says it wrongly."""
    told = [value for name, value in headers if name == "traceparent"]
    found = TRACEPARENT.fullmatch(told[0]) if len(told) == 1 else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    is_wrong = version == "ff" or (version == "00" and more)
    if is_wrong or not int(trace_id, 16) or not int(span_id, 16):
        return None
    state = ",".join(value for name, value in headers if name == "tracestate")
    is_kept = len(state) <= STATE_CHARACTERS_MAX and state.isascii() and state.isprintable()
    return Context(
        int(trace_id, 16), int(span_id, 16), bool(int(flags, 16) & 1), state if is_kept else ""
    )


def ids_of(request_id: str) -> tuple[int, int, int]:
    """Of a trace, of its first span, and of the span of forward. Those of spans are out of the
    random digits, as requests of one moment may be in one trace of the caller's."""
    digits = request_id.removeprefix(PREFIX)
    return int(digits, 16), int(digits[-16:], 16), int(digits[-20:-4], 16)
