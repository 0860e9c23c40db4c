"""What entries need by the calendar, beside requests: old ones go, a month or a batch at a time
(`GATEWAY_ENTRIES_KEPT_DAYS`), and on Postgres the partitions of the next months are made."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial

from gateway.backends.database import Database
from gateway.backends.database_problem import DatabaseProblem
from gateway.backends.sql_partitions import make_ahead
from gateway.backends.sql_prune import SqlPrune, SumsDiffer
from gateway.backends.tables import micros
from gateway.parts import Parts
from gateway.policy.kept import first_need
from gateway.usage.rollup import Span

PRUNE_SECONDS = 3600.0
PRUNE_PAUSE_SECONDS = 0.05  # after each batch, for those who write
PARTITIONS_SECONDS = 3600.0
PARTITIONS_AGAIN_SECONDS = 30.0  # where somebody else was at it, or the database away


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
                async for gone in batches:
                    parts.log.info("entries_pruned", count=gone.entries, partition=gone.partition)
                    await asyncio.sleep(PRUNE_PAUSE_SECONDS)
            parts.meters.degraded.labels("retention").set(0)
        except (DatabaseProblem, SumsDiffer) as problem:
            parts.meters.degraded.labels("retention").set(1)
            parts.log.error("retention_failed", problem=str(problem) or "the kept sums differ")
        await asyncio.sleep(PRUNE_SECONDS)
    await asyncio.Event().wait()


async def make_partitions_forever(parts: Parts, database: Database) -> None:
    """Have a partition for each of the next months long before its first entry. Where one cannot be
    had, entries go to the default partition, so that is said, and nothing waits for it."""
    told = ""
    while True:
        try:
            ahead = await database.write(partial(make_ahead, now=micros(parts.clock())))
        except DatabaseProblem:  # readiness and the journal tell it
            await asyncio.sleep(PARTITIONS_AGAIN_SECONDS)
            continue
        for month in ahead.made:
            parts.log.info("partition_made", partition=month)
        if (complaint := ahead.complaint()) and complaint != told:
            parts.log.warning("partition_lacking", text=complaint)
        told = complaint
        await asyncio.sleep(PARTITIONS_AGAIN_SECONDS if ahead.busy else PARTITIONS_SECONDS)
