"""`gateway migrate`: make the tables, or bring them to this version."""

from __future__ import annotations

import asyncio

import typer

from gateway.backends.database import Database
from gateway.backends.database_problem import DatabaseProblem
from gateway.backends.schema import SchemaState
from gateway.cli.console import EXIT_UNAVAILABLE, CommandError, print_json, sentences
from gateway.cli.store import AsJson, DatabaseUrl, settings_for

_DONE = {
    SchemaState.EMPTY: "The tables were made.",
    SchemaState.BEHIND: "The tables were brought to this version.",
    SchemaState.UP_TO_DATE: "The tables are up to date.",
}


def migrate(database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Make the tables of the database, or bring them to this version.

    Safe to run at any time and by several at once: all of it happens, or nothing."""
    with sentences():
        settings = settings_for(database_url)
        try:
            before, after = asyncio.run(_migrated(settings.database_url))
        except DatabaseProblem as problem:
            raise CommandError(str(problem), EXIT_UNAVAILABLE) from None
    if as_json:
        print_json({"before": before.value, "after": after.value})
    else:
        typer.echo(_DONE[before])


async def _migrated(url: str) -> tuple[SchemaState, SchemaState]:
    database = Database(url, 1)
    try:
        before = await database.check()
        await asyncio.to_thread(database.migrate)
        return before, await database.check()
    finally:
        await database.aclose()
