"""`gateway migrate`: makes the tables, and says what it did."""

import json

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
