"""When nobody knows whether Redis did what was asked."""

from __future__ import annotations

import asyncio
from types import TracebackType

from gateway.backends.redis_scripts import AWAY


class Unheard(Exception):
    """Redis may have done what was asked; its cause is why nobody knows."""


class Leaving:
    """Whether this task was cancelled since. The client waits with `asyncio.wait_for`, which before
    Python 3.12 forgets a cancellation that comes together with what was waited for."""

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._before = self._task.cancelling() if self._task else 0

    def check(self) -> None:
        """Raises CancelledError."""
        if self._task and self._task.cancelling() > self._before:
            raise asyncio.CancelledError


class _Heard:
    """Around a question: what breaks the wait for its answer is told as Unheard."""

    def __enter__(self) -> None:
        """The question follows."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if isinstance(error, (*AWAY, asyncio.CancelledError)):
            raise Unheard from error


HEARD = _Heard()  # it keeps nothing, so one is enough
