"""`gateway check`: all problems with file and line, an exit code, and the schema for editors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from gateway.backends.entities import SELECTABLE
from gateway.cli.check import check
from gateway.policy.schema import schema_text

ROOT = Path(__file__).parent.parent.parent
REFUSED = ROOT / "tests" / "policy" / "golden" / "refused"
DEFAULT = ROOT / "policies"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "set")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("GATEWAY_POLICIES", raising=False)


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(check)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_good_folder_is_told_in_one_line() -> None:
    done = run(DEFAULT)
    assert done.exit_code == 0
    assert done.stdout.startswith("ok: 1 organization, 1 project, 15 models, 2 upstreams, digest ")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_every_error_is_told_with_a_path_that_leads_there_from_here() -> None:
    done = run(REFUSED / "same-name-twice")
    assert done.exit_code == 1
    errors = done.stderr.splitlines()
    assert [line.split(" error: ")[0] for line in errors] == [
        f"{REFUSED}/same-name-twice/b.yml:2:",
        f"{REFUSED}/same-name-twice/b.yml:4:",
    ]
    assert "ok:" not in done.stdout


def test_one_file_can_be_checked_alone() -> None:
    done = run(REFUSED / "tab.yaml")
    assert done.exit_code == 1
    assert done.stderr == (f"{REFUSED}/tab.yaml:3: error: a tab cannot indent YAML; use spaces\n")


def test_warnings_and_notes_are_told_but_are_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    noted = run(DEFAULT)
    assert noted.exit_code == 0
    assert "default.yaml:10: note: OPENAI_API_KEY is not set" in noted.stdout
    warned = run(DEFAULT / "examples" / "team-budgets.yaml")
    assert warned.exit_code == 0
    assert "team-budgets.yaml:6: warning: OPENAI_API_KEY is not set" in warned.stdout


def test_a_missing_and_an_empty_folder_are_told_in_a_sentence(tmp_path: Path) -> None:
    missing = run(tmp_path / "nowhere")
    assert missing.exit_code == 1
    assert f"{tmp_path}/nowhere: error: No such file or directory" in missing.stderr
    empty = run(tmp_path)
    assert empty.exit_code == 1
    assert f"{tmp_path}: error: found 0 policy files" in empty.stderr
    assert "Traceback" not in missing.output + empty.output


def test_the_folder_is_that_of_the_setting_if_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_POLICIES", str(tmp_path))
    assert f"{tmp_path}: error" in run().stderr
    monkeypatch.delenv("GATEWAY_POLICIES")
    monkeypatch.chdir(tmp_path)
    assert "policies: error: No such file or directory" in run().stderr


def test_json_is_one_object_for_a_good_policy_as_for_a_wrong_one() -> None:
    good = json.loads(run(DEFAULT, "--json").stdout)
    assert good["ok"] is True
    assert (good["organizations"], good["projects"], good["models"]) == (1, 1, 15)
    assert len(good["digest"]) == 12
    assert good["problems"] == []
    done = run(REFUSED / "tab.yaml", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout) == {
        "ok": False,
        "problems": [
            {
                "file": f"{REFUSED}/tab.yaml",
                "line": 3,
                "message": "a tab cannot indent YAML; use spaces",
                "severity": "error",
            }
        ],
    }


def test_the_schema_is_printed_as_it_is_shipped() -> None:
    done = run("--schema")
    assert done.exit_code == 0
    assert done.stdout == schema_text(SELECTABLE)


MODEL = """
ner: {english: {kind: KIND, model: MODEL}}
redaction:
  named: {ner: english, entities: {PERSON: mask}}"""


@pytest.mark.parametrize(
    ("kind", "model", "said"),
    [
        ("spacy", "no_such_model", "install it with `python -m spacy download no_such_model`"),
        ("spacy", "spacy", ""),
        ("spacy", ".", ""),
        ("gliner", ".", "`gliner` lacks gliner: requests will be"),
    ],
)
def test_a_model_that_is_not_installed_is_a_warning(
    kind: str, model: str, said: str, tmp_path: Path
) -> None:
    text = (DEFAULT / "default.yaml").read_text("utf-8").replace("\nredaction:", MODEL, 1)
    text = text.replace("KIND", kind).replace("MODEL", model)
    (tmp_path / "a.yaml").write_text(text)
    done = run(tmp_path)
    assert done.exit_code == 0, done.output
    assert said in done.stdout
    assert done.stdout.count("warning") == 1 + bool(said), "the profile is not used"
