"""Long work on a thread beside requests, such that these hardly notice.

Python runs one thread at a time. One that computes gives way every few milliseconds, which is a
wait that a request meets at each of its steps; and a garbage collection that walks over some
100,000 new objects lets nobody run meanwhile, for some 100 ms.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Thread
from typing import TypeVar

T = TypeVar("T")

GIVE_WAY_SECONDS = 0.0005


@contextmanager
def beside_requests() -> Iterator[None]:
    """While this lasts, a thread gives way more often, and garbage is not looked for (what
    is in no circle is freed all the same). Not to be nested."""
    interval, collects = sys.getswitchinterval(), gc.isenabled()
    sys.setswitchinterval(GIVE_WAY_SECONDS)
    gc.disable()
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        if collects:
            gc.enable()


def keep_out_of_collections(*, whole: bool = True) -> None:
    """What was built until now lives long: no collection walks over it. `whole`: look for garbage
    everywhere first, which holds up every request; else only among what is new."""
    gc.collect(2 if whole else 1)
    gc.freeze()


async def in_own_thread(work: Callable[[], T]) -> T:
    """What `work` returns or raises, from a thread that nobody waits for at the end of the process:
    one that hangs, as in a file of a dead network disk, keeps no process from ending."""
    outcome = _Outcome[T]()

    def run() -> None:
        with outcome:
            outcome.set_result(work())

    outcome.set_running_or_notify_cancel()
    Thread(target=run, name="own", daemon=True).start()
    return await asyncio.wrap_future(outcome)


class _Outcome(Future[T]):
    """Of a block that sets the result: what it raises, whatever that is."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, problem: BaseException | None, tb: object) -> bool:
        if problem is not None:
            self.set_exception(problem)
        return True
