"""When what may wait a moment is due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Moment:
    """It begins with the first `begin`, and is over `seconds` later, or at once with `end`; then
    `over` is called, and `is_over` stays true until `start_anew`."""

    def __init__(self, seconds: float, over: Callable[[], None]) -> None:
        self.is_over = False
        self._seconds, self._over = seconds, over
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        if self._timer is None and not self.is_over:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self.end)

    def end(self) -> None:
        self.forget()
        self.is_over = True
        self._over()

    def start_anew(self) -> None:
        self.forget()
        self.is_over = False

    def forget(self) -> None:
        """No timer is left behind."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
