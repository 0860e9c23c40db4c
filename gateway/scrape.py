"""What is looked at when somebody asks for the meters, and costs requests nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final

from gateway.errors import Unavailable
from gateway.parts import Parts

LOOK_SECONDS: Final = 2.0
"""A part that has not said by then that it is well is degraded; a scrape does not wait longer."""


async def look(parts: Parts) -> None:
    """Set every meter that says how something stands just now."""
    meters, state = parts.meters, parts.state
    meters.observe_journal(parts.journal.state(parts.clock()))
    meters.inflight.set(state.inflight)
    meters.reservations_open.set(state.reserved)
    meters.ledger_owed.set(parts.ledger.owed())
    now = asyncio.get_running_loop().time()
    for upstream in parts.policies.current.upstreams:
        meters.circuit_state.set((upstream,), parts.circuits.state(upstream, now))
    ledger, schema = await asyncio.gather(
        _is_well(parts.ledger.generation()), _is_well(_trouble(parts, "schema"))
    )
    keeps = ledger and await _is_well(_trouble(parts, "ledger"))
    meters.degraded.labels("ledger").set(0 if keeps else 1)
    meters.degraded.labels("schema").set(0 if schema else 1)


async def _trouble(parts: Parts, part: str) -> None:
    check = parts.checks.get(part)
    if check is not None and (trouble := await check()):
        raise Unavailable(trouble, code="database_unavailable")


async def _is_well(look: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            await look
    except (TimeoutError, Unavailable):
        return False
    return True
