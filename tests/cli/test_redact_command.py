"""`gateway redact`: what would leave, in colour, as it is in a pipe, or as JSON."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from rich.console import Console
from typer.testing import CliRunner

from gateway.cli.findings import Looked, as_data, show
from gateway.cli.redact import redact
from gateway.errors import TextBlocked
from gateway.openai.request import Request
from gateway.openai.texts import Place
from gateway.privacy.changes import Finding
from gateway.privacy.ensemble import Ensemble
from gateway.privacy.profile import Action
from gateway.privacy.redact import DetectionFailed
from gateway.privacy.spans import Span

POLICY = """
upstreams: {local: {base_url: "http://127.0.0.1:1/v1"}}
models:
  echo: {upstream: local, endpoints: [chat], price: {input: 1, output: 2}, context: 1000,
         max_output: 100, tokenizer: o200k}
  dear: {upstream: local, endpoints: [chat], context: 1000, max_output: 100}
redaction:
  careful:
    note: The upper-case words stand for values.
    entities:
      EMAIL_ADDRESS: placeholder
      CREDIT_CARD: {action: mask, keep_last: 4}
      IP_ADDRESS: report
      PRIVATE_KEY: block
  open: {entities: {}}
  blind: {entities: {EMAIL_ADDRESS: mask}, images: refuse}
organizations:
  acme:
    projects:
      app: {models: [echo], redaction: careful}
      web: {models: [echo], redaction: open}
      blind: {models: [echo], redaction: blind}
"""
TEXT = "mail ann@example.com\tor see 10.20.30.40, card 4111111111111111\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----"


@pytest.fixture
def policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEWAY_PEPPER", "p" * 40)
    path = tmp_path / "policies"
    path.mkdir()
    (path / "all.yaml").write_text(POLICY)
    return path


def run(*words: str, given: str | bytes = TEXT) -> Result:
    app = typer.Typer()
    app.command()(redact)
    return CliRunner().invoke(app, [*words], input=given, catch_exceptions=False)


def data(*words: str, given: str | bytes = TEXT) -> Any:
    return json.loads(run("-", "--project", "app", "--json", *words, given=given).stdout)


@pytest.mark.usefixtures("policies")
def test_a_pipe_gets_the_text_as_it_would_leave() -> None:
    done = run("-", "--project", "app")
    assert done.exit_code == 0, done.output
    head, _, rest = done.stdout.partition("\t")
    assert head.startswith("mail EMAIL_ADDRESS_")
    assert rest == "or see 10.20.30.40, card ********1111\n"
    assert done.stderr == (
        "gateway: 3 findings under careful: CREDIT_CARD:mask 1, EMAIL_ADDRESS:placeholder 1, "
        "IP_ADDRESS:report 1\n"
    )


@pytest.mark.usefixtures("policies")
def test_json_has_every_finding_with_where_how_sure_and_what_is_sent() -> None:
    told = data()
    assert told["refused"] is None
    (text,) = told["texts"]
    found = {one["entity"]: one for one in text["findings"]}
    mail = found["EMAIL_ADDRESS"]
    assert (mail["start"], mail["end"], mail["score"]) == (5, 20, 1.0)
    assert text["text"].startswith(f"mail {mail['sent']}\t")
    assert found["IP_ADDRESS"]["sent"] == "10.20.30.40"
    counts = {"CREDIT_CARD:mask": 1, "EMAIL_ADDRESS:placeholder": 1, "IP_ADDRESS:report": 1}
    assert told["counts"] == counts


@pytest.mark.usefixtures("policies")
def test_the_same_pepper_gives_the_same_placeholders_and_another_one_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = run("-", "--project", "app").stdout
    assert run("-", "--project", "app").stdout == first
    monkeypatch.setenv("GATEWAY_PEPPER", "q" * 40)
    assert run("-", "--project", "app").stdout != first


@pytest.mark.usefixtures("policies")
@pytest.mark.parametrize("json_too", [[], ["--json"]])
def test_blacked_out_no_value_is_shown(json_too: list[str]) -> None:
    done = run("-", "--project", "app", "--black-out", *json_too)
    assert "mail [EMAIL_ADDRESS]" in done.stdout
    assert "see [IP_ADDRESS], card [CREDIT_CARD]" in done.stdout
    for private in ("ann", "1111", "10.20"):
        assert private not in done.output


@pytest.mark.usefixtures("policies")
def test_what_is_refused_says_so_and_where_and_ends_with_1() -> None:
    done = run("-", "--project", "app", given=f"ann@example.com {KEY}.")
    assert done.exit_code == 1
    assert "The text holds PRIVATE_KEY" in done.stderr
    assert done.stdout == "[EMAIL_ADDRESS] [PRIVATE_KEY]."
    assert "MIIE" not in done.output
    told = data(given=KEY)
    assert told["refused"]["code"] == "pii_blocked"
    assert told["texts"][0]["findings"][0]["entity"] == "PRIVATE_KEY"


@pytest.mark.usefixtures("policies")
def test_the_body_of_a_request_is_shown_as_it_would_leave_with_the_note() -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "to ann@example.com \ud83d"}]}
    told = data("--body", "chat", given=json.dumps(body))
    (text,) = told["texts"]
    assert text["place"] == "messages.0.content"
    note, message = told["body"]["messages"]
    assert note["role"] == "system"
    assert message == {"role": "user", "content": text["text"]}
    assert "body" not in data("--body", "chat", "--black-out", given=json.dumps(body))
    shown = run("-", "--project", "app", "--body", "chat", given=json.dumps(body)).stdout
    assert shown.startswith("── messages.0.content\nto EMAIL_ADDRESS_")
    assert shown.endswith("\\ud83d\n")


@pytest.mark.usefixtures("policies")
def test_a_profile_that_looks_at_nothing_lets_everything_out() -> None:
    done = run("-", "--project", "web")
    assert done.stdout == TEXT
    assert done.stderr == "gateway: 0 findings under open\n"


@pytest.mark.usefixtures("policies")
@pytest.mark.parametrize(
    ("words", "given", "said"),
    [
        (["-"], TEXT, "Say with --project whose policy; there are app, blind, web."),
        (
            ["-", "--project", "no"],
            TEXT,
            "There is no project 'no'; the policies have app, blind, web.",
        ),
        (["nowhere.txt", "--project", "app"], TEXT, "nowhere.txt cannot be read: "),
        (["-", "--project", "app"], b"\xff", "What is piped is not UTF-8 at byte 0."),
        (["-", "--project", "app", "--body", "chat"], "{", "could not parse the JSON body"),
        (["-", "--project", "app", "--body", "chat"], '{"model": "echo"}', "messages"),
        (["-", "--project", "app", "--policies", "nowhere"], TEXT, "nowhere"),
        (
            ["-", "--project", "app", "--body", "completions"],
            '{"model": "echo", "messages": []}',
            "What is piped has `messages` and no `prompt`; say --body chat.",
        ),
    ],
)
def test_what_cannot_be_looked_at_is_told_in_a_sentence(
    words: list[str], given: str | bytes, said: str
) -> None:
    done = run(*words, given=given)
    assert done.exit_code in (1, 2)
    assert done.stdout == ""
    assert done.stderr.startswith("gateway: ")
    assert said in done.stderr


@pytest.mark.usefixtures("policies")
def test_more_than_is_scanned_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_REDACTION_BYTES_MAX", "1024")
    assert "at most 1024 are scanned" in run("-", "--project", "app", given="x" * 1025).stderr
    assert data(given="x" * 1025)["refused"]["code"] == "text_too_long"


def test_a_file_that_is_no_text_is_named(policies: Path) -> None:
    (policies.parent / "odd.bin").write_bytes(b"ab\xff")
    done = run("odd.bin", "--project", "app")
    assert (done.exit_code, done.stderr) == (1, "gateway: odd.bin is not UTF-8 at byte 2.\n")


@pytest.mark.usefixtures("policies")
@pytest.mark.parametrize(
    ("endpoint", "given", "code", "said"),
    [
        ("chat", "{", None, "could not parse the JSON body"),
        ("chat", {"messages": []}, None, "must provide a model"),
        ("chat", {"model": "no"}, "model_not_found", "The model `no` does not exist"),
        ("chat", {"model": "dear"}, "model_not_found", "does not have access to model `dear`"),
        ("completions", {"model": "echo", "prompt": "x"}, None, "does not serve completions"),
    ],
)
def test_a_body_that_would_be_refused_unseen_has_the_same_json(
    endpoint: str, given: Any, code: str | None, said: str
) -> None:
    if isinstance(given, dict):
        message = {"role": "user", "content": "ann@example.com"}
        given = json.dumps({"messages": [message]} | given if endpoint == "chat" else given)
    words = ("-", "--project", "app", "--body", endpoint)
    done = run(*words, "--json", given=given)
    told = json.loads(done.stdout)
    assert tuple(told) == ("profile", "refused", "counts", "texts", "body")
    assert (told["refused"]["code"], told["texts"], told["body"]) == (code, [], None)
    assert said in told["refused"]["message"]
    plain = run(*words, given=given)
    assert (done.exit_code, plain.exit_code, plain.stdout) == (1, 1, "")
    assert plain.stderr.startswith("gateway: refused: ")
    assert said in plain.stderr


def test_a_terminal_sees_colours_and_no_control_codes() -> None:
    said = _shown("an \x1b[31m@\x07", [Finding(Span(3, 4, "X", 1), Action.PLACEHOLDER, "X_1")])
    assert "\x1b[1;32mX_1\x1b[0m" in said
    assert "\x07" not in said
    assert "\x1b[31m" not in said


def test_what_is_only_reported_hides_nothing_that_is_done() -> None:
    wide = Finding(Span(0, 9, "URL", 1), Action.REPORT, "a secret!")
    done = Finding(Span(2, 8, "SECRET", 1), Action.MASK, "******")
    late = Finding(Span(4, 9, "URL", 1), Action.REPORT, "cret!")
    (text,) = as_data(_looked("a secret!", [wide, done, late]), "p", False)["texts"]
    assert text["text"] == "a ******!"
    assert len(text["findings"]) == 3


def _looked(text: str, findings: list[Finding]) -> Looked:
    request = Request("completions", "", {})
    return Looked(request, [Place(("prompt",))], [text], [findings], is_text=True)


def _shown(text: str, findings: list[Finding]) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system="standard")
    show(_looked(text, findings), False, console)
    return file.getvalue()


@pytest.mark.usefixtures("policies")
def test_only_bodies_with_texts_can_be_looked_at() -> None:
    done = run("-", "--project", "app", "--body", "models", given="{}")
    assert done.exit_code == 2
    assert "'models' is not one of" in " ".join(done.output.split())


@pytest.mark.usefixtures("policies")
def test_json_has_one_shape_whatever_the_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    body = {"model": "echo", "messages": [{"role": "user", "content": [image]}]}
    words = ("-", "--json", "--body", "chat")
    pictures = run(*words, "--project", "blind", given=json.dumps(body))
    body["messages"] = [{"role": "user", "content": KEY}]
    blocked = run(*words, "--project", "app", given=json.dumps(body))
    body["messages"] = [{"role": "user", "content": "ann@example.com"}]
    passed = run(*words, "--project", "app", given=json.dumps(body))

    async def failing(*_: object) -> None:
        raise DetectionFailed

    monkeypatch.setattr(Ensemble, "detect", failing)
    failed = run(*words, "--project", "app", given=json.dumps(body))
    done = [pictures, blocked, passed, failed]
    told = [json.loads(one.stdout) for one in done]
    assert {tuple(one) for one in told} == {("profile", "refused", "counts", "texts", "body")}
    codes = [one["refused"] and one["refused"]["code"] for one in told]
    assert codes == ["images_refused", "pii_blocked", None, "redaction_failed"]
    assert [one.exit_code for one in done] == [1, 1, 0, 1]


@pytest.mark.usefixtures("policies")
def test_blacked_out_names_of_keys_are_hidden_too() -> None:
    metadata = {"carol@example.com": "to ann@example.com", "user": "bob@example.com"}
    body = {"model": "echo", "messages": [], "metadata": metadata}
    body["messages"] = [{"role": "user", "content": "x"}]
    words = ("--body", "chat", "--black-out")
    told = data(*words, given=json.dumps(body))
    assert [one["place"] for one in told["texts"]] == [
        "messages.0.content", "metadata.*", "metadata.user",
    ]  # fmt: skip
    shown = run("-", "--project", "app", *words, given=json.dumps(body))
    assert "example.com" not in shown.output + json.dumps(told)


def test_blacked_out_what_is_reported_is_hidden_where_it_reaches_further() -> None:
    report = Finding(Span(0, 9, "STREET_ADDRESS", 1), Action.REPORT, "350 5th A")
    done = Finding(Span(6, 14, "LOCATION", 1), Action.MASK, "******")
    looked = _looked("350 5th Avenue, NY", [report, done])
    (text,) = as_data(looked, "p", True)["texts"]
    assert text["text"] == "[STREET_ADDRESS], NY"
    looked.refusal = TextBlocked("no", code="pii_blocked")
    (text,) = as_data(looked, "p", False)["texts"]
    assert text["text"] == "[STREET_ADDRESS], NY"
    assert "sent" not in text["findings"][0]


@pytest.mark.usefixtures("policies")
def test_without_the_pepper_it_says_that_placeholders_are_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GATEWAY_PEPPER")
    done = run("-", "--project", "app")
    assert "there is no pepper here" in done.stderr
    assert done.exit_code == 0
