"""`gateway key`: keys are made, listed, shown, rotated and revoked from a terminal."""

import json
import re
import sqlite3
import time
from datetime import UTC, datetime
from functools import partial

import pytest
import typer
from command_line import complaint, run, using

from gateway.backends.pepper_file import load_pepper
from gateway.backends.sql_keyring import SqlKeyring
from gateway.cli.key import app as key_app
from gateway.errors import Unauthenticated
from gateway.keys.authenticate import authenticate
from gateway.settings import Settings

SHARED = """
upstreams:
  simulator: {simulated: true}
models:
  echo: {upstream: simulator, endpoints: [chat], context: 8000, max_output: 4000}
  other: {upstream: simulator, endpoints: [chat], context: 8000, max_output: 4000}
redaction:
  none: {entities: {}}
organizations:
  acme:
    timezone: UTC
    currency: USD
    defaults: {redaction: none}
    projects:
      demo: {models: [echo]}
      both: {models: ["*"]}
"""
SECOND = """
organizations:
  umbrella:
    timezone: UTC
    currency: USD
    defaults: {redaction: none}
    projects:
      both: {models: [echo]}
"""


@pytest.fixture
def gateway(home):
    """Runs `gateway key …` in a folder of its own, with policies and a migrated database."""
    (home / "policies/shared.yaml").write_text(SHARED)
    (home / "policies/second.yaml").write_text(SECOND)
    app = typer.Typer()
    app.add_typer(key_app, name="key")
    return partial(run, app, "key")


def made(gateway, *words):
    result = gateway("create", "--project", "demo", "--name", "laptop", "--json", *words)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def enter(text):
    return using(
        lambda database: authenticate(
            f"Bearer {text}", SqlKeyring(database), load_pepper(Settings()), time.time()
        )
    )


def test_a_created_key_is_one_json_object_that_gets_in(gateway):
    row = made(gateway)
    assert enter(row["key"]).id == row["id"]
    assert re.fullmatch(r"key_[a-z0-9]{16}", row["id"])
    assert {name: row[name] for name in ("organization", "project", "name", "role", "status")} == {
        "organization": "acme", "project": "demo", "name": "laptop", "role": "member",
        "status": "active",
    }  # fmt: skip
    assert row["models"] is row["endpoints"] is row["expires_at"] is row["revoked_at"] is None


def test_scopes_expiry_and_notes_are_kept(gateway):
    row = made(gateway, "--model", "echo", "--endpoint", "chat", "--endpoint", "models",
               "--expires", "90d", "--metadata", "team=blue", "--metadata", "why=a=b")  # fmt: skip
    key = enter(row["key"])
    assert (key.models, key.endpoints) == (("echo",), ("chat", "models"))
    assert key.metadata == {"team": "blue", "why": "a=b"}
    assert key.expires_at - key.created_at == pytest.approx(90 * 86400, abs=0.001)
    assert datetime.fromisoformat(row["expires_at"]).tzinfo == UTC


def test_for_people_the_key_stands_on_a_line_of_its_own(gateway):
    result = gateway("create", "--project", "demo", "--name", "[red]Zoë[/red] \x1b[31m")
    assert result.exit_code == 0
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("sk-")]
    assert enter(line).name == "[red]Zoë[/red] \x1b[31m"
    assert "shown once" in result.stdout
    assert "[red]Zoë[/red]" in result.stdout
    assert "\x1b[31m" not in result.stdout


def test_the_organization_is_found_by_its_project_or_must_be_named(gateway):
    asked = ("create", "--project", "both", "--name", "n", "--json")
    assert "say which with --organization: acme, umbrella" in complaint(gateway(*asked), 2)
    row = json.loads(gateway(*asked, "--organization", "umbrella").stdout)
    assert row["organization"] == "umbrella"


@pytest.mark.parametrize(("words", "exit_code", "told"), [
    (("--project", "dmeo"), 1, "no project 'dmeo'; the policies have both, demo"),
    (("--organization", "umbrella"), 1, "no project 'demo'; umbrella has both"),
    (("--organization", "acne"), 1, "no organization 'acne'; the policies have acme, umbrella"),
    (("--model", "other"), 1, "may not use a model 'other'; it may use echo"),
    (("--expires", "soon"), 2, "'soon' is not a time"),
    (("--expires", "2020-01-01"), 2, "is in the past"),
    (("--expires", "0d"), 2, "is in the past"),
    (("--metadata", "team"), 2, "is not of the form NAME=VALUE"),
    (("--metadata", "=x"), 2, "is not of the form NAME=VALUE"),
    (("--name", "  "), 2, "--name has 1 to 200 characters"),
    (("--name", "n" * 201), 2, "--name has 1 to 200 characters"),
    (("--name", "\udcff"), 1, "not valid text"),
    (("--policies", "nowhere"), 1, "the policies cannot be used:\nnowhere"),
    (("--database-url", "mysql://x/y"), 2, "GATEWAY_DATABASE_URL"),
    (("--database-url", "sqlite:///new.db"), 3, "no tables yet; run `gateway migrate`"),
    (("--database-url", "sqlite:///policies/shared.yaml"), 3, "is not an SQLite database"),
])  # fmt: skip
def test_what_cannot_be_made_is_a_sentence_and_an_exit_code(gateway, words, exit_code, told):
    result = gateway("create", "--project", "demo", "--name", "n", *words)
    assert told in complaint(result, exit_code)
    assert json.loads(gateway("list", "--json").stdout) == []


def test_invalid_policies_are_all_told_and_no_key_is_made(gateway, tmp_path):
    (tmp_path / "policies/second.yaml").write_text("organizations: {x: {colour: red, tiemzone: 1}}")
    told = complaint(gateway("create", "--project", "demo", "--name", "n"), 1)
    assert "policies/second.yaml:1: error: " in told
    assert told.count("error: ") >= 2


def test_an_endpoint_that_does_not_exist_is_refused_with_those_that_do(gateway):
    result = gateway("create", "--project", "demo", "--name", "n", "--endpoint", "chats")
    assert result.exit_code == 2
    assert "embeddings" in result.stderr


def test_a_short_pepper_is_a_sentence(gateway, monkeypatch):
    monkeypatch.setenv("GATEWAY_PEPPER", "short")
    told = complaint(gateway("create", "--project", "demo", "--name", "n"), 3)
    assert "pepper is too short" in told


def test_keys_are_listed_and_narrowed_down(gateway):
    first, second = made(gateway), made(gateway, "--project", "both", "--organization", "acme")
    rows = json.loads(gateway("list", "--json").stdout)
    assert [row["id"] for row in rows] == [first["id"], second["id"]]
    assert [row["last_used"] for row in rows] == [None, None]
    rows = json.loads(gateway("list", "--project", "both", "--json").stdout)
    assert [row["id"] for row in rows] == [second["id"]]
    assert json.loads(gateway("list", "--organization", "none", "--json").stdout) == []
    table = gateway("list").stdout
    assert "organization" in table.splitlines()[0]


def test_no_text_of_a_key_is_ever_shown_again(gateway):
    row = made(gateway)
    for words in (("list",), ("show", row["id"])):
        assert row["key"][16:] not in gateway(*words).output
        assert row["key"][16:] not in gateway(*words, "--json").output
    (prefix,) = json.loads(gateway("show", row["id"], "--json").stdout)["prefixes"]
    assert row["key"].startswith(prefix.removesuffix("…"))


def test_a_key_is_shown_with_all_that_is_known(gateway):
    row = made(gateway, "--metadata", "team=[blue]")
    shown = json.loads(gateway("show", row["id"], "--json").stdout)
    assert shown | {"key": row["key"]} == row | {
        "prefixes": shown["prefixes"], "last_used": None,
    }  # fmt: skip
    assert "team=[blue]" in gateway("show", row["id"]).stdout


def test_a_revoked_key_is_refused_and_stays_revoked(gateway):
    row = made(gateway)
    first = json.loads(gateway("revoke", row["id"], "--json").stdout)
    assert first["status"] == "revoked"
    with pytest.raises(Unauthenticated, match="revoked"):
        enter(row["key"])
    assert json.loads(gateway("revoke", row["id"], "--json").stdout) == first
    assert "is revoked" in gateway("revoke", row["id"]).stdout
    assert "create a new one" in complaint(gateway("rotate", row["id"]), 1)


def test_a_name_is_shown_as_plain_text_wherever_it_is_shown(gateway):
    name = "[/red] :smile: \x1b[31m"
    id = json.loads(
        gateway("create", "--project", "demo", "--name", name, "--json").stdout
    )["id"]  # fmt: skip
    for words in (("list",), ("show", id), ("revoke", id)):
        shown = gateway(*words).stdout
        assert "[/red] :smile: \ufffd[31m" in shown
        assert "\x1b" not in shown


def test_a_rotated_key_has_two_texts_for_its_grace(gateway):
    old = made(gateway)
    new = json.loads(gateway("rotate", old["id"], "--grace", "1h", "--json").stdout)
    assert new["id"] == old["id"]
    assert enter(old["key"]) == enter(new["key"])
    newest = json.loads(gateway("rotate", old["id"], "--grace", "0s", "--json").stdout)
    assert enter(newest["key"]).id == old["id"]
    for ended in (old, new):
        with pytest.raises(Unauthenticated, match="replaced"):
            enter(ended["key"])
    assert "not a duration" in complaint(gateway("rotate", old["id"], "--grace", "soon"), 2)


@pytest.mark.parametrize("command", ["show", "revoke", "rotate"])
def test_an_unknown_key_is_a_sentence_that_never_repeats_a_text(gateway, command):
    assert "no key 'key_x'; `gateway key list`" in complaint(gateway(command, "key_x"), 1)
    text = made(gateway)["key"]
    told = complaint(gateway(command, text), 1)
    assert "Give its id" in told
    assert text[3:] not in told


def test_keys_are_made_while_the_gateway_writes(gateway, tmp_path):
    busy = sqlite3.connect(tmp_path / "var/gateway.db", isolation_level=None)
    reader = sqlite3.connect(tmp_path / "var/gateway.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM keys").fetchone()
    busy.execute("BEGIN IMMEDIATE")
    busy.execute("INSERT INTO keys (id, organization, project, name, role, created_at, metadata)"
                 " VALUES ('key_x', 'a', 'b', 'c', 'member', 1, '{}')")  # fmt: skip
    assert json.loads(gateway("list", "--json").stdout) == []  # a reader does not wait
    busy.execute("COMMIT")
    made(gateway)  # nor does a writer wait for a reader
    assert reader.execute("SELECT count(*) FROM keys").fetchone() == (0,)
    busy.close()
    reader.close()
