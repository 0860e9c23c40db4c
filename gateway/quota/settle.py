"""The verbs settle and release: resolve a reservation, exactly once.

Both run to their end when the caller is cancelled meanwhile, and the cancellation goes on after
that: a client that leaves must not leave a reservation half resolved. Both raise AlreadyResolved
where the reservation was resolved before, by its expiry for instance: then its record is in the
book already, and this one was not appended. The caller counts that; the client is not told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

from gateway.quota.ledger import Ledger, Record, Reservation
from gateway.quota.limit import Amounts


async def settle(
    ledger: Ledger, reservation: Reservation, used: Amounts, record: Record, now: float
) -> None:
    """Book what was used in place of what was reserved, and append the record.

    `now` is unix seconds. Raises AlreadyResolved, and errors.Unavailable (ledger_unavailable)."""
    await _to_the_end(ledger.settle(reservation.id, used, record, now))


async def release(ledger: Ledger, reservation: Reservation, record: Record, now: float) -> None:
    """Give back everything, as nothing was used, and append the record.

    `now` is unix seconds. Raises AlreadyResolved, and errors.Unavailable (ledger_unavailable)."""
    await _to_the_end(ledger.release(reservation.id, record, now))


async def _to_the_end(work: Coroutine[None, None, None]) -> None:
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):  # the first one goes on, once
                await asyncio.wait((task,))
        if not task.cancelled() and (error := task.exception()) is not None:
            raise asyncio.CancelledError from error
        raise
