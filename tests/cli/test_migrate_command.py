"""`gateway migrate`: makes the tables, and says what it did."""

import json
import os
import signal
import subprocess
import sys

import pytest
import typer
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from gateway.cli.migrate import migrate


@pytest.fixture
def gateway(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEWAY_DATABASE_URL", raising=False)
    app = typer.Typer()
    app.command()(migrate)
    return lambda *words: CliRunner().invoke(app, words, catch_exceptions=False)


def test_tables_are_made_once(gateway, tmp_path):
    assert json.loads(gateway("--json").stdout) == {"before": "empty", "after": "up-to-date"}
    assert json.loads(gateway("--json").stdout) == {"before": "up-to-date", "after": "up-to-date"}
    assert (tmp_path / "var/gateway.db").is_file()
    assert gateway().stdout == "The tables are up to date.\n"


def test_the_database_of_the_flag_is_the_one_that_is_made(gateway, tmp_path):
    result = gateway("--database-url", "sqlite:///elsewhere/x.db")
    assert (result.exit_code, result.stdout) == (0, "The tables were made.\n")
    assert (tmp_path / "elsewhere/x.db").is_file()
    assert not (tmp_path / "var").exists()


def spoil_with_a_newer_version(folder):
    engine = create_engine(f"sqlite:///{folder}/var/gateway.db")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()


@pytest.mark.parametrize(("spoil", "words", "exit_code", "told"), [
    (spoil_with_a_newer_version, (), 3, "written by a newer version; upgrade the gateway"),
    (None, ("--database-url", "sqlite:///var/gateway.db/x.db"), 3, "cannot be made"),
    (None, ("--database-url", "sqlite://"), 3, "expected sqlite:///FILE"),
    (None, ("--database-url", "oracle://x"), 2, "expected a URL that begins with sqlite://"),
    (None, ("--database-url", "postgresql://me:hunter22@no-such-host.invalid/x"), 3, "resolved"),
])  # fmt: skip
def test_what_cannot_be_migrated_is_a_sentence(gateway, tmp_path, spoil, words, exit_code, told):
    gateway()
    if spoil:
        spoil(tmp_path)
    result = gateway(*words)
    assert result.exit_code == exit_code
    assert result.stdout == ""
    assert result.stderr.startswith("gateway: ")
    assert told in result.stderr
    assert "hunter22" not in result.stderr


def test_alembic_says_nothing(gateway, capfd):
    result = gateway()
    assert result.output == "The tables were made.\n"
    assert capfd.readouterr() == ("", "")


def test_a_wait_changes_nothing_and_ends_at_once_where_the_tables_are_right(gateway):
    gateway()
    result = gateway("--wait")
    assert (result.exit_code, result.output) == (0, "The tables are up to date.\n")
    assert json.loads(gateway("--wait", "--json").stdout) == {
        "before": "up-to-date",
        "after": "up-to-date",
    }


def test_a_wait_gives_up_in_time_and_says_what_to_do(gateway, tmp_path):
    result = gateway("--wait", "--timeout-seconds", "0.2")
    assert (result.exit_code, result.stdout) == (3, "")
    waiting, gave_up = result.stderr.splitlines()
    assert waiting == "gateway: waiting. The database has no tables yet; run `gateway migrate`."
    assert gave_up.startswith("gateway: The tables are not those of this version after 0.2 seconds")
    assert gave_up.endswith("run `gateway migrate`.")
    assert not (tmp_path / "var").exists()


def test_a_database_that_cannot_be_reached_is_waited_for(gateway):
    url = "postgresql://me:hunter22@127.0.0.1:1/x"
    result = gateway("--wait", "--timeout-seconds", "2.5", "--database-url", url)
    assert result.exit_code == 3
    assert result.stderr.count("gateway: waiting. ") == 1, "said once, looked at again and again"
    assert "hunter22" not in result.stderr


def test_a_wait_does_not_hope_for_an_older_version_to_come_back(gateway, tmp_path):
    gateway()
    spoil_with_a_newer_version(tmp_path)
    result = gateway("--wait", "--timeout-seconds", "60")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == (
        "gateway: The database was written by a newer version; upgrade the gateway.\n"
    )


@pytest.fixture
def waiting(tmp_path):
    """`gateway migrate --wait` as a process that waits already."""
    command = [sys.executable, "-m", "gateway.cli.main", "migrate", "--wait"]
    url = f"sqlite:///{tmp_path}/gateway.db"
    env = {**os.environ, "GATEWAY_DATABASE_URL": url}
    with subprocess.Popen(
        command, cwd=tmp_path, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert "waiting" in process.stderr.readline()
        yield process
        process.kill()


def test_a_wait_ends_when_somebody_has_migrated(gateway, tmp_path, waiting):
    assert gateway("--database-url", f"sqlite:///{tmp_path}/gateway.db").exit_code == 0
    assert waiting.communicate(timeout=60) == ("The tables are up to date.\n", "")
    assert waiting.returncode == 0


def test_a_wait_ends_by_sigterm(waiting):
    waiting.send_signal(signal.SIGTERM)
    _, said = waiting.communicate(timeout=60)
    assert (waiting.returncode, said) == (143, "gateway: Told to stop, so it waits no longer.\n")
