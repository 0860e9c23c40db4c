"""Server-sent events, parsed from bytes in whatever pieces they arrive, and written. Pure.

Source: the WHATWG HTML standard, "Parsing an event stream" and "Interpreting an event stream". An
event keeps its lines, so that what is not understood here can be passed on as it came; only line
ends are made uniform (LF), because a client may know fewer of them than the standard has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"
_DATA = b"data"
_USUAL = b"data: "


class EventTooLong(Exception):
    """An event is longer than its reader is ready to keep."""


class Event(NamedTuple):
    """One event: its lines, each but the last with an LF, without the blank one that closes it."""

    raw: bytes

    @property
    def data(self) -> str | None:
        """What its `data` fields say together, or None where it has none (a comment)."""
        raw = self.raw
        if b"\n" not in raw and raw.startswith(_USUAL):  # nearly all are so
            return raw[len(_USUAL) :].decode("utf-8", "replace")
        values = [value for name, value in map(_field, raw.split(b"\n")) if name == _DATA]
        return b"\n".join(values).decode("utf-8", "replace") if values else None

    def encode(self) -> bytes:
        return self.raw + b"\n\n"

    def with_data(self, data: bytes) -> Event:
        """The same event, its other fields and comments kept, saying `data`."""
        others = [line for line in self.raw.split(b"\n") if _field(line)[0] != _DATA]
        return Event(b"\n".join((*others, *_data_lines(data))))


def encode(data: bytes) -> bytes:
    """`data`, which is UTF-8, as one event."""
    return b"\n".join(_data_lines(data)) + b"\n\n"


class EventReader:
    """Bytes in, events out: the same ones however the bytes are cut.

    `event_bytes_max` bounds the lines of one event, which is all that is ever kept."""

    def __init__(self, event_bytes_max: int) -> None:
        self._event_bytes_max = event_bytes_max
        self._tail = bytearray()  # a line whose end has not come
        self._lines: list[bytes] = []
        self._lines_bytes = 0
        self._first_line = True
        self._after_cr = False  # an LF that comes next belongs to the CR before it

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Every event that `piece` completes. To be used up before the next piece.

        Raises EventTooLong, after the events before the long one."""
        if not piece:
            return
        if self.has_passed(piece):
            for block in piece[:-2].split(b"\n\n"):
                yield Event(block)
            return
        if self._after_cr and piece.startswith(b"\n"):
            piece = piece[1:]
        self._after_cr = piece.endswith(b"\r")
        for line in piece.splitlines(keepends=True):
            ended = line.endswith((b"\n", b"\r"))
            self._tail += line.rstrip(b"\r\n") if ended else line
            if self._lines_bytes + len(self._tail) > self._event_bytes_max:
                raise EventTooLong
            if ended and (event := self._end_line()):
                yield event

    @property
    def holds_nothing(self) -> bool:
        """Whether what comes next begins an event, whatever it is."""
        return not (self._tail or self._lines or self._first_line or self._after_cr)

    def has_passed(self, piece: bytes) -> bool:
        """Whether `piece` is some whole events, each closed by one LF more, as most pieces are:
        those need no look at each line. If so, it counts as fed."""
        is_whole = (
            piece.endswith(b"\n\n")
            and not (self._tail or self._lines or self._after_cr)
            and len(piece) <= self._event_bytes_max
            and b"\r" not in piece
            and b"\n\n\n" not in piece
            and not piece.startswith((b"\n", _BOM))
        )
        if is_whole:
            self._first_line = False
        return is_whole

    def finish(self) -> Event | None:
        """What the end of the bytes cut off: lines that no blank line closed."""
        if self._tail:
            self._end_line()
        return self._end_event()

    def _end_line(self) -> Event | None:
        line = bytes(self._tail)
        self._tail.clear()
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._end_event()
        self._lines.append(line)
        self._lines_bytes += len(line)
        return None

    def _end_event(self) -> Event | None:
        if not self._lines:
            return None
        event = Event(b"\n".join(self._lines))
        self._lines.clear()
        self._lines_bytes = 0
        return event


def _field(line: bytes) -> tuple[bytes, bytes]:
    """Name and value; a comment has the empty name."""
    name, _, value = line.partition(b":")
    return name, value.removeprefix(b" ")


def _data_lines(data: bytes) -> tuple[bytes, ...]:
    """Every line end of `data` is one of the event, and an LF when it is read back."""
    plain = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return tuple(b"data: " + line for line in plain.split(b"\n"))
