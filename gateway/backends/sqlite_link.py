"""One connection to an SQLite file that is kept, for who writes all the time.

SQLAlchemy takes some 50 µs for a statement, and as much again to lend a connection and begin; the
driver alone takes 5. Where a request waits for a commit, that is most of what it waits for but
the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from sqlite3 import Connection, Cursor, Error
from types import SimpleNamespace
from typing import Any, TypeVar

T = TypeVar("T")
CHANGES_MAX = 4000  # rows; some 14 MB of log
LOG_PAGES_MAX = 10_000  # then whatever is committed moves them


class SqliteLink:
    """What the transactions of the book use of an SQLAlchemy connection. One thread at a time."""

    dialect = SimpleNamespace(name="sqlite")

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._moved = 0  # of all changes, those that the log has no more

    def exec_driver_sql(self, statement: str, given: Any = ()) -> Cursor:
        """`given`: the parameters; or a list of them, and the statement is done for each."""
        connection = self._connected()
        if not connection.in_transaction:
            connection.execute("BEGIN IMMEDIATE")
        if not isinstance(given, list):
            return connection.execute(statement, given)
        if len(given) == 1:
            return connection.execute(statement, given[0])
        return connection.executemany(statement, given)

    def exec_alone(self, statement: str, given: Sequence[Any]) -> int:
        """A statement that is a transaction by itself, where none has begun. How many rows it
        changed: they are committed.

        That is one call of the driver instead of four, each of which gives the interpreter away and
        waits to have it back."""
        return self._connected().execute(statement, given).rowcount

    def write(self, work: Callable[[SqliteLink], T]) -> T:
        """`work` in one transaction, which begins with its first statement and is committed when
        this returns. Raises the driver's errors, and what `work` does; then it is undone."""
        try:
            result = work(self)
            if self._connected().in_transaction:
                self._connected().execute("COMMIT")
                self._move()
        except BaseException:
            self._undo()
            raise
        return result

    def _move(self) -> None:
        """Once much was written, what is in the log goes to its place in the file: here, and not in
        a commit of `exec_alone`, which somebody waits for. Where that fails it is done later."""
        connection = self._connected()
        if connection.total_changes - self._moved >= CHANGES_MAX:
            self._moved = connection.total_changes
            with suppress(Error):
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection, self._moved = self._connect(), 0
            self._connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES_MAX}")
        return self._connection

    def _undo(self) -> None:
        """Where that fails, the next transaction has a new connection."""
        try:
            if self._connection is not None and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except Error:
            self.close()

    def close(self) -> None:
        """What is not committed is undone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Error):
                connection.close()
