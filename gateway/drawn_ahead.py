"""Random bytes for ids, which each request needs some of."""

from __future__ import annotations

from collections.abc import Callable

AHEAD_BYTES = 1024


class DrawnAhead:
    """As `draw`, which is asked for many bytes at once: that is a call of the system, for which the
    interpreter is given to another thread and waited for. Not for secrets, as what is drawn lies in
    memory for a moment; belongs to one event loop. Each byte is given once."""

    def __init__(self, draw: Callable[[int], bytes]) -> None:
        self._draw = draw
        self._drawn, self._at = b"", 0

    def __call__(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._drawn):
            self._drawn, self._at, end = self._draw(max(count, AHEAD_BYTES)), 0, count
        given, self._at = self._drawn[self._at : end], end
        return given
