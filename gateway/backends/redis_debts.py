"""What could not be booked while Redis was away: kept here, and tried again until it is.

Each debt can be paid twice without harm, as nobody knows whether the first time came through.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from redis.exceptions import ResponseError

from gateway import errors
from gateway.backends.redis_scripts import AWAY
from gateway.backends.redis_writes import LOGGER, refuses_writes
from gateway.quota.ledger import Record, Reservation
from gateway.quota.limit import Amounts

RETRY_SECONDS = 0.25


class Way(Enum):
    RESOLVE = "resolve"  # settle or release, which may have been done
    CHARGE = "charge"  # without a reservation


@dataclass(frozen=True, slots=True)
class Debt:
    """`record` None: the reservation leaves no trace."""

    way: Way
    reservation: Reservation
    used: Amounts
    record: Record | None
    now: float


class Debts:
    """`pay` books one; it raises one of AWAY or errors.Unavailable where that must be tried again.

    One that Redis answers with an error goes behind the others, but for those of its own id, which
    stay in order."""

    def __init__(self, pay: Callable[[Debt], Awaitable[None]]) -> None:
        self._pay = pay
        self._waiting: deque[Debt] = deque()
        self._more = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._is_closed = False  # a cancellation alone may get lost: see redis_unheard.py, Leaving

    def __len__(self) -> int:
        return len(self._waiting)

    def has(self, id: str) -> bool:
        """Whether something is still to be done for this reservation."""
        return any(debt.reservation.id == id for debt in self._waiting)

    def add(self, debt: Debt) -> None:
        self._waiting.append(debt)
        self._more.set()

    def start(self) -> None:
        self._work = asyncio.create_task(self._pay_all())

    async def aclose(self) -> tuple[Record, ...]:
        """What is owed without a reservation, and so in nobody's hands but the caller's then; the
        rest is left to its lease. Nothing is tried any more."""
        self._is_closed = True
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
        owed = tuple(
            debt.record
            for debt in self._waiting
            if debt.record is not None and debt.way is Way.CHARGE
        )
        self._waiting.clear()
        return owed

    async def _pay_all(self) -> None:
        while not self._is_closed:
            await self._more.wait()
            self._more.clear()
            while self._waiting and not self._is_closed:
                if not await self._pass():
                    await asyncio.sleep(RETRY_SECONDS)

    async def _pass(self) -> bool:
        """Try each once, or until Redis or the book is away; false where one failed."""
        failed: set[str] = set()
        for _ in range(len(self._waiting)):
            if self._is_closed:
                break
            debt = self._waiting[0]
            id = debt.reservation.id
            if id not in failed:
                try:
                    await self._pay(debt)
                except (ResponseError, ValueError, KeyError) as error:  # rows that are no entries
                    if refuses_writes(error):
                        return False
                    logging.getLogger(LOGGER).error(
                        f"The use of {id} cannot be booked; it is tried again. "
                        f"{type(error).__name__}"
                    )
                    failed.add(id)
                except (*AWAY, errors.Unavailable):
                    return False
            self._waiting.popleft()
            if id in failed:
                self._waiting.append(debt)
        return not failed
