"""Which version the tables have, and how they come to ours. Alembic does the work, quietly; where
there is none, it is not even imported, which saves a process 12 MB.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from gateway.backends.database_problem import DatabaseProblem
from gateway.backends.sql_partitions import DDL_LOCK, Ahead, make_ahead
from gateway.backends.tables import micros

POSTGRES_LOCK_SECONDS = 60


class SchemaState(StrEnum):
    UP_TO_DATE = "up-to-date"
    BEHIND = "behind"
    NEWER = "newer"  # written by a newer version of the gateway
    EMPTY = "empty"


_SENTENCES = {
    SchemaState.BEHIND: "The database has the tables of an older version; run `gateway migrate`.",
    SchemaState.NEWER: "The database was written by a newer version; upgrade the gateway.",
    SchemaState.EMPTY: "The database has no tables yet; run `gateway migrate`.",
}


def sentence_of(state: SchemaState) -> str | None:
    """What is wrong and what to do, or None where nothing is."""
    return _SENTENCES.get(state)


def migrations_folder() -> Path:
    """In an installed wheel beside the package's modules, in a checkout beside the package."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


@dataclass(frozen=True, slots=True)
class Revisions:
    """The versions of the tables that this version of the gateway knows, and its own."""

    known: frozenset[str]
    head: str


def read_revisions() -> Revisions:
    """Those of the migration scripts, by which their names begin: one follows the other."""
    scripts = (migrations_folder() / "versions").glob("[0-9]*.py")
    known = frozenset(script.name.partition("_")[0] for script in scripts)
    return Revisions(known, max(known))


def check(connection: Connection, revisions: Revisions) -> SchemaState:
    """The state of the tables, by Alembic's own. Only reads."""
    current = set()
    if inspect(connection).has_table("alembic_version"):
        current = set(connection.scalars(text("SELECT version_num FROM alembic_version")))
    if not current:
        return SchemaState.EMPTY
    if not revisions.known.issuperset(current):
        return SchemaState.NEWER
    return SchemaState.UP_TO_DATE if current == {revisions.head} else SchemaState.BEHIND


def check_writable(connection: Connection, revisions: Revisions) -> SchemaState:
    """The state of the tables, and whether they can be written to: a database that can only be
    read looks healthy until somebody tries. What it tries is undone.

    Raises DatabaseProblem or the driver's error."""
    if connection.dialect.name == "postgresql":
        if connection.scalar(text("SHOW transaction_read_only")) == "on":
            raise DatabaseProblem(
                "The database is read-only; name the primary in GATEWAY_DATABASE_URL."
            )
    else:
        version = connection.exec_driver_sql("PRAGMA user_version").scalar()
        connection.exec_driver_sql(f"PRAGMA user_version = {version}")
    state = check(connection, revisions)
    if transaction := connection.get_transaction():
        transaction.rollback()
    return state


def upgrade(connection: Connection) -> Ahead:
    """Every missing migration, in the transaction of the connection: all or none. Then the
    partitions of the next months, as far as they can be had.

    One process at a time: SQLite's write lock, or an advisory lock of Postgres that ends with the
    transaction. Raises DatabaseProblem for the tables of a newer version."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = '{POSTGRES_LOCK_SECONDS}s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": DDL_LOCK})
    state = check(connection, read_revisions())
    if state is SchemaState.NEWER:
        raise DatabaseProblem(_SENTENCES[state])
    if state is not SchemaState.UP_TO_DATE:
        _run_migrations(connection)
    if connection.dialect.name != "postgresql":
        return Ahead()
    now = connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
    return make_ahead(connection, micros(float(now)))


def _run_migrations(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
