"""One database, SQLite or Postgres by its URL, used from a few threads off the event loop.

SQLAlchemy runs synchronously there: one tree of code, not a sync and an async twin.

Who writes all the time has a connection and a thread of its own on SQLite (`post`); on Postgres,
where the way to the server is what takes time, it writes as all do.

SQLite: WAL (readers and a writer do not wait for each other; the CLI may work beside the gateway),
`synchronous=FULL` (a commit outlives a power cut; writes come in batches, so that this costs one
fsync a batch), a busy timeout, foreign keys. A write transaction begins IMMEDIATE, as one that
first reads and then writes would fail at once, not wait, when another one wrote in between.

Postgres: psycopg 3, a pool as large as the threads, each connection tried before use, and no
prepared statements, so that PgBouncer may stand in between.
"""

from __future__ import annotations

import asyncio
import sqlite3
from asyncio import Future
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, exc, make_url
from sqlalchemy.engine import URL
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from gateway.backends import schema
from gateway.backends.database_problem import DatabaseProblem as DatabaseProblem
from gateway.backends.database_problem import DataRefused, explain, is_refusal
from gateway.backends.one_thread import OneThread
from gateway.backends.schema import Revisions, SchemaState
from gateway.backends.sqlite_link import SqliteLink

T = TypeVar("T")
SQLITE_BUSY_SECONDS = 5.0
POSTGRES_CONNECT_SECONDS = 5
POSTGRES_SILENCE_SECONDS = 15  # a peer that acknowledges nothing for so long is given up
_TROUBLE = (exc.SQLAlchemyError, sqlite3.Error, OverflowError, UnicodeError)
_WRITE = {"gateway_begin": "BEGIN IMMEDIATE"}
_POSTGRES_READ = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
_EXPECTED = "expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"


class Statements(Protocol):
    """A transaction that takes statements in the words of its driver: that of an SQLAlchemy
    connection, or of a connection that is kept."""

    @property
    def dialect(self) -> Any: ...

    def exec_driver_sql(self, statement: str, given: Any = ..., /) -> Any: ...


class Database:
    """Transactions on a pool of `threads` threads. Raises DatabaseProblem wherever the database
    cannot be used, with a sentence that says what to do, and DataRefused for what it will not
    store."""

    def __init__(self, url: str, threads: int) -> None:
        self.url = _parsed(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._make = _sqlite if self.is_sqlite else _postgres
        self._engine = self._make(self.url, pool_size=threads, max_overflow=0)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="database")
        self._link = SqliteLink(self._connected)
        self._writer = OneThread("database writer", (DatabaseProblem, DataRefused))
        self._closed = False

    async def read(self, query: Callable[[Connection], T]) -> T:
        """`query` in one read-only transaction that sees one moment of the database."""
        return await self._run(query, {} if self.is_sqlite else _POSTGRES_READ)

    async def write(self, change: Callable[[Connection], T]) -> T:
        """`change` in one transaction, committed when this returns. If it raises, the transaction
        is undone, but where the connection broke at the commit it may have been done."""
        return await self._run(change, _WRITE)

    def post(self, change: Callable[[Statements], T]) -> Future[T]:
        """As `write`, cheaper where it is called again and again; one call after the other."""
        if self._closed:
            refused: Future[T] = asyncio.get_running_loop().create_future()
            refused.set_exception(_closed())
            return refused
        return self._writer.run(partial(self._posted, change))

    async def lend(self, prepare: Callable[[Connection], T]) -> T:
        """`prepare` with a connection that is in no pool: whoever keeps it closes it. If `prepare`
        raises, it is closed."""
        return await self._on_thread(self._lent, prepare)

    async def check(self, *, writable: bool = False) -> SchemaState:
        """Whether the tables are those of this version; if `writable`, and can be written to.

        What only reads waits for no writer, and is cheap enough for a probe."""
        if self.is_sqlite and not _file_of(self.url).exists():
            return SchemaState.EMPTY
        if writable:
            return await self.write(lambda c: schema.check_writable(c, self._revisions))
        return await self.read(lambda c: schema.check(c, self._revisions))

    async def trouble(
        self, *, writable: bool = True, newer_will_do: bool = False, away_will_do: bool = False
    ) -> str | None:
        """A sentence about what keeps the database from being used (if not `writable`: from being
        read), or None. Tables of a newer version will do for who has to go on while replicas are
        replaced one by one: each migration works with the release before it. That it is away will
        do for who keeps accounts without it for a time."""
        try:
            state = await self.check(writable=writable)
        except DatabaseProblem as problem:
            return None if away_will_do else str(problem)
        return None if newer_will_do and state is SchemaState.NEWER else schema.sentence_of(state)

    async def time(self) -> float:
        """Unix seconds, by the clock of the database's machine."""
        statement = (
            "SELECT (julianday('now') - 2440587.5) * 86400" if self.is_sqlite
            else "SELECT extract(epoch FROM clock_timestamp())"
        )  # fmt: skip
        return float(await self.read(lambda c: c.exec_driver_sql(statement).scalar_one()))

    def migrate(self) -> None:
        """Bring the tables to this version, on the caller's thread; any number of processes may do
        so at once, and the wait of one for another is bounded.

        Makes the folder of an SQLite file. Raises DatabaseProblem also where the tables were
        written by a newer version."""
        if self.is_sqlite:
            folder = _file_of(self.url).parent
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise DatabaseProblem(
                    f"The folder {folder} of the database cannot be made: {error.strerror}."
                ) from error
        self._transaction(schema.upgrade, _WRITE)

    @property
    def file(self) -> Path | None:
        """Of SQLite; None where the database is on a server."""
        return _file_of(self.url) if self.is_sqlite else None

    async def aclose(self) -> None:
        """Wait for what is being done, then close every connection."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(self._writer.end)
        self._link.close()
        self._engine.dispose()

    @cached_property
    def _revisions(self) -> Revisions:
        return schema.read_revisions()

    async def _run(self, work: Callable[[Connection], T], options: Mapping[str, Any]) -> T:
        return await self._on_thread(self._transaction, work, options)

    async def _on_thread(self, function: Callable[..., T], *given: Any) -> T:
        if self._closed:
            raise _closed()
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *given)

    def _posted(self, change: Callable[[Statements], T]) -> T:
        if not self.is_sqlite:
            return self._transaction(change, _WRITE)
        try:
            return self._link.write(change)
        except _TROUBLE as error:
            raise self._told(error) from error

    def _connected(self) -> sqlite3.Connection:
        """A connection that is set up as all are, without what SQLAlchemy keeps about it."""
        link = self._make(self.url, poolclass=NullPool).raw_connection()
        connection = link.dbapi_connection
        link.detach()
        assert isinstance(connection, sqlite3.Connection)
        return connection

    def _transaction(self, work: Callable[[Connection], T], options: Mapping[str, Any]) -> T:
        with self._explained(), self._engine.connect() as connection:
            connection = connection.execution_options(**options)
            with connection.begin():
                return work(connection)

    def _lent(self, prepare: Callable[[Connection], T]) -> T:
        with self._explained(), ExitStack() as stack:
            alone = self._make(self.url, poolclass=NullPool)
            prepared = prepare(stack.enter_context(alone.connect()))
            stack.pop_all()
            return prepared

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What a driver raises, as what this class promises."""
        try:
            yield
        except _TROUBLE as error:
            raise self._told(error) from error

    def _told(self, error: Exception) -> DatabaseProblem | DataRefused:
        if is_refusal(error):
            return DataRefused(type(error).__name__)
        return DatabaseProblem(explain(error, self.url))


def _closed() -> DatabaseProblem:
    return DatabaseProblem("The database was closed.")


def _parsed(text: str) -> URL:
    try:
        url = make_url(text)
    except (exc.ArgumentError, ValueError):
        raise DatabaseProblem(f"The database URL cannot be read; {_EXPECTED}.") from None
    if url.get_backend_name() in ("postgres", "postgresql"):
        if not url.database:
            raise DatabaseProblem(f"The database URL names no database; {_EXPECTED}.")
        return url.set(drivername="postgresql+psycopg")
    if url.drivername != "sqlite":
        raise DatabaseProblem(f"A {url.drivername} database cannot be used; {_EXPECTED}.")
    if not url.database or url.database == ":memory:":
        raise DatabaseProblem(
            "A database in memory would forget keys and usage with every restart; "
            "expected sqlite:///FILE."
        )
    return url


def _file_of(url: URL) -> Path:
    return Path((url.database or "").removeprefix("file:"))


def _sqlite(url: URL, **pool: Any) -> Engine:
    engine = create_engine(url, **pool, connect_args={"timeout": SQLITE_BUSY_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where sqlite3 guesses
    cursor = connection.cursor()
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("gateway_begin", "BEGIN"))


def _postgres(url: URL, **pool: Any) -> Engine:
    return create_engine(
        url,
        **pool,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": POSTGRES_CONNECT_SECONDS,
            "prepare_threshold": None,
            "application_name": "completion-gateway",
            "keepalives_idle": 30,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": POSTGRES_SILENCE_SECONDS * 1000,
        },
    )
