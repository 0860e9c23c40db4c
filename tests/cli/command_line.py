"""Commands as a terminal runs them, and the database that they use."""

import asyncio

from typer.testing import CliRunner

from gateway.backends.database import Database
from gateway.settings import Settings


def run(app, *words):
    return CliRunner().invoke(app, words, catch_exceptions=False)


def using(work):
    """What `work` does with the database of this folder."""

    async def main():
        database = Database(Settings().database_url, 1)
        try:
            return await work(database)
        finally:
            await database.aclose()

    return asyncio.run(main())


def complaint(result, exit_code, has_result=False):
    """What a command that failed said; `has_result`: it did something first, and showed it."""
    assert result.exit_code == exit_code, result.output
    assert bool(result.stdout) == has_result
    assert result.stderr.startswith("gateway: ")
    assert "Traceback" not in result.output
    return result.stderr
