"""Processes for work that would hold up the gateway: models, loaded once, and a time for each work.

`begin` and `at_most` are for the work itself, in such a process. It ends with the gateway, and
stops by itself what takes longer than it may."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Any, Final, TypeVar

from gateway.privacy.redact import DetectionFailed, DetectorMissing

T = TypeVar("T")

PAUSE_SECONDS: Final = 5.0
"""After processes broke, until new ones are made."""


class NotLoaded(Exception):
    """A model that is not there or cannot be used. Says why; holds no text of a request."""


class TooLate(Exception):
    """Not done within its time."""


class ProcessPool:
    """`processes` that are made when they are needed, each begun with `begin`.

    `name` is what messages call it; exceptions of the kinds in `told` are the work's own and are
    passed on. Call `close` at the end."""

    def __init__(
        self,
        name: str,
        processes: int,
        begin: Callable[[], None],
        told: tuple[type[Exception], ...] = (),
    ) -> None:
        self._name = name
        self._processes = processes
        self._begin = begin
        self._told = told
        self._executor: ProcessPoolExecutor | None = None
        self._not_before = 0.0

    def pids(self) -> list[int]:
        return list(self._executor._processes) if self._executor else []

    async def run(self, seconds: float, work: Callable[..., T], *arguments: Any) -> T:
        """What `work` returns in one of the processes. Raises one of `told`, DetectorMissing where
        a model does not load, or else DetectionFailed; none is chained, as frames hold text."""
        run = asyncio.get_running_loop().run_in_executor
        return await self._done(run(self._started(), work, *arguments), seconds)

    async def load(self, seconds: float, work: Callable[..., None], *arguments: Any) -> str | None:
        """Do `work` once for each process. What is wrong, or None."""
        run = asyncio.get_running_loop().run_in_executor
        try:
            executor = self._started()
            for one in [run(executor, work, *arguments) for _ in range(self._processes)]:
                await self._done(one, seconds)
        except DetectionFailed as problem:
            return str(problem)
        return None

    def close(self) -> None:
        """Stop taking work; what is at work ends by itself within its time."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None

    async def _done(self, work: asyncio.Future[T], seconds: float) -> T:
        try:
            await asyncio.wait({work}, timeout=seconds)
            if not work.done():
                raise DetectionFailed(f"{self._name}: not done after {seconds:g} seconds")
            problem = work.exception()
        finally:
            work.cancel()
        if problem is None:
            return work.result()
        if isinstance(problem, self._told):
            raise type(problem)(*problem.args)
        if isinstance(problem, BrokenProcessPool):
            self.close()
            self._not_before = asyncio.get_running_loop().time() + PAUSE_SECONDS
        kind = DetectorMissing if isinstance(problem, NotLoaded) else DetectionFailed
        raise kind(f"{self._name}: {_why(problem)}")

    def _started(self) -> ProcessPoolExecutor:
        if asyncio.get_running_loop().time() < self._not_before:
            raise DetectionFailed(f"{self._name}: its process ended; it starts again")
        if self._executor is None:
            self._executor = ProcessPoolExecutor(self._processes, get_context("spawn"), self._begin)
        return self._executor


def _why(problem: BaseException) -> str:
    if isinstance(problem, NotLoaded | TooLate):
        return str(problem) or "not done in its time"
    return type(problem).__name__


def begin() -> None:
    """Set a process up: Ctrl-C is for the gateway, and with the gateway it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raises TooLate inside of what takes longer, as soon as it is in Python again."""

    def stop(*_: object) -> None:
        raise TooLate

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
