"""The connection to SQLite that is kept: what is committed when, and what becomes of the log."""

import sqlite3

import pytest

from gateway.backends import sqlite_link
from gateway.backends.sqlite_link import SqliteLink

INSERT = "INSERT INTO things VALUES (?, ?)"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "things.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE things (id INTEGER PRIMARY KEY, text TEXT)")
    connection.close()
    return path


@pytest.fixture
def link(file):
    link = SqliteLink(lambda: sqlite3.connect(file, isolation_level=None))
    yield link
    link.close()


def seen_by_others(file) -> list[int]:
    other = sqlite3.connect(file)
    found = [id for (id,) in other.execute("SELECT id FROM things ORDER BY id")]
    other.close()
    return found


def test_a_statement_alone_is_committed_when_it_returns(link, file):
    def work(connection):
        assert connection.exec_alone(INSERT, (1, "a")) == 1
        assert seen_by_others(file) == [1]

    link.write(work)
    link.write(lambda connection: connection.exec_alone(INSERT, (2, "b")))
    assert seen_by_others(file) == [1, 2]


def test_a_transaction_begins_with_its_first_statement_and_is_seen_as_a_whole(link, file):
    def work(connection):
        connection.exec_driver_sql(INSERT, [(1, "a"), (2, "b")])
        assert seen_by_others(file) == []
        other = sqlite3.connect(file, timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()
        connection.exec_driver_sql(INSERT, (3, "c"))

    link.write(work)
    assert seen_by_others(file) == [1, 2, 3]


def test_what_raises_is_undone_and_the_next_one_is_done(link, file):
    def broken(connection):
        connection.exec_driver_sql(INSERT, (1, "a"))
        raise LookupError

    with pytest.raises(LookupError):
        link.write(broken)
    with pytest.raises(sqlite3.IntegrityError):
        link.write(lambda c: c.exec_driver_sql(INSERT, [(2, "b"), (2, "b")]))
    link.write(lambda c: c.exec_driver_sql(INSERT, (3, "c")))
    assert seen_by_others(file) == [3]


def test_the_log_is_moved_into_the_file_once_much_was_written(link, file, monkeypatch):
    monkeypatch.setattr(sqlite_link, "CHANGES_MAX", 100)
    log, sizes = file.with_name(f"{file.name}-wal"), []
    for n in range(2000):
        link.write(lambda c, n=n: c.exec_driver_sql(INSERT, (n, "x" * 100)))
        sizes.append(log.stat().st_size)
    assert max(sizes) == max(sizes[:200])  # from there on its room is used again
    assert file.stat().st_size > 200_000
    assert seen_by_others(file) == list(range(2000))


def test_a_log_that_cannot_be_moved_harms_nothing(link, file, monkeypatch):
    monkeypatch.setattr(sqlite_link, "CHANGES_MAX", 10)
    link.write(lambda c: c.exec_driver_sql(INSERT, (0, "x")))
    reader = sqlite3.connect(file, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM things").fetchall()  # it still needs the log as it is
    for n in range(1, 100):
        link.write(lambda c, n=n: c.exec_driver_sql(INSERT, (n, "x" * 100)))
    reader.close()
    assert seen_by_others(file) == list(range(100))
