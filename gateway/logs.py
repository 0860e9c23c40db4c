"""Logs: one JSON object a line to standard error, one line a request. Never a text, never a key."""

from __future__ import annotations

import logging
import sys
import traceback
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

from gateway.usage.entry import Entry

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class _Forgiving:
    """A stream whose end that breaks never decides what happens to a request."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


def build_log(level: str, stream: TextIO | None = None) -> Any:
    """A logger with `info`, `warning` and `error`, of which only `level` and above are written."""
    return structlog.wrap_logger(
        structlog.WriteLogger(cast(TextIO, _Forgiving(stream or sys.stderr))),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
    )


def request_fields(entry: Entry, overhead_ms: float, client: str = "") -> dict[str, Any]:
    """The canonical line of one request. `client` is the caller's address, where it may be told."""
    fields = {
        "request_id": entry.id,
        "organization": entry.organization,
        "project": entry.project,
        "key_id": entry.key_id,
        "endpoint": entry.endpoint,
        "model": entry.model,
        "upstream": entry.upstream,
        "stream": entry.stream,
        "status": entry.status,
        "outcome": entry.outcome.value,
        "code": entry.code,
        "duration_ms": entry.duration_ms,
        "ttft_ms": entry.first_token_ms,
        "overhead_ms": round(overhead_ms, 3),
        "input_tokens": entry.tokens.input,
        "output_tokens": entry.tokens.output,
        "source": entry.source.value,
        "cost_nano": entry.cost_nano,
        "currency": entry.currency,
        "redactions": dict(entry.redactions),
        "policy_digest": entry.policy_digest,
    }
    return fields | {"client": client} if client else fields


def place_of(error: BaseException) -> dict[str, Any]:
    """Where a failure happened, without its message: a message may quote what it failed on."""
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "exception": type(error).__name__,
        "where": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]],
    }


class LibraryLog(logging.Handler):
    """That a library has something to say, and where: its words may hold what a caller sent. Our
    own rooms' words do not, and are passed on."""

    def __init__(self, log: Any) -> None:
        super().__init__(level=logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        where = f"{record.pathname}:{record.lineno} {record.funcName}"
        fields: dict[str, Any] = {"logger": record.name, "said_at": where}
        if record.name.startswith("gateway."):
            fields["text"] = record.getMessage()
        if record.exc_info and record.exc_info[1]:
            fields |= place_of(record.exc_info[1])
        write = self._log.error if record.levelno >= logging.ERROR else self._log.warning
        write("library", **fields)
