"""`gateway migrate`: make the tables, or bring them to this version; or wait until somebody has."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated

import typer

from gateway.backends.database import Database
from gateway.backends.database_problem import DatabaseProblem
from gateway.backends.schema import SchemaState, sentence_of
from gateway.cli.console import EXIT_UNAVAILABLE, CommandError, print_json, sentences
from gateway.cli.store import AsJson, DatabaseUrl, settings_for

LOOK_SECONDS = 1.0
PARTITION_TRIES = 10  # while others have the table in use
TIMEOUT_SECONDS_MAX = 86_400
EXIT_TERMINATED = 128 + signal.SIGTERM

_DONE = {
    SchemaState.EMPTY: "The tables were made.",
    SchemaState.BEHIND: "The tables were brought to this version.",
    SchemaState.UP_TO_DATE: "The tables are up to date.",
    SchemaState.NEWER: "The tables are those of a newer version already; nothing was changed.",
}

Wait = Annotated[
    bool,
    typer.Option(
        "--wait", help="Change nothing: wait until the tables are those of this version, or newer."
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout-seconds",
        min=0,
        max=TIMEOUT_SECONDS_MAX,
        help="With --wait: give up after that, with exit code 3.",
    ),
]


def migrate(
    database_url: DatabaseUrl = None,
    wait: Wait = False,
    timeout_seconds: Timeout = 300.0,
    as_json: AsJson = False,
) -> None:
    """Make the tables of the database, or bring them to this version; on Postgres also the
    partitions of the next months.

    Safe to run at any time and by several at once: all of it happens, or nothing."""
    with sentences():
        settings = settings_for(database_url)
        work = _waited if wait else _migrated
        try:
            before, after = asyncio.run(work(settings.database_url, timeout_seconds))
        except DatabaseProblem as problem:
            raise CommandError(str(problem), EXIT_UNAVAILABLE) from None
        except asyncio.CancelledError:
            raise CommandError("Told to stop, so it waits no longer.", EXIT_TERMINATED) from None
    if as_json:
        told = before and before.value  # None: the database could not be asked at first
        print_json({"before": told, "after": after.value})
    else:
        typer.echo(_DONE[after if wait or before is None else before])


States = tuple[SchemaState | None, SchemaState]
"""What the tables were at first, if that could be told, and what they are."""


def _will_do(state: SchemaState, database: Database) -> bool:
    """Tables of this version, or of a newer one on a server: there replicas of two versions work
    side by side in an upgrade or on the way back, as each migration works with the release before
    it. An SQLite file has one gateway."""
    is_newer = state is SchemaState.NEWER and not database.is_sqlite
    return is_newer or state is SchemaState.UP_TO_DATE


async def _migrated(url: str, _timeout_seconds: float) -> States:
    database = Database(url, 1)
    try:
        before = await database.check()
        has_partitions = before is SchemaState.UP_TO_DATE and not database.is_sqlite
        if _will_do(before, database) and not has_partitions:
            return before, before
        for _ in range(PARTITION_TRIES):
            ahead = await asyncio.to_thread(database.migrate)
            if not ahead.busy:
                break
            await asyncio.sleep(LOOK_SECONDS)
        if complaint := ahead.complaint():
            typer.echo(f"gateway: {complaint}", err=True)
        return before, await database.check()
    finally:
        await database.aclose()


async def _waited(url: str, timeout_seconds: float) -> States:
    """Why it waits is said once for each reason. A database that cannot be reached (yet) is waited
    for.

    Raises DatabaseProblem. Cancelled by SIGTERM: the first process of a container would not hear
    of it otherwise."""
    if task := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    told: list[str] = []
    database = Database(url, 1)
    try:
        async with asyncio.timeout(timeout_seconds):
            return await _until_current(database, told)
    except TimeoutError:
        why = told[-1] if told else "The database did not answer."
        raise DatabaseProblem(
            f"The tables are not those of this version after {timeout_seconds:g} seconds. {why}"
        ) from None
    finally:
        await database.aclose()


async def _until_current(database: Database, told: list[str]) -> States:
    seen: list[SchemaState | None] = []
    while True:
        state, why = await _looked(database)
        seen = seen or [state]
        if state and why is None:
            return seen[0], state
        if why and why not in told[-1:]:
            told.append(why)
            typer.echo(f"gateway: waiting. {why}", err=True)
        await asyncio.sleep(LOOK_SECONDS)


async def _looked(database: Database) -> tuple[SchemaState | None, str | None]:
    """The state, if it can be had, and why to wait on. Raises CommandError where no wait helps."""
    try:
        state = await database.check()
    except DatabaseProblem as problem:
        return None, str(problem)
    why = None if _will_do(state, database) else sentence_of(state)
    if why and state is SchemaState.NEWER:
        raise CommandError(why, EXIT_UNAVAILABLE)
    return state, why
