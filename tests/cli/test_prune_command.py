"""`gateway usage prune`: what it deletes, and what it refuses to."""

import json
import time
from pathlib import Path

import pytest
from command_line import complaint, run, using

from gateway.backends.sql_book import post_entries
from gateway.cli.usage import app
from gateway.usage.entry import Entry

NOW = time.time()
BOOK = [Entry(f"req_{n}", NOW - n * 20 * 86400, project="demo", requests=1) for n in range(10)]


@pytest.fixture
def gateway(home):
    policies = Path(__file__).parents[2] / "policies/default.yaml"
    (home / "policies/default.yaml").write_bytes(policies.read_bytes())
    using(lambda database: post_entries(database, BOOK))
    return home


def count():
    return len(json.loads(run(app, "--since", "1000d", "--json").stdout))


def test_a_dry_run_says_what_would_go_and_then_it_goes_but_for_the_sums(gateway):
    would = run(app, "prune", "--before", "60d", "--dry-run", "--json")
    assert would.exit_code == 0, would.output
    told = json.loads(would.stdout)
    assert told["deleted"] is False
    assert 5 <= told["entries"] <= 7
    assert told["before"].endswith("-01T00:00:00.000Z")
    assert count() == 10
    done = run(app, "prune", "--before", "60d")
    assert f"{told['entries']} entries before {told['before'][:10]} deleted." in done.output
    assert count() == 10 - told["entries"]
    sums = run(app, "--by", "project", "--since", "2020-01-01", "--json")
    assert json.loads(sums.stdout)[0]["entries"] == 10
    assert "were pruned" not in sums.stderr
    by_user = run(app, "--by", "end_user", "--since", "2020-01-01")
    assert f"Entries before {told['before'][:10]} were pruned" in by_user.stderr
    assert run(app, "sums").exit_code == 0


def test_what_a_limit_counts_by_does_not_go(gateway):
    file = gateway / "policies/default.yaml"
    prepaid = "- {name: prepaid, measure: money, amount: 1 USD, per: none, each: end_user}"
    old = "      - {name: project-tokens"
    file.write_text(file.read_text().replace(old, f"      {prepaid}\n{old}"))
    said = complaint(run(app, "prune", "--before", "60d"), 1)
    assert "'prepaid' of 'default' counts by the entries since the beginning" in said
    assert count() == 10
