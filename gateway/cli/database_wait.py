"""Before anything is served: the database is there and has the tables that this version needs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.backends.database import Database
from gateway.backends.database_problem import DatabaseProblem
from gateway.backends.schema import SchemaState
from gateway.parts import Log
from gateway.settings import PREFIX, Settings

LOOK_SECONDS: Final = 1.0
TELL_SECONDS: Final = 10.0
"""How often a wait is told of, where its reason stays the same."""
NEWER = (
    "The database has the tables of a newer version. This version goes on with them, so that "
    "replicas can be replaced one by one; finish the upgrade."
)


async def prepare_database(settings: Settings, log: Log, waits_for: Callable[[str], None]) -> None:
    """An SQLite file is migrated. On a server that is a step of its own, which somebody else does:
    wait for it, and tell `waits_for` and the log what is missing.

    Raises DatabaseProblem where it is still missing after `database_wait_seconds`."""
    database = Database(settings.database_url, 1)
    try:
        if database.is_sqlite:
            await asyncio.to_thread(database.migrate)
            return
        await _usable(database, settings.database_wait_seconds, log, waits_for)
        if await database.check() is SchemaState.NEWER:
            log.warning("schema_newer", text=NEWER)
    finally:
        await database.aclose()


async def _usable(
    database: Database, wait_seconds: float, log: Log, waits_for: Callable[[str], None]
) -> None:
    clock = asyncio.get_running_loop().time
    began, told, tell_at = clock(), "", 0.0
    while trouble := await database.trouble(newer_will_do=True):
        waited = clock() - began
        if waited >= wait_seconds:
            raise DatabaseProblem(_given_up(trouble, wait_seconds))
        waits_for(trouble)
        if trouble != told or clock() >= tell_at:
            told, tell_at = trouble, clock() + TELL_SECONDS
            log.warning(
                "waiting_for_database", text=trouble, waited_seconds=round(waited),
                wait_seconds=wait_seconds,
            )  # fmt: skip
        await asyncio.sleep(min(LOOK_SECONDS, wait_seconds - waited))


def _given_up(trouble: str, wait_seconds: float) -> str:
    if wait_seconds == 0:
        return trouble
    return f"{trouble} ({PREFIX}DATABASE_WAIT_SECONDS={wait_seconds:g} are over.)"
