"""Accounts that many processes share through Redis, wired: the ledger and the journal there, the
book in SQL.

A room of its own, as a process that keeps its accounts alone needs nothing of it: 10 MB.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

from gateway.accounts import Accounts, Sources, tell_unwritten
from gateway.backends.database import Database
from gateway.backends.database_problem import DatabaseProblem, DataRefused
from gateway.backends.entry_json import encode
from gateway.backends.ownership import share
from gateway.backends.redis_book import PostedBook
from gateway.backends.redis_client import ERRORS, Client, RedisProblem, connect_or_single, look
from gateway.backends.redis_generation import newest, note_recounted, publish, recounted
from gateway.backends.redis_journal import RedisJournal
from gateway.backends.redis_ledger import RedisLedger
from gateway.backends.sql_book import Count, generations_of, move_on, post_behind, post_entries
from gateway.errors import Unavailable
from gateway.parts import Log
from gateway.settings import Settings
from gateway.usage.entry import Entry


class Changes:
    """How often something changed."""

    def __init__(self) -> None:
        self.count = 0

    def tell(self) -> None:
        self.count += 1


@asynccontextmanager
async def shared(
    settings: Settings, database: Database, sources: Sources, log: Log, count: Count
) -> AsyncIterator[Accounts]:
    """As `accounts.embedded`, together with other processes."""
    client, absent = await connect_or_single(
        settings.redis_url or "", settings.redis_timeout_seconds, settings.redis_connections
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(client.aclose)
        await _examine(client, absent, log)
        abandoned = await share(database)
        for entry in abandoned:
            count(entry)
        journal = RedisJournal(
            client,
            post=partial(post_entries, database, count=count),
            flush_seconds=settings.journal_flush_seconds,
            batch_max=settings.journal_batch_max,
            pending_max=settings.journal_pending_max,
            stream_entries_max=settings.stream_entries_max,
            clock=sources.clock,
            claim_seconds=settings.stream_claim_seconds,
            name=sources.random_bytes(8).hex(),
        )
        ledger = RedisLedger(client, PostedBook(database), encode)
        await journal.start()
        ledger.start()
        stack.push_async_callback(_paid, ledger, journal, database, log)
        rules = Changes()
        follow = partial(
            _follow_generations, settings, database, client, ledger, sources.clock, rules
        )
        accounts = Accounts(ledger, journal, len(abandoned), rules_changed=rules.tell)
        accounts.work["generation"] = follow
        yield accounts


async def _examine(client: Client, absent: RedisProblem | None, log: Log) -> None:
    """A Redis that is absent does not keep a gateway from starting: policies say what happens."""
    if absent is not None:
        log.error("redis_absent", text=str(absent))
        return
    trouble, warning = await look(client)
    if trouble is not None:
        raise DatabaseProblem(trouble)
    if warning is not None:
        log.warning("redis_forgets", text=warning)


async def _paid(ledger: RedisLedger, journal: RedisJournal, database: Database, log: Log) -> None:
    """The end: what Redis did not take goes into SQL at once, and what that does not take into the
    log. What is still reserved in Redis is left to its lease."""
    charged = [record for record in await ledger.aclose() if isinstance(record, Entry)]
    costless = list(await journal.aclose())
    unwritten = []
    for entries, post in ((charged, post_behind), (costless, post_entries)):
        try:
            unwritten += await post(database, entries) or [] if entries else []
        except (DatabaseProblem, DataRefused) as problem:
            log.error("database_unavailable", text=str(problem))
            unwritten += entries
    tell_unwritten(unwritten, log)


async def _follow_generations(
    settings: Settings,
    database: Database,
    client: Client,
    ledger: RedisLedger,
    clock: Callable[[], float],
    rules: Changes,
) -> None:
    """Pass on again and again, until this task is cancelled. The task itself is asked whether it
    was, as the client of Redis may swallow the cancellation that breaks its wait. Budgets are read
    again after each change of the rules, however late that can be."""
    task, recounted_at = asyncio.current_task(), rules.count
    while not (task and task.cancelling()):
        await asyncio.sleep(settings.generation_seconds)
        with suppress(DatabaseProblem, Unavailable, *ERRORS):
            await _pass_on(database, client, ledger, clock)
            if (count := rules.count) != recounted_at:
                await _recount(ledger, clock)
                recounted_at = count


async def _pass_on(
    database: Database, client: Client, ledger: RedisLedger, clock: Callable[[], float]
) -> None:
    """What commands changed in SQL: keys and grants, should the command not have come to it, and
    corrections, which counters do not know of. Raises DatabaseProblem, Unavailable, and one of
    ERRORS."""
    published = await newest(client)
    generations = await generations_of(database)
    access = generations.access
    if access < published:  # restored from a backup
        access = await database.write(partial(move_on, name="access", beyond=published))
    await publish(client, access)
    if generations.book != await recounted(client):
        await _recount(ledger, clock)
        await note_recounted(client, generations.book)


async def _recount(ledger: RedisLedger, clock: Callable[[], float]) -> None:
    for organization in await ledger.organizations():
        await ledger.recount(organization, clock())
