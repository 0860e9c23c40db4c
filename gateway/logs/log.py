"""Logs: one JSON object a line to standard error, one line a request. Never a text, never a key:
fields are those of log_fields.py, an exception is told by its kind and place, and so is whatever
else the interpreter or a library would print.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
import zlib
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from types import TracebackType
from typing import Any, TextIO

import structlog

from gateway.json_text import write
from gateway.logs.fields import cleaned
from gateway.usage.entry import Entry, Outcome

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
REQUEST = "request"
"""The event of the line of a request."""
_OFFSET = len("+00:00")

Fields = MutableMapping[str, Any]
Step = Callable[[Any, str, Fields], Fields]


class _Lines:
    """A logger that writes lines to a stream. A stream that breaks never decides what happens to a
    request.

    What an event loop says in one turn is written at its end, at once: a line for each request
    would be a call of the system for each. Elsewhere, and warnings, are written as they come."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting: list[str | Fields] = []

    def info(self, line: str | Fields) -> None:
        """Of a line that is written later, the fields will do: many that are put into words at
        once cost less. Its `timestamp` is in unix seconds."""
        self._waiting.append(line)
        if len(self._waiting) > 1:  # somebody comes for them
            return
        try:
            asyncio.get_running_loop().call_soon(self._write)
        except RuntimeError:  # there is no loop in this thread
            self._write()

    def warning(self, line: str) -> None:
        self._waiting.append(line)
        self._write()

    error = warning

    def _write(self) -> None:
        lines, self._waiting = self._waiting, []
        if lines:
            text = "\n".join(map(_worded, lines)) + "\n"
            with suppress(OSError, ValueError):
                self._stream.write(text)
                self._stream.flush()


def build_log(
    level: str,
    stream: TextIO | None = None,
    *,
    secrets: Sequence[str] = (),
    sample: float = 1.0,
    slow_seconds: float = 0.0,
) -> Any:
    """A logger with `info`, `warning` and `error`, of which only `level` and above are written.

    `secrets` are blotted out of sentences, should one hold them. Of the lines of requests that
    went well and took less than `slow_seconds`, only the share `sample` is written."""
    lines = _Lines(stream or sys.stderr)
    others = structlog.wrap_logger(
        lines,
        processors=[
            _closed(secrets),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(_as_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
    ).bind()
    is_kept = _sampler(sample, slow_seconds * 1000) if sample < 1 else None
    return _Log(lines, others, _LEVELS[level] <= _LEVELS["info"], is_kept)


class _Log:
    """structlog's, but for the line of a request. That one is written here, in one step: it comes
    with each request, and is made of an entry, which holds names and numbers by its type, so that
    there is nothing to look at again."""

    def __init__(
        self, lines: _Lines, others: Any, tells_info: bool, is_kept: Callable[[Fields], bool] | None
    ) -> None:
        self._lines, self._others = lines, others
        self._tells_info, self._is_kept = tells_info, is_kept

    def info(self, event: str, **fields: Any) -> None:
        if event != REQUEST:
            self._others.info(event, **fields)
        elif self._tells_info:
            fields["event"] = event
            if self._is_kept is None or self._is_kept(fields):
                fields["level"] = "info"
                fields["timestamp"] = time.time()
                self._lines.info(fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._others.warning(event, **fields)

    def error(self, event: str, **fields: Any) -> None:
        self._others.error(event, **fields)


def _worded(line: str | Fields) -> str:
    if isinstance(line, str):
        return line
    seconds, fraction = divmod(line["timestamp"], 1)
    line["timestamp"] = f"{_second(seconds)}.{int(fraction * 1e6):06}Z"
    return write(line).decode()


@lru_cache(4)
def _second(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:-_OFFSET]


def _as_json(line: Any, **_: Any) -> str:
    return write(line).decode()


def _sampler(share: float, slow_ms: float) -> Callable[[Fields], bool]:
    """Which lines of requests are kept follows from their ids alone. Each says of how large a share
    it is, so that counts can be scaled up: a line stands for 1 / `sampled` requests."""
    below = share * 2**32

    def is_kept(line: Fields) -> bool:
        went_well = line.get("outcome") == Outcome.OK.value and line.get("status", 500) < 400
        if not went_well or line.get("duration_ms", 0) >= slow_ms:
            line["sampled"] = 1.0
            return True
        line["sampled"] = share
        return zlib.crc32(str(line.get("request_id")).encode()) < below

    return is_kept


def _closed(secrets: Sequence[str]) -> Step:
    """Lets the fields of log_fields.py pass only."""

    def closed(_logger: Any, _method: str, line: Fields) -> Fields:
        return cleaned(line, secrets)

    return closed


def request_fields(entry: Entry, overhead_ms: float, client: str = "") -> dict[str, Any]:
    """The canonical line of one request. `client` is the caller's address, where it may be told."""
    fields: dict[str, Any] = {
        "request_id": entry.id,
        "organization": entry.organization,
        "project": entry.project,
        "key_id": entry.key_id,
        "endpoint": entry.endpoint,
        "model": entry.model,
        "upstream": entry.upstream,
        "stream": entry.stream,
        "status": entry.status,
        "outcome": str(entry.outcome),
        "code": entry.code,
        "duration_ms": entry.duration_ms,
        "ttft_ms": entry.first_token_ms,
        "overhead_ms": round(overhead_ms, 3),
        "input_tokens": entry.tokens.input,
        "output_tokens": entry.tokens.output,
        "source": str(entry.source),
        "cost_nano": entry.cost_nano,
        "currency": entry.currency,
        "redactions": dict(entry.redactions),
        "policy_digest": entry.policy_digest,
    }
    if client:
        fields["client"] = client
    return fields


def place_of(error: BaseException) -> dict[str, Any]:
    """Where a failure happened, without its message: a message may quote what it failed on."""
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "exception": type(error).__name__,
        "where": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]],
    }


def log_everything_else(log: Any) -> None:
    """From now on, what libraries log, warnings, and exceptions that nobody caught, are lines of
    ours: the interpreter would print their messages, and lines of code with values in them."""
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, LibraryLog)]:
        root.removeHandler(handler)
    root.addHandler(LibraryLog(log))
    logging.captureWarnings(True)

    def uncaught(
        kind: type[BaseException], error: BaseException, _trace: TracebackType | None
    ) -> None:
        log.error("uncaught", **place_of(error))

    def in_thread(told: threading.ExceptHookArgs) -> None:
        if told.exc_value is not None:
            log.error("uncaught", **place_of(told.exc_value))

    def ignored(told: Any) -> None:
        if told.exc_value is not None:
            log.error("uncaught", **place_of(told.exc_value))

    sys.excepthook, threading.excepthook, sys.unraisablehook = uncaught, in_thread, ignored


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
