"""Time-outs for a task that waits often and rarely long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


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

    async def within(self, seconds: float, work: Awaitable[T]) -> T:
        """`await work`, and TimeoutError where that takes longer. Work that has nothing to wait
        for, as most has not, costs no timer and no look at the clock."""
        steps: Any = work.__await__()
        try:
            waits_for = next(steps)
        except StopIteration as end:
            result: T = end.value
        else:
            with self.at_most(seconds):
                result = await _Begun(steps, waits_for)
        return result

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


class _Begun:
    """The `steps` of work, of which the first was taken: what it `waits_for` is told again."""

    __slots__ = ("_steps", "_waits_for")

    def __init__(self, steps: Any, waits_for: Any) -> None:
        self._steps = steps
        self._waits_for: tuple[Any, ...] = (waits_for,)

    def __await__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        if self._waits_for:
            (waits_for,), self._waits_for = self._waits_for, ()
            return waits_for
        return self._steps.send(value)

    def throw(self, *error: Any) -> Any:
        return self._steps.throw(*error)

    def close(self) -> None:
        self._steps.close()
