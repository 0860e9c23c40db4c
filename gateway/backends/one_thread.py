"""A thread for who has something done all the time, one thing after the other.

An executor makes a second future for each call, chains the two, and takes half a dozen locks: that
is more than many a call costs. Here a call is a queue of the interpreter's own, and one message to
the event loop with its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")
_Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, asyncio.Future[Any]]


class OneThread:
    """`expected` are errors that calls raise. Whoever waits is told any other, too, but it ends the
    thread with a trace; another one goes on with what waits."""

    def __init__(self, name: str, expected: tuple[type[Exception], ...]) -> None:
        self._name, self._expected = name, expected
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: Thread | None = None

    def run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """What `work` returns or raises, done on the thread after all that was asked for before.
        Where the future is cancelled before its turn, nothing is done."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[T] = loop.create_future()
        self._jobs.put((work, loop, told))
        if self._thread is None:
            self._begin()
        return told

    def end(self) -> None:
        """Return when all that was asked for is done; for a thread that may wait."""
        self._jobs.put(None)
        while (thread := self._thread) is not None and thread.is_alive():
            thread.join()

    def _begin(self) -> None:
        self._thread = Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._do(*job)
            del job  # what it holds is not kept until the next one comes

    def _do(
        self, work: Callable[[], T], loop: asyncio.AbstractEventLoop, told: asyncio.Future[T]
    ) -> None:
        if told.cancelled():
            return
        try:
            result = work()
        except self._expected as error:
            _send(loop, _fail, told, error)
        except BaseException as fault:
            _send(loop, _fail, told, fault)
            self._begin()
            raise
        else:
            _send(loop, _tell, told, result)


def _send(loop: asyncio.AbstractEventLoop, *call: Any) -> None:
    with suppress(RuntimeError):  # the loop was closed, and nobody waits any more
        loop.call_soon_threadsafe(*call)


def _tell(told: asyncio.Future[T], result: T) -> None:
    if not told.done():  # else nobody waits any more
        told.set_result(result)


def _fail(told: asyncio.Future[Any], error: BaseException) -> None:
    if not told.done():
        told.set_exception(error)
