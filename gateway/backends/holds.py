"""Reservations on their way into the table, and who waits for each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from gateway.backends.sql_book import Hold
from gateway.errors import Unavailable
from gateway.quota.ledger import Generations

HOLDS_MIN = 32  # so many share a commit well enough
TURNS_MAX = 4  # of the loop, that a hold waits for others
Told = Generations | str  # or why it is not held


class Holds:
    """Some wait for the next group, some are in the group that is being committed."""

    def __init__(self) -> None:
        self._waiting: dict[Hold, asyncio.Future[Told]] = {}
        self._working: dict[Hold, asyncio.Future[Told]] = {}

    def add(self, hold: Hold) -> asyncio.Future[Told]:
        """What the hold comes to; it waits for the next group."""
        self._waiting[hold] = told = asyncio.get_running_loop().create_future()
        return told

    def withdraw(self, hold: Hold) -> bool:
        """Nobody wants it any more. Whether there may be a row of it."""
        return self._waiting.pop(hold, None) is None

    async def gather(self) -> None:
        """On a busy loop each turn brings more: let them come, as a group shares one commit."""
        for _ in range(TURNS_MAX):
            before = len(self._waiting)
            if not 0 < before < HOLDS_MIN:
                return
            await asyncio.sleep(0)
            if len(self._waiting) == before:
                return

    def begin(self) -> tuple[Hold, ...]:
        """The next group: all that wait. Everything of the last one was told."""
        self._working, self._waiting = self._waiting, {}
        return tuple(self._working)

    def tell(self, holds: Iterable[Hold], told: Told) -> None:
        """What became of these, which are in the group."""
        for hold in holds:
            future = self._working.pop(hold)
            if not future.done():  # else it was cancelled
                future.set_result(told)

    def fail(self, why: str) -> list[str]:
        """None of them all is held. The ids of those of which there may be a row."""
        maybe = [hold.id for hold in self._working]
        self._working |= self._waiting
        self._waiting = {}
        self.tell(list(self._working), why)
        return maybe


def cannot_hold(why: str) -> Unavailable:
    """What whoever wants to reserve is told."""
    return Unavailable(why, code="ledger_unavailable")
