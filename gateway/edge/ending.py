"""How far the end of this process has come, and waiting for that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Ending:
    """`asked`: this process is to end, and lets its requests finish. `hurried`: they shall not be
    waited for."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    hurried: asyncio.Event = field(default_factory=asyncio.Event)

    def ask(self) -> None:
        """As SIGTERM does. Again it changes nothing: an orchestrator may say it twice."""
        self.asked.set()

    def interrupt(self) -> None:
        """As Ctrl-C does: the first asks, or hurries what was asked for already."""
        if self.asked.is_set():
            self.hurried.set()
        self.asked.set()

    @asynccontextmanager
    async def unless_asked(self) -> AsyncIterator[None]:
        """What is inside is left, wherever it waits, as soon as the end is asked for."""
        task = asyncio.current_task()
        assert task is not None

        async def watch() -> None:
            await self.asked.wait()
            task.cancel()

        watcher = asyncio.create_task(watch())
        try:
            yield
        except asyncio.CancelledError:
            if not self.asked.is_set():
                raise
        finally:
            watcher.cancel()
            if self.asked.is_set():
                with suppress(asyncio.CancelledError):  # should it have been cancelled just now
                    await asyncio.sleep(0)


async def first_of(
    run: asyncio.Task[Any], event: asyncio.Event, *, seconds: float | None = None
) -> None:
    """Wait for the end of the task, the event or the time, whichever is first."""
    heard = asyncio.ensure_future(event.wait())
    await asyncio.wait({run, heard}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    heard.cancel()
