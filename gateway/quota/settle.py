"""The verbs settle and release: resolve a reservation, exactly once.

Both run to their end when the caller is cancelled meanwhile, and the cancellation goes on after
that: a client that leaves must not leave a reservation half resolved. Both raise AlreadyResolved
where the reservation was resolved before, by its expiry for instance: then its record is in the
book already, and this one was not appended. The caller logs that; the client is not told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import TypeVar

from gateway.quota.ledger import Ledger, Record, Reservation, Standing
from gateway.quota.limit import Amounts

T = TypeVar("T")


async def settle(
    ledger: Ledger, reservation: Reservation, used: Amounts, record: Record, now: float
) -> tuple[Standing, ...]:
    """Book what was used in place of what was reserved, and append the record.

    How the claims stand then. `now` is unix seconds. Raises AlreadyResolved."""
    return await to_the_end(ledger.settle(reservation, used, record, now))


async def release(
    ledger: Ledger, reservation: Reservation, record: Record | None, now: float
) -> tuple[Standing, ...]:
    """Give back everything, as nothing was used, and append the record, if there is one.

    How the claims stand then. `now` is unix seconds. Raises AlreadyResolved."""
    return await to_the_end(ledger.release(reservation, record, now))


async def to_the_end(work: Coroutine[None, None, T]) -> T:
    """Await `work`, all of it, also when the caller is cancelled meanwhile; that goes on then."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):  # the first one goes on, once
                await asyncio.wait((task,))
        if not task.cancelled() and (error := task.exception()) is not None:
            raise asyncio.CancelledError from error
        raise
