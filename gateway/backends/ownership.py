"""Who may hold reservations in a database: one embedded ledger, or the ledger in Redis.

Two things stand for it. A lock that ends with the process keeps a second gateway from starting by
mistake: a locked file beside an SQLite database, an advisory lock in Postgres. And a word in the
table `state`, which every transaction that holds looks at, keeps one that lost its lock (a server
that restarted, a network that was cut) from holding anything that nobody would resolve.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, exc, select, text

from gateway.backends.database import Database
from gateway.backends.database_problem import DatabaseProblem
from gateway.backends.entry_json import decode
from gateway.backends.sql_book import become_owner, drop_held, insert_entries
from gateway.backends.tables import reservations
from gateway.usage.entry import Entry

REDIS = "redis"  # the owner of a database whose ledger is in Redis
LOGGER = "gateway.journal"
_TAKEN = (
    "is in use by another gateway; stop that one, or set GATEWAY_REDIS_URL at both, so that they "
    "share one account."
)
_POSTGRES_LOCK = 0x6C656467  # "ledg": any number, but the same in every version


class Ownership:
    """`take` it, `release` it; `owner` is a word that no other process has (random)."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner
        self._file: int | None = None
        self._connection: Connection | None = None

    async def take(self) -> list[Entry]:
        """Take the database for this process, and book what was left open; the entries of that.

        Raises DatabaseProblem, also where another gateway has it."""
        await self._lock()
        try:
            return await self._database.write(lambda c: _take_over(c, self._owner))
        except BaseException:
            await self.release()
            raise

    async def keep(self) -> None:
        """After trouble: a Postgres that was away has forgotten the lock, so lock again. Where
        that fails it is logged: the word in the table still tells who may hold.

        Runs to its end when it is cancelled, so that no connection is left behind."""
        if self._database.file is not None:
            return
        keeping = asyncio.ensure_future(self._keep_connection())
        try:
            await asyncio.shield(keeping)
        except asyncio.CancelledError:
            await keeping
            raise

    async def _keep_connection(self) -> None:
        try:
            if self._connection is None or not await asyncio.to_thread(_alive, self._connection):
                await self.release()
                await self._lock()
        except DatabaseProblem as problem:
            logging.getLogger(LOGGER).warning(str(problem))

    async def release(self) -> None:
        """Let another process have it. May be called twice."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._connection is not None:
            await asyncio.to_thread(_close, self._connection)
            self._connection = None

    async def _lock(self) -> None:
        file = self._database.file
        if file is not None:
            self._file = _locked_file(file.resolve())
        else:
            self._connection = await self._database.lend(_lock_postgres)


async def share(database: Database) -> list[Entry]:
    """Give the database to the ledger in Redis, which many processes share: an embedded one that
    still runs holds nothing any more, and what was left open is booked; the entries of that.

    Raises DatabaseProblem."""
    return await database.write(lambda connection: _take_over(connection, REDIS))


def _take_over(connection: Connection, owner: str) -> list[Entry]:
    """From the end of this transaction on, only the owner may hold; what is held is booked.

    A row that cannot be read is logged and stays as it is."""
    become_owner(connection, owner)
    booked: dict[str, Entry] = {}
    for id, held in connection.execute(select(reservations.c.id, reservations.c.entry)).all():
        try:
            booked[id] = decode(held)
        except ValueError as problem:
            logging.getLogger(LOGGER).error(
                f"The open reservation {id} cannot be read ({problem}); it is not booked, and "
                "stays in the table reservations."
            )
    entries = list(booked.values())
    insert_entries(connection, entries)
    drop_held(connection, booked)
    return entries


def _locked_file(database: Path) -> int:
    lock = database.with_name(f"{database.name}.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DatabaseProblem(
            f"The file {lock} cannot be made: {error.strerror}; let this user write there."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise DatabaseProblem(f"The database file {database} {_TAKEN}") from None
    except OSError as error:
        os.close(descriptor)
        raise DatabaseProblem(
            f"The file {lock} cannot be locked: {error.strerror}; put the database on a local disk."
        ) from error
    return descriptor


def _lock_postgres(connection: Connection) -> Connection:
    """The connection, in a transaction that has the lock. It lasts as long as the gateway, so that
    PgBouncer leaves the connection to us; it has no snapshot, and so keeps no vacuum waiting."""
    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    took = text("SELECT pg_try_advisory_xact_lock(:key)")
    if not connection.scalar(took, {"key": _POSTGRES_LOCK}):
        raise DatabaseProblem(f"The database {connection.engine.url.database} {_TAKEN}")
    return connection


def _alive(connection: Connection) -> bool:
    try:
        connection.execute(text("SELECT 1"))
    except exc.SQLAlchemyError:
        return False
    return True


def _close(connection: Connection) -> None:
    with suppress(exc.SQLAlchemyError):  # it broke, and the lock is gone already
        connection.close()
