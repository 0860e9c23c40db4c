"""`gateway migrate` on a server, where several versions and several replicas meet."""

import json
import os
import subprocess
import sys

import pytest
from sqlalchemy import create_engine, make_url, text
from typer.testing import CliRunner

from gateway.cli.main import app


def run(url, *words):
    command = ("migrate", "--database-url", url, *words)
    return CliRunner().invoke(app, command, catch_exceptions=False)


def make_newer(url):
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()


@pytest.mark.parametrize("words", [(), ("--wait",)])
def test_tables_of_a_newer_version_will_do_on_a_server(postgres_url, words):
    """An old replica that moves to another node in the middle of an upgrade, or a rollback."""
    assert run(postgres_url).stdout == "The tables were made.\n"
    make_newer(postgres_url)
    result = run(postgres_url, *words)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "The tables are those of a newer version already; nothing was changed.\n"
    )
    told = json.loads(run(postgres_url, *words, "--json").stdout)
    assert told == {"before": "newer", "after": "newer"}


def test_replicas_wait_until_one_job_has_migrated(postgres_url):
    command = [sys.executable, "-m", "gateway.cli.main", "migrate", "--wait", "--json"]
    env = {**os.environ, "GATEWAY_DATABASE_URL": postgres_url}
    pipes = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    waiting = [subprocess.Popen(command, env=env, **pipes) for _ in range(2)]
    try:
        for one in waiting:
            assert "The database has no tables yet" in one.stderr.readline()
        assert run(postgres_url).exit_code == 0
        for one in waiting:
            told, _ = one.communicate(timeout=60)
            assert json.loads(told) == {"before": "empty", "after": "up-to-date"}
            assert one.returncode == 0
    finally:
        for one in waiting:
            one.kill()
