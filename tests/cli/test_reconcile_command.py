"""`gateway usage reconcile`: what differs is named, and the exit code tells of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from command_line import run as run_command
from command_line import using

from gateway.backends.sql_book import post_entries
from gateway.cli.usage import app
from gateway.meters.metrics import Meters
from gateway.usage.entry import Entry, Source, Tokens

DAY = 1_793_491_200.0
BOOK = [
    Entry(
        id=f"req_{n}", time=DAY + 40_000, organization="acme", project="demo", model="gpt-4o",
        upstream="openai", requests=1, tokens=Tokens(10, 0, 5, 0), source=Source.PROVIDER,
        cost_nano=500_000_000, currency="USD",
    )
    for n in range(3)
]  # fmt: skip
COSTS = 'start_time,amount_value,amount_currency,line_item\n1793491200,{},usd,"gpt-4o, input"\n'


@pytest.fixture
def run(home, monkeypatch):
    monkeypatch.setattr("gateway.cli.reconcile.PAUSE_SECONDS", 0)
    using(lambda database: post_entries(database, BOOK))
    return partial(run_command, app, "reconcile")


@contextmanager
def gateway(*answers: str, path: str = "/counters") -> Iterator[str]:
    """An operations port that gives these answers in turn, the last one for ever."""
    left = list(answers)

    class Port(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == path
            body = (left.pop(0) if len(left) > 1 else left[0]).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Port) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def counters(used: int, pending: int = 0, told: int = 1) -> str:
    head = {"counters": told, "pending": pending, "owed": 0}
    line = {
        "subject": {"organization": "acme"}, "measure": "requests", "window": "month",
        "since": DAY, "until": None, "used": used, "reserved": 0,
    }  # fmt: skip
    return "".join(json.dumps(one) + "\n" for one in (head, line))


def test_counters_that_are_their_entries_are_no_difference(run):
    with gateway(counters(3)) as url:
        result = run("--gateway", url, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "counters": 1, "series": 0, "cost_lines": 0, "pending": 0, "notes": [], "differences": [],
    }  # fmt: skip


def test_a_counter_that_differs_is_named_and_the_exit_code_is_1(run):
    with gateway(counters(5)) as url:
        result = run("--gateway", url, "--json")
    assert result.exit_code == 1
    (found,) = json.loads(result.stdout)["differences"]
    assert found["what"].startswith("requests of the month from 2026-11-01")
    assert (found["ours"], found["theirs"], found["difference"]) == ("3", "5", "-2")


def meters(*entries: Entry, start: float = DAY) -> str:
    counting = Meters()
    counting.start_time.set(start)
    for entry in entries:
        counting.record(entry)
    return counting.exposition().decode()


def test_meters_of_all_processes_that_are_the_book_together_are_no_difference(run):
    Path("two.prom").write_text(meters(*BOOK[2:], start=DAY + 5))
    with gateway(meters(*BOOK[:2]), path="/metrics") as url:
        for place in (url, f"{url}/", f"{url}/metrics"):
            result = run("--metrics", place, "--metrics", "two.prom", "--json")
            assert result.exit_code == 0, result.output
        told = json.loads(result.stdout)
    assert (told["series"], told["counters"], told["differences"]) == (4, 0, [])
    assert told["notes"][0].startswith("The meters count since 2026-11-01T00:00:00.000Z")


def test_a_meter_that_differs_is_named_and_the_exit_code_is_1(run):
    with gateway(meters(*BOOK[:2]), path="/metrics") as url:
        result = run("--metrics", url, "--json", "--tolerance", "1")
    assert result.exit_code == 1
    found = json.loads(result.stdout)["differences"]
    assert [(one["ours"], one["theirs"]) for one in found] == [
        ("3", "2"),
        ("30", "20"),
        ("15", "10"),
    ]
    assert 'project="demo"' in found[1]["what"]
    assert "is not named here" in found[1]["reason"]


def test_meters_that_are_ahead_of_the_book_are_asked_again(run):
    more = replace(BOOK[0], id="req_9")
    with gateway(meters(*BOOK, more), meters(*BOOK, more), meters(*BOOK), path="/metrics") as url:
        assert run("--metrics", url).exit_code == 0


def test_a_process_that_was_restarted_is_said_plainly(run):
    Path("old.prom").write_text(meters(*BOOK[:1]))
    Path("new.prom").write_text(meters(start=DAY + 50_000))
    result = run("--metrics", "old.prom", "--metrics", "new.prom")
    assert result.exit_code == 1
    assert "new.prom started later than that" in result.stderr
    assert "The meters of /metrics are not compared" not in result.stderr


@pytest.mark.parametrize(("text", "told"), [
    ("<html>", "bad.prom is not what /metrics of a gateway of this version says"),
    ("", "it has no gateway_start_time_seconds"),
    (None, "bad.prom cannot be read"),
])  # fmt: skip
def test_what_is_no_metrics_is_a_sentence(run, text, told):
    if text is not None:
        Path("bad.prom").write_text(text)
    result = run("--metrics", "bad.prom")
    assert result.exit_code == 3
    assert told in result.stderr


def test_entries_on_their_way_are_waited_for(run):
    with gateway(counters(5, pending=2), counters(5, pending=2), counters(3)) as url:
        assert run("--gateway", url).exit_code == 0
    with gateway(counters(5, pending=2)) as url:
        result = run("--gateway", url)
    assert result.exit_code == 1
    assert "On the way to the database: 2 entries.\n" in result.stderr
    assert "; 1 difference.\n" in result.stderr


@pytest.mark.parametrize("answer", ["hello", "[]", '{"counters": 1}', "", "{}\n[1]"])
def test_what_is_no_operations_port_is_a_sentence(run, answer):
    with gateway(answer) as url:
        result = run("--gateway", url)
    assert result.exit_code == 3
    assert "answers with something else" in result.stderr


def test_counters_that_were_cut_off_are_not_taken_for_all(run):
    with gateway(counters(3, told=7)) as url:
        result = run("--gateway", url)
    assert result.exit_code == 3
    assert "has 7 counters and told 1" in result.stderr


def test_a_gateway_that_is_not_there_is_a_sentence(run):
    result = run("--gateway", "http://127.0.0.1:9")
    assert result.exit_code == 3
    assert "does not tell its counters" in result.stderr


@pytest.mark.parametrize(("amount", "words", "exit_code"), [
    ("1.5", (), 0),
    ("1.509", (), 0),
    ("1.6", (), 1),
    ("1.6", ("--tolerance", "0.1"), 0),
    ("1.6", ("--since", "2026-11-02"), 0),
    ("1.6", ("--until", "2026-11-01"), 0),
    ("1.500000001", ("--tolerance", "0"), 1),
])  # fmt: skip
def test_costs_are_compared_within_the_tolerance(run, amount, words, exit_code):
    Path("costs.csv").write_text(COSTS.format(amount))
    result = run("--costs", "costs.csv", *words)
    assert result.exit_code == exit_code, result.output


def test_a_difference_of_costs_is_told_with_its_reason(run):
    Path("costs.csv").write_text(COSTS.format("2"))
    (found,) = json.loads(run("--costs", "costs.csv", "--json").stdout)["differences"]
    assert found["what"] == "USD 2026-11-01 gpt-4o"
    assert (found["ours"], found["theirs"], found["difference"]) == ("1.5", "2", "-0.5")
    assert "our tokens: 30 input, 0 of them cached, 15 output" in found["reason"]


@pytest.mark.parametrize(("words", "exit_code", "told"), [
    (("--costs", "nowhere.csv"), 3, "nowhere.csv cannot be read"),
    (("--costs", "bad.csv"), 1, "bad.csv is no export of costs: the first line has no column"),
    (("--costs", "bytes.csv"), 1, "bytes.csv is no text in UTF-8"),
    (("--tolerance", "much"), 2, "--tolerance is 'much'"),
    (("--project", "x"), 2, "expected THEIRS=OURS"),
    (("--since", "soon"), 2, "'soon' is not a time"),
])  # fmt: skip
def test_a_bad_file_or_word_is_a_sentence(run, words, exit_code, told):
    Path("bad.csv").write_text("a,b\n")
    Path("bytes.csv").write_bytes(b"\xff\xfe")
    result = run(*words)
    assert result.exit_code == exit_code
    assert told in result.stderr
