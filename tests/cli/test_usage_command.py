"""`gateway usage`: entries and sums as a table, JSON or CSV."""

import csv
import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from functools import partial

import pytest
from command_line import run, using

from gateway.backends.sql_book import post_entries
from gateway.cli.console import plain
from gateway.cli.usage import TABLE_COLUMNS, app
from gateway.usage.entry import Entry, Outcome, Source, Tokens
from gateway.usage.report import ENTRY_COLUMNS, entry_row

NOW = time.time()
HOUR = 3600.0
BOOK = [
    Entry(
        id=f"req_{n}", time=NOW - n * HOUR - 60, organization="acme", project=project,
        key_id=f"key_{n % 2}", end_user="=cmd()", model=model, endpoint="chat", status=200,
        outcome=outcome, requests=1, tokens=Tokens(10, 4, 5, 1), source=Source.PROVIDER,
        cost_nano=1_500_000_000, currency=currency, redactions={"EMAIL_ADDRESS:mask": 1},
    )
    for n, (project, model, outcome, currency) in enumerate([
        ("demo", "echo", Outcome.OK, "USD"),
        ("demo", "gpt-4o", Outcome.REFUSED, "USD"),
        ("batch", "[/bold]\x1b[31m", Outcome.OK, "EUR"),
        ("demo", "echo", Outcome.OK, "USD"),
    ])
]  # fmt: skip


@pytest.fixture
def gateway(home):
    """Runs `gateway usage …` on a database that has BOOK."""
    using(lambda database: post_entries(database, BOOK))
    return partial(run, app)


def rows(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_json_is_a_list_with_one_row_an_entry_the_newest_first(gateway):
    found = rows(gateway("--json"))
    assert [row["id"] for row in found] == ["req_0", "req_1", "req_2", "req_3"]
    assert set(found[0]) == set(ENTRY_COLUMNS)
    assert found[0]["cost"] == "1.5"
    assert found[0]["redactions"] == {"EMAIL_ADDRESS:mask": 1}


@pytest.mark.parametrize(("words", "ids"), [
    (("--since", "90m"), ["req_0", "req_1"]),
    (("--since", "1d", "--until", "90m"), ["req_2", "req_3"]),
    (("--project", "demo", "--model", "echo"), ["req_0", "req_3"]),
    (("--key", "key_1"), ["req_1", "req_3"]),
    (("--outcome", "refused"), ["req_1"]),
    (("--end-user", "=cmd()", "--organization", "acme", "--limit", "1"), ["req_0"]),
    (("--project", "nowhere"), []),
])  # fmt: skip
def test_a_question_is_narrowed_down(gateway, words, ids):
    assert [row["id"] for row in rows(gateway("--json", *words))] == ids


def test_sums_never_mix_currencies(gateway):
    found = rows(gateway("--by", "organization", "--json"))
    assert found == [
        {"organization": "acme", "entries": 1, "requests": 1, "refused": 0, "input_tokens": 10,
         "cached_input_tokens": 4, "output_tokens": 5, "reasoning_tokens": 1,
         "audio_input_tokens": 0, "audio_output_tokens": 0,
         "cost_nano": 1_500_000_000, "cost": "1.5", "currency": "EUR"},
        {"organization": "acme", "entries": 3, "requests": 3, "refused": 1, "input_tokens": 30,
         "cached_input_tokens": 12, "output_tokens": 15, "reasoning_tokens": 3,
         "audio_input_tokens": 0, "audio_output_tokens": 0,
         "cost_nano": 4_500_000_000, "cost": "4.5", "currency": "USD"},
    ]  # fmt: skip


def test_sums_are_made_by_what_was_asked(gateway):
    found = rows(gateway("--by", "project,model", "--json"))
    assert [(row["project"], row["model"], row["entries"]) for row in found] == [
        ("batch", "[/bold]\x1b[31m", 1), ("demo", "echo", 2), ("demo", "gpt-4o", 1),
    ]  # fmt: skip


def test_csv_has_a_header_and_no_formula(gateway):
    found = list(csv.DictReader(io.StringIO(gateway("--csv").stdout, newline="")))
    assert [row["id"] for row in found] == ["req_0", "req_1", "req_2", "req_3"]
    assert found[0]["end_user"] == "'=cmd()"
    sums = list(csv.DictReader(io.StringIO(gateway("--csv", "--by", "key").stdout, newline="")))
    assert [(row["key"], row["cost"], row["currency"]) for row in sums] == [
        ("key_0", "1.5", "EUR"), ("key_0", "1.5", "USD"), ("key_1", "3", "USD"),
    ]  # fmt: skip


def test_an_empty_answer_is_still_json_and_csv(gateway):
    nothing = ("--project", "nowhere")
    assert rows(gateway("--json", *nothing)) == []
    assert rows(gateway("--json", "--by", "model", *nothing)) == []
    assert gateway("--csv", *nothing).stdout_bytes.decode() == ",".join(ENTRY_COLUMNS) + "\r\n"
    assert "Nothing was used" in gateway(*nothing).stderr


def test_a_table_shows_what_callers_wrote_as_plain_text(gateway, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    entries = gateway().stdout
    assert "[/bold]\ufffd[31m" in entries
    sums = gateway("--by", "project,model").stdout
    assert "[/bold]\ufffd[31m" in sums
    assert "\x1b" not in entries + sums
    assert len(sums.splitlines()) == 4


def test_a_pipe_gets_every_value_whole_and_one_line_a_row(gateway, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = gateway().stdout.splitlines()
    assert len(lines) == 1 + len(BOOK)
    assert lines[0].split() == list(TABLE_COLUMNS)
    for line, entry in zip(lines[1:], BOOK, strict=True):
        row = entry_row(entry)
        assert line.split() == [plain(row[name]) for name in TABLE_COLUMNS]


def test_a_terminal_of_80_columns_folds_and_cuts_nothing(gateway):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    unset = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
    environ = {name: value for name, value in os.environ.items() if name not in unset}
    command = [sys.executable, "-m", "gateway.cli.main", "usage", "--limit", "1"]
    with os.fdopen(ours, "rb", buffering=0) as screen, os.fdopen(theirs, "wb") as terminal:
        subprocess.run(
            command, stdin=terminal, stdout=terminal, env=environ | {"TERM": "xterm"}, check=True
        )
        shown = re.sub("\x1b\\[[0-9;]*m", "", screen.read(4096).decode()).splitlines()
    assert max(map(len, shown)) <= 80
    row = entry_row(BOOK[0])
    wanted = [name + plain(row[name]) for name in TABLE_COLUMNS]
    assert columns_of(shown) == wanted


def columns_of(lines):
    """What stands in each column of a folded table: its header and its value, unfolded."""
    lines = [line.ljust(80) for line in lines]
    used = "".join(" " if set(places) == {" "} else "x" for places in zip(*lines, strict=True))
    spans = [match.span() for match in re.finditer("x+", used)]
    return ["".join(line[a:b].strip() for line in lines) for a, b in spans]


def test_a_table_says_when_there_is_more(gateway, monkeypatch):
    monkeypatch.setattr("gateway.cli.usage.TABLE_ROWS", 3)
    result = gateway()
    assert len(result.stdout.splitlines()) == 4
    assert "The newest 3 only" in result.stderr
    assert gateway("--limit", "3").stderr == ""


@pytest.mark.parametrize(("words", "exit_code", "told"), [
    (("--since", "yesterday"), 2, "'yesterday' is not a time; expected"),
    (("--until", "soon"), 2, "'soon' is not a time; expected"),
    (("--by", "colour"), 2, "Cannot sum by 'colour'; expected some of organization"),
    (("--by", ""), 2, "Cannot sum by nothing"),
    (("--json", "--csv"), 2, "exclude each other"),
    (("--database-url", "sqlite:///new.db"), 3, "run `gateway migrate`"),
])  # fmt: skip
def test_a_wrong_question_is_a_sentence(gateway, words, exit_code, told):
    result = gateway(*words)
    assert result.exit_code == exit_code
    assert result.stdout == ""
    assert told in result.stderr
