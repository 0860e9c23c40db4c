"""What the commands that work on the database share: settings, the open database, sentences."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from gateway.backends.database import Database
from gateway.backends.database_problem import DatabaseProblem, DataRefused
from gateway.backends.redis_generation import tell
from gateway.backends.sql_book import generations_of
from gateway.cli.console import EXIT_UNAVAILABLE, EXIT_USAGE, CommandError
from gateway.errors import Unavailable
from gateway.settings import Settings, SettingsError, load
from gateway.usage.report import QuestionError

T = TypeVar("T")

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        help="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME [GATEWAY_DATABASE_URL]",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def settings_for(database_url: str | None, **flags: str | None) -> Settings:
    """Settings from the flags and the environment. Raises CommandError."""
    try:
        return load({"database_url": database_url, **flags})
    except SettingsError as problem:
        raise CommandError(str(problem), EXIT_USAGE) from None


def with_database(
    settings: Settings, work: Callable[[Database], Awaitable[T]], *, writes: bool = False
) -> T:
    """What `work` returns for the database, which has the tables of this version.

    What only reads works also while another process writes.

    Raises CommandError wherever it cannot be used, and where it refuses a value."""

    async def main() -> T:
        database = Database(settings.database_url, 1)
        try:
            if trouble := await database.trouble(writable=writes):
                raise CommandError(trouble, EXIT_UNAVAILABLE)
            return await work(database)
        finally:
            await database.aclose()

    try:
        return asyncio.run(main())
    except DatabaseProblem as problem:
        raise CommandError(str(problem), EXIT_UNAVAILABLE) from None
    except DataRefused:
        raise CommandError("A value that was given is not valid text for the database.") from None


def announce(settings: Settings, *, repeatable: bool) -> None:
    """Tell every replica, by way of Redis, that keys or grants were changed, after that was
    committed and shown. `repeatable`: the command may be run again and does nothing twice.

    Raises CommandError where Redis cannot be told."""
    if settings.redis_url is None:
        return
    generation = with_database(settings, generations_of).access
    try:
        asyncio.run(tell(settings.redis_url, generation))
    except Unavailable as trouble:
        advice = (
            "or at once when this command is run again" if repeatable
            else "so do not run this command again"
        )  # fmt: skip
        raise CommandError(
            f"The change is in the database, but the replicas could not be told of it: "
            f"{trouble.message} It reaches each of them within some seconds of Redis being "
            f"back, {advice}.",
            EXIT_UNAVAILABLE,
        ) from None


def asked(read: Callable[[], T]) -> T:
    """What `read` makes of an option, or its complaint as a CommandError."""
    try:
        return read()
    except QuestionError as problem:
        raise CommandError(f"{str(problem)[0].upper()}{str(problem)[1:]}.", EXIT_USAGE) from None
