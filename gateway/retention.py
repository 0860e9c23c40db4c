"""Old entries go, a batch at a time, beside requests (`GATEWAY_ENTRIES_KEPT_DAYS`)."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from gateway.backends.database import Database
from gateway.backends.database_problem import DatabaseProblem
from gateway.backends.sql_prune import SqlPrune, SumsDiffer
from gateway.backends.tables import micros
from gateway.parts import Parts
from gateway.policy.kept import first_need
from gateway.usage.rollup import Span

PRUNE_SECONDS = 3600.0
PRUNE_PAUSE_SECONDS = 0.05  # after each batch, for those who write


async def prune_forever(parts: Parts, database: Database) -> None:
    """Delete entries of months that are older than they are to be kept."""
    days = parts.settings.entries_kept_days
    while days:
        now = parts.clock()
        need = first_need(parts.policies.current, now)
        begin = min(now - days * 86400, now if need is None else need.since)
        try:
            async with aclosing(
                SqlPrune(database).prune(Span.MONTH.start(micros(max(0.0, begin))))
            ) as batches:
                async for count in batches:
                    parts.log.info("entries_pruned", count=count)
                    await asyncio.sleep(PRUNE_PAUSE_SECONDS)
            parts.meters.degraded.labels("retention").set(0)
        except (DatabaseProblem, SumsDiffer) as problem:
            parts.meters.degraded.labels("retention").set(1)
            parts.log.error("retention_failed", problem=str(problem) or "the kept sums differ")
        await asyncio.sleep(PRUNE_SECONDS)
    await asyncio.Event().wait()
