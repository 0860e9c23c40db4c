"""`gateway usage reprice`: shown before it is written, and written once."""

import json
from dataclasses import replace
from functools import partial

import pytest
from command_line import run as run_command
from command_line import using

from gateway.backends.sql_book import post_entries
from gateway.cli.usage import app
from gateway.usage.entry import Entry, Source, Tokens

POLICY = """
upstreams:
  up: {base_url: "http://127.0.0.1:9/v1"}
models:
  gpt-4o:
    upstream: up
    endpoints: [chat]
    price: {input: 2, output: 8}
    context: 1000
    max_output: 100
    default_output: 10
  free: {upstream: up, endpoints: [chat], context: 1000, max_output: 100, default_output: 10}
redaction:
  open: {entities: {}}
plans:
  all: {models: [gpt-4o, free], redaction: open}
organizations:
  acme:
    defaults: {plan: all}
    projects:
      demo: {}
"""
TIME = 1_795_460_000.0
ENTRY = Entry(
    id="req_1", time=TIME, organization="acme", project="demo", model="gpt-4o", requests=1,
    tokens=Tokens(1000, 0, 500, 0), source=Source.PROVIDER, cost_nano=1_000_000, currency="USD",
)  # fmt: skip
BOOK = [
    ENTRY,
    replace(ENTRY, id="req_2", cost_nano=6_000_000),  # 1000 × 2 + 500 × 8 per million: as it is
    replace(ENTRY, id="req_3", model="gone"),
    replace(ENTRY, id="req_4", model="free", cost_nano=0),
    replace(ENTRY, id="req_5", currency="EUR"),
]


@pytest.fixture
def run(home):
    (home / "policies/p.yaml").write_text(POLICY)
    using(lambda database: post_entries(database, BOOK))
    return partial(run_command, app, "reprice", "--since", "2026-11-01", "--until", "2026-12-01")


def sums(result):
    assert result.exit_code == 0, result.output
    return {(row["model"], row["currency"]): row for row in json.loads(result.stdout)}


def test_the_difference_is_shown_and_nothing_written(run):
    for _ in range(2):
        found = sums(run("--json"))
        row = found["gpt-4o", "USD"]
        assert (row["entries"], row["changed"]) == (2, 1)
        assert (row["old"], row["new"], row["difference"]) == ("0.007", "0.012", "0.005")
        assert row["month"] == "2026-11"
    assert "--write corrects 1 entry." in run().stderr


def test_what_has_no_price_is_listed_and_left(run):
    found = sums(run("--json", "--write", "--by", "ada"))
    assert found["gone", "USD"]["left"] == "the model is not in the policies"
    assert found["free", "USD"]["left"] == "the model has no price"
    assert found["gpt-4o", "EUR"]["left"] == "the prices are in USD"
    assert {row["difference"] for row in found.values() if row["left"]} == {"0"}


def test_what_is_written_is_in_every_report_and_a_second_run_finds_nothing(run):
    assert "Posted 1 correction." in run("--write", "--by", "ada").stderr
    assert sums(run("--json"))["gpt-4o", "USD"]["changed"] == 0
    words = ["--since", "2026-11-01", "--until", "2026-12-01", "--json"]
    rows = json.loads(run_command(app, *words).stdout)
    (made,) = [row for row in rows if row["outcome"] == "correction"]
    assert (made["corrects"], made["cost"]) == ("req_1", "0.005")
    assert (made["code"], made["requests"]) == ("repriced by ada", 0)


def test_only_what_is_asked_for_is_repriced(run):
    assert sums(run("--json", "--model", "gone")).keys() == {("gone", "USD")}
    assert sums(run("--json", "--organization", "else")) == {}


@pytest.mark.parametrize("words", [("--write",), ("--write", "--by", " ")])
def test_who_writes_must_say_who_they_are(run, words):
    result = run(*words)
    assert result.exit_code == 2
    assert "--by NAME" in result.stderr
