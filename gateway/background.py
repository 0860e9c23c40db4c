"""What runs beside requests, and for as long as they do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from gateway.logs.log import place_of
from gateway.parts import Parts

PAUSE_SECONDS: Final = 5.0
"""Until work that ended is begun again, and until it is believed to go on."""


async def kept_up(part: str, work: Callable[[], Coroutine[Any, Any, None]], parts: Parts) -> None:
    """Do `work`, which never ends by itself, and begin it again whenever it did. Until it has gone
    on for PAUSE_SECONDS after that, readiness and `gateway_degraded` say so."""
    while True:
        task = asyncio.create_task(work())
        await done_with(task, PAUSE_SECONDS)
        if not task.done():
            if parts.state.ended.pop(part, None):
                parts.meters.degraded.labels("background").set(1 if parts.state.ended else 0)
                parts.log.info("background_work_goes_on", part=part)
            await done_with(task)
        fault = fault_of(task)
        parts.state.ended[part] = f"ended: {type(fault).__name__ if fault else 'of itself'}"
        parts.meters.degraded.labels("background").set(1)
        where = place_of(fault) if fault else {}
        parts.log.error("background_work_ended", part=part, **where)
        await asyncio.sleep(PAUSE_SECONDS)


def fault_of(task: asyncio.Task[Any]) -> BaseException | None:
    """What ended a task that is done. Of one that its owner did not cancel, a CancelledError from
    inside (somebody cancelled what it waited for) is a fault like any other."""
    try:
        return task.exception()
    except asyncio.CancelledError as cancelled:
        return cancelled


async def done_with(task: asyncio.Task[Any], seconds: float | None = None) -> None:
    """Wait for its end, whatever that is, or for so long. Whoever is cancelled here takes the task
    along."""
    try:
        await asyncio.wait([task], timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait([task])
        raise
