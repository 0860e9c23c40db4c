"""A migrated database for each test, on SQLite and on a real Postgres.

GATEWAY_TEST_POSTGRES_URL names a server to use (its user must be allowed to create databases);
without it, one is started from the wheel `pgserver`, one a test process."""

import asyncio
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import uvloop
from sqlalchemy import make_url

from gateway.backends.database import Database
from gateway.backends.tables import metadata

STOP_WITH_US = """
import os, shutil, signal, sys

sys.stdin.read()  # ends when the tests do, be it that they are killed
folder = sys.argv[1]
try:
    with open(f"{folder}/postmaster.pid") as file:
        os.kill(int(file.readline()), signal.SIGQUIT)
except (FileNotFoundError, ProcessLookupError):
    pass
shutil.rmtree(folder, ignore_errors=True)
"""


@dataclass
class Postgres:
    """A server: `url_of` a new database, and a way to stop and start it if it is our own."""

    admin_url: str
    server: Any = None  # None: it is not ours

    @property
    def folder(self) -> Path | None:
        return self.server and self.server.pgdata

    def run(self, statement: str, database: str | None = None) -> None:
        url = make_url(self.admin_url)
        url = url.set(database=database) if database else url
        with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as link:
            link.execute(statement)

    def create(self) -> str:
        name = "gateway_test_" + secrets.token_hex(6)
        self.run(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        return make_url(self.admin_url).set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        if self.server is not None:
            return  # it goes as a whole in the end, and to drop one takes a checkpoint
        self.run(f"DROP DATABASE IF EXISTS {make_url(url).database} WITH (FORCE)")

    def stop(self) -> None:
        """As a crash would: connections break, nothing is said."""
        program = Path(sys.modules["pgserver"].__file__).parent / "pginstall/bin/pg_ctl"
        subprocess.run(
            [program, "-D", str(self.folder), "-w", "-m", "immediate", "stop"],
            user=self.server.system_user,
            cwd="/",
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def start(self) -> None:
        self.server.ensure_postgres_running()


@pytest.fixture(scope="session")
def postgres():
    url = os.environ.get("GATEWAY_TEST_POSTGRES_URL")
    if url:
        yield Postgres(url.replace("postgres://", "postgresql://", 1))
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR, at import
        import pgserver
    # Not below pytest's own folder: each pytest of this user closes that one to other users, and
    # a Postgres that root starts runs as another user.
    folder = Path(tempfile.mkdtemp(prefix="gateway-postgres-"))
    server = pgserver.get_server(folder, cleanup_mode="delete")
    ours = Postgres(server.get_uri(), server)
    ours.run("ALTER SYSTEM SET fsync = off")  # it need not outlive this machine
    ours.run("SELECT pg_reload_conf()")
    watcher = subprocess.Popen(
        [sys.executable, "-c", STOP_WITH_US, folder], stdin=subprocess.PIPE, start_new_session=True
    )
    yield ours
    server.cleanup()
    watcher.communicate()


@pytest.fixture
def postgres_url(postgres):
    """An empty database."""
    url = postgres.create()
    yield url
    postgres.drop(url)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request, tmp_path):
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/gateway.db"
    return request.getfixturevalue("postgres_url")


@pytest.fixture(params=["sqlite", "postgres"])
def migrated_url(request):
    """A database of each kind, with its tables."""
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "pg_url")


@pytest.fixture
def sqlite_url(sqlite_template, tmp_path):
    """A migrated SQLite file."""
    shutil.copy(sqlite_template, tmp_path / "gateway.db")
    return f"sqlite:///{tmp_path}/gateway.db"


@pytest.fixture
def pg_url(postgres, migrated_postgres):
    """A migrated Postgres database: the same one each time, emptied."""
    name = make_url(migrated_postgres).database
    postgres.run(f"TRUNCATE {', '.join(metadata.tables)}", database=name)
    return migrated_postgres


@pytest.fixture
def spoilable_url(database_url):
    """A migrated database of each kind, whose tables may be changed."""
    _migrate(database_url)
    return database_url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    file = tmp_path_factory.mktemp("template") / "gateway.db"
    _migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def migrated_postgres(postgres):
    url = postgres.create()
    _migrate(url)
    yield url
    postgres.drop(url)


def _migrate(url: str) -> None:
    database = Database(url, 1)
    database.migrate()
    asyncio.run(database.aclose())


@pytest.fixture(params=["asyncio", "uvloop"])
def each_loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `asyncio.run` makes: Python's own event loop, and the one that `gateway serve` has."""
    if request.param == "uvloop":
        monkeypatch.setattr(asyncio.events, "new_event_loop", uvloop.new_event_loop)
