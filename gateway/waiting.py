"""Time-outs for a task that waits often and rarely long."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Waits:
    """`with waits.at_most(seconds): await …` raises TimeoutError as `asyncio.timeout` does, of
    which it is the cheap kind: one timer for all waits of one task, that is set again only when
    it fires too early. A stream waits twice for each of its pieces.

    Not for waits inside of each other. A time-out comes late by no more than the event loop does.
    """

    __slots__ = ("_before", "_expired", "_loop", "_task", "_timer", "_until")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._until: float | None = None
        self._expired = False
        self._before = 0

    def at_most(self, seconds: float) -> Waits:
        """Begin a wait; `with` ends it."""
        loop = self._loop = self._loop or asyncio.get_running_loop()
        task = self._task = asyncio.current_task()
        assert task is not None
        self._before = task.cancelling()
        self._expired = False
        self._until = until = loop.time() + seconds
        if self._timer is None or until < self._timer.when():
            self._set(until)
        return self

    def close(self) -> None:
        """Drop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __enter__(self) -> None:
        """What is waited for follows."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._until = None
        if not self._expired:
            return
        assert self._task is not None
        if self._task.uncancel() <= self._before and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _set(self, until: float) -> None:
        self.close()
        assert self._loop is not None
        self._timer = self._loop.call_at(until, self._is_due)

    def _is_due(self) -> None:
        self._timer = None
        assert self._loop is not None
        if self._until is None:
            return
        if self._loop.time() < self._until:
            self._set(self._until)
            return
        assert self._task is not None
        self._until = None
        self._expired = True
        self._task.cancel()
