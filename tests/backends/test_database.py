"""A database is opened, migrated and explained, on SQLite and on a real Postgres."""

import asyncio
import multiprocessing
import sqlite3
import threading
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from database_world import migrate, using
from sqlalchemy import column, insert, make_url, select, table, text

from gateway.backends import schema
from gateway.backends.database import Database, DatabaseProblem
from gateway.backends.database_problem import DataRefused
from gateway.backends.schema import SchemaState, migrations_folder
from gateway.backends.sql_entries import entry_of
from gateway.backends.tables import entries, keys, metadata, state
from gateway.usage.entry import Tokens

KEY = {
    "id": "key_1", "organization": "acme", "project": "demo", "name": "n", "role": "member",
    "created_at": 1, "metadata": {},
}  # fmt: skip


def trouble(url, *, writable=True):
    return using(url, lambda database: database.trouble(writable=writable))


def test_an_empty_database_is_told_from_one_that_is_up_to_date(database_url):
    assert using(database_url, Database.check) is SchemaState.EMPTY
    assert "gateway migrate" in trouble(database_url)
    migrate(database_url)
    assert using(database_url, Database.check) is SchemaState.UP_TO_DATE
    assert trouble(database_url) is None


def test_to_look_at_an_sqlite_database_does_not_make_one(tmp_path):
    file = tmp_path / "folder" / "gateway.db"
    assert using(f"sqlite:///{file}", Database.check) is SchemaState.EMPTY
    assert not file.parent.exists()


def test_to_migrate_twice_changes_nothing(migrated_url):
    using(migrated_url, lambda d: d.write(lambda c: c.execute(insert(keys).values(KEY))))
    migrate(migrated_url)
    assert using(migrated_url, lambda d: d.read(lambda c: c.scalar(select(keys.c.id)))) == "key_1"


def compared(connection):
    """But for partitions, which come and go."""

    def is_wanted(name, kind, _parents):
        return kind != "table" or not name.startswith("entries_")

    context = MigrationContext.configure(connection, opts={"include_name": is_wanted})
    return compare_metadata(context, metadata)


def test_the_migrations_build_exactly_the_tables_that_the_code_knows(migrated_url):
    assert using(migrated_url, lambda d: d.read(compared)) == []


def test_an_older_database_keeps_its_entries_and_its_keys(database_url):
    def build(connection):
        config = Config()
        config.set_main_option("script_location", str(migrations_folder()))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        old = dict.fromkeys(c.name for c in entries.columns) | {"id": "req_1", "time": 5,
            "outcome": "ok", "source": "provider"}  # fmt: skip
        for name in ("audio_input_tokens", "audio_output_tokens", "corrects"):
            del old[name]
        some = {"VARCHAR": "x", "TEXT": "x", "BIGINT": 1, "BOOLEAN": True, "JSON": {}}
        for name, value in old.items():
            if value is None and not entries.c[name].nullable:
                old[name] = some[str(entries.c[name].type)]
        then = table("entries", *(column(name, entries.c[name].type) for name in old))
        connection.execute(insert(then).values(old))
        connection.execute(insert(keys).values(KEY))

    if database_url.startswith("sqlite"):
        Path(database_url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    using(database_url, lambda d: d.write(build))
    assert using(database_url, Database.check) is SchemaState.BEHIND
    migrate(database_url)
    assert trouble(database_url) is None
    (row,) = using(database_url, lambda d: d.read(lambda c: c.execute(select(entries)).all()))
    kept = entry_of(row)
    assert (kept.id, kept.project, kept.tokens) == ("req_1", "x", Tokens(1, 1, 1, 1, 0, 0))
    assert kept.corrects == ""
    assert using(database_url, lambda d: d.read(lambda c: c.scalar(select(keys.c.id)))) == "key_1"
    names = select(state.c.name, state.c.value).order_by(state.c.name)
    found = using(database_url, lambda d: d.read(lambda c: c.execute(names).all()))
    assert [tuple(one) for one in found] == [("access", "0"), ("book", "0")]


def test_a_table_that_the_code_does_not_know_would_be_noticed(spoilable_url):
    def differences(connection):
        connection.execute(text("CREATE TABLE stray (id INTEGER)"))
        connection.execute(text("DROP INDEX ix_entries_time"))
        return compared(connection)

    found = using(spoilable_url, lambda d: d.write(differences))
    assert {change[0] for change in found} == {"remove_table", "add_index"}


def test_tables_of_a_newer_version_are_left_alone(spoilable_url):
    using(spoilable_url, lambda d: d.write(
        lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    ))  # fmt: skip
    assert using(spoilable_url, Database.check) is SchemaState.NEWER
    assert "newer version; upgrade the gateway" in trouble(spoilable_url)
    with pytest.raises(DatabaseProblem, match="newer version"):
        migrate(spoilable_url)


def test_the_names_of_the_migrations_say_what_alembic_reads_in_them() -> None:
    scripts = ScriptDirectory(str(migrations_folder()))
    revisions = schema.read_revisions()
    assert revisions.known == {script.revision for script in scripts.walk_revisions()}
    assert [revisions.head] == scripts.get_heads()


def test_tables_of_an_older_version_want_a_migration(spoilable_url, monkeypatch):
    known = schema.read_revisions()
    newer = schema.Revisions(known.known | {"9999"}, "9999")
    monkeypatch.setattr(schema, "read_revisions", lambda: newer)
    for writable in (True, False):
        assert "older version; run `gateway migrate`" in trouble(spoilable_url, writable=writable)


def test_a_probe_sees_a_change_of_the_tables_without_reading_the_migrations_again(
    spoilable_url, monkeypatch
):
    reads = []
    folder = schema.migrations_folder
    monkeypatch.setattr(schema, "migrations_folder", lambda: reads.append(1) or folder())
    spoil = text("UPDATE alembic_version SET version_num = '9999'")

    async def work(database):
        for writable in (False, False, True):
            assert await database.trouble(writable=writable) is None
        await database.write(lambda c: c.execute(spoil))
        return await database.trouble(writable=False)

    assert "newer version" in using(spoilable_url, work)
    assert len(reads) == 1


def test_a_migration_that_fails_leaves_nothing_behind(database_url):
    create = text("CREATE TABLE entries (id INTEGER)")
    if database_url.startswith("sqlite"):
        Path(database_url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    using(database_url, lambda d: d.write(lambda c: c.execute(create)))
    with pytest.raises(DatabaseProblem, match="another program"):
        migrate(database_url)
    with pytest.raises(DatabaseProblem, match="lacks a table"):
        using(database_url, lambda d: d.read(lambda c: c.execute(select(keys))))


def _migrate_in_a_process(url, barrier, told):
    barrier.wait()
    try:
        migrate(url)
        told.put(None)
    except DatabaseProblem as problem:
        told.put(str(problem))


def test_processes_that_migrate_at_once_all_succeed(database_url):
    spawn = multiprocessing.get_context("spawn")
    barrier, told = spawn.Barrier(3), spawn.Queue()
    crowd = [
        spawn.Process(target=_migrate_in_a_process, args=(database_url, barrier, told))
        for _ in range(3)
    ]
    for process in crowd:
        process.start()
    assert [told.get(timeout=30) for _ in crowd] == [None, None, None]
    for process in crowd:
        process.join()
    assert trouble(database_url) is None


def test_a_write_is_whole_or_nothing(migrated_url):
    def half(connection):
        connection.execute(insert(keys).values(KEY))
        raise LookupError("changed my mind")

    with pytest.raises(LookupError):
        using(migrated_url, lambda d: d.write(half))
    assert using(migrated_url, lambda d: d.read(lambda c: c.execute(select(keys)).all())) == []


def test_a_read_sees_one_moment_though_another_writes_meanwhile(migrated_url):
    async def work(database):
        began, written = threading.Event(), threading.Event()

        def look_twice(connection):
            before = len(connection.execute(select(keys)).all())
            began.set()
            assert written.wait(10)
            return before, len(connection.execute(select(keys)).all())

        reading = asyncio.create_task(database.read(look_twice))
        await asyncio.to_thread(began.wait, 10)
        await database.write(lambda c: c.execute(insert(keys).values(KEY)))
        written.set()
        return await reading

    assert using(migrated_url, work) == (0, 0)


def test_writers_that_first_read_wait_for_one_another(migrated_url):
    using(migrated_url, lambda d: d.write(lambda c: c.execute(insert(keys).values(KEY))))

    def add_one(connection):
        count = connection.scalar(select(keys.c.created_at).with_for_update())
        connection.execute(keys.update().values(created_at=count + 1))

    async def work(database):
        await asyncio.gather(*(database.write(add_one) for _ in range(20)))
        return await database.read(lambda c: c.scalar(select(keys.c.created_at)))

    assert using(migrated_url, work, threads=4) == 21


@pytest.mark.parametrize("values", [
    {"id": "key_2", "created_at": 2**63}, {"id": "key_2", "name": None},
    {"id": "key_2", "name": "\ud800"}, {"id": "key_1"},
])  # fmt: skip
def test_a_value_that_cannot_be_stored_is_told_from_trouble(migrated_url, values):
    using(migrated_url, lambda d: d.write(lambda c: c.execute(insert(keys).values(KEY))))
    with pytest.raises(DataRefused) as caught:
        using(migrated_url, lambda d: d.write(lambda c: c.execute(insert(keys), [KEY | values])))
    assert "acme" not in str(caught.value)


def test_a_closed_database_says_so(migrated_url):
    async def main():
        database = Database(migrated_url, 1)
        await database.aclose()
        await database.read(lambda c: None)

    with pytest.raises(DatabaseProblem, match="closed"):
        asyncio.run(main())


def test_sqlite_is_set_up_for_many_readers_and_durable_commits(tmp_path):
    url = f"sqlite:///{tmp_path}/gateway.db"
    migrate(url)

    def pragmas(connection):
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert using(url, lambda d: d.read(pragmas)) == ["wal", 2, 1, 5000]


def test_a_relative_sqlite_path_gets_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    migrate("sqlite:///var/deep/gateway.db")
    assert (tmp_path / "var/deep/gateway.db").is_file()


@pytest.mark.parametrize("url", [
    "sqlite://", "sqlite:///:memory:", "mysql://a/b", "postgresql://host:port/x", "nonsense",
    "postgresql://host",
])  # fmt: skip
def test_a_url_that_cannot_be_used_is_refused_with_what_would_be_right(url):
    with pytest.raises(DatabaseProblem, match="expected sqlite:///FILE"):
        Database(url, 1)


def test_a_file_that_is_no_database_is_named(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("These are not the rows you are looking for.\n" * 40)
    assert trouble(f"sqlite:///{file}").startswith(
        f"The database file {file} is not an SQLite database"
    )
    with pytest.raises(DatabaseProblem, match="is not an SQLite database"):
        migrate(f"sqlite:///{file}")


def test_a_read_only_file_is_named(tmp_path):
    file = tmp_path / "gateway.db"
    migrate(f"sqlite:///{file}")
    url = f"sqlite:///file:{file}?mode=ro&uri=true"
    assert "is read-only" in trouble(url)
    assert trouble(url, writable=False) is None


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseProblem, match=r"folder .*/file/deep of the database cannot be"):
        migrate(f"sqlite:///{tmp_path}/file/deep/gateway.db")


def test_a_folder_in_place_of_the_file_is_named(tmp_path):
    assert "cannot be opened" in trouble(f"sqlite:///{tmp_path}")


def test_a_locked_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.backends.database.SQLITE_BUSY_SECONDS", 0.01)
    file = tmp_path / "gateway.db"
    migrate(f"sqlite:///{file}")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert "is locked by another process" in trouble(f"sqlite:///{file}")
    assert trouble(f"sqlite:///{file}", writable=False) is None
    other.close()
    assert trouble(f"sqlite:///{file}") is None


def test_a_postgres_that_is_not_there_is_named(unused_tcp_port):
    said = trouble(f"postgresql://me:hunter22@127.0.0.1:{unused_tcp_port}/gateway")
    assert said.startswith(f"The database gateway at 127.0.0.1:{unused_tcp_port} cannot be reached")
    assert "hunter22" not in said


def test_a_host_that_does_not_exist_is_named():
    said = trouble("postgres://me:hunter22@no-such-host.invalid/gateway")
    assert "no-such-host.invalid has a host name that cannot be resolved" in said


def test_a_database_that_does_not_exist_is_named(postgres):
    url = make_url(postgres.admin_url).set(database="nowhere")
    assert "The database nowhere at" in trouble(url.render_as_string(hide_password=False))
    assert "does not exist there" in trouble(url.render_as_string(hide_password=False))


def test_a_wrong_password_is_named(postgres, postgres_url):
    if postgres.folder is None:
        pytest.skip("needs a server whose pg_hba.conf is ours")
    rules = postgres.folder / "pg_hba.conf"
    rules.write_text("local all locksmith scram-sha-256\n" + rules.read_text())
    postgres.run("CREATE USER locksmith PASSWORD 'right'")
    postgres.run("SELECT pg_reload_conf()")
    url = make_url(postgres_url).set(username="locksmith")
    shown = {
        password: trouble(url.set(password=password).render_as_string(hide_password=False))
        for password in ("right", "hunter22", None)
    }
    assert shown["right"].startswith("The database has no tables yet")
    assert "refuses this user and password" in shown["hunter22"]
    assert "hunter22" not in shown["hunter22"]
    assert "wants a password" in shown[None]
    postgres.run("DROP USER locksmith")


def test_a_read_only_postgres_is_named(postgres, postgres_url):
    migrate(postgres_url)
    name = make_url(postgres_url).database
    postgres.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert "is read-only; name the primary" in trouble(postgres_url)
    assert trouble(postgres_url, writable=False) is None


def test_a_postgres_that_restarts_is_used_again(postgres, postgres_url):
    migrate(postgres_url)

    async def work(database):
        assert await database.trouble() is None
        name = make_url(postgres_url).database
        postgres.run(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        return await database.trouble()

    assert using(postgres_url, work) is None


@pytest.fixture
def unused_tcp_port():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_a_migration_waits_for_another_one_only_so_long(postgres_url, monkeypatch):
    monkeypatch.setattr("gateway.backends.schema.POSTGRES_LOCK_SECONDS", 0.05)
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [0x67617465])
        with pytest.raises(DatabaseProblem, match="perhaps another migration"):
            migrate(postgres_url)
    migrate(postgres_url)


def test_the_migrations_are_found_in_this_checkout():
    assert (migrations_folder() / "env.py").is_file()
    assert sorted(file.name for file in (migrations_folder() / "versions").glob("0*.py"))
