"""How a reservation is resolved: to the end, whatever becomes of the request.

The ledger's `settle` and `release` are run so: a client that leaves must not leave a reservation
half resolved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


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
