"""`gateway usage sums`: kept sums against entries."""

import json

from command_line import run, using
from sqlalchemy import text

from gateway.backends.sql_book import post_entries
from gateway.cli.usage import app
from gateway.usage.entry import Entry

BOOK = [Entry(f"req_{n}", 1_767_225_600.0 + n * 40_000, requests=1) for n in range(9)]


def spoil(statement):
    using(lambda database: database.write(lambda c: c.execute(text(statement))))


def test_sums_that_agree_are_said_to_and_others_are_named_and_mended(home):
    using(lambda database: post_entries(database, BOOK))
    agreed = run(app, "sums")
    assert agreed.exit_code == 0
    assert "Compared: 4 days; 0 differences." in agreed.output
    spoil("DELETE FROM rollup_keys WHERE span = 'month'")
    spoil("UPDATE rollup_models SET requests = 9 WHERE span = 'hour' AND start = 1767225600000000")
    wrong = run(app, "sums", "--json")
    assert wrong.exit_code == 1
    assert json.loads(wrong.stdout) == {"days": 4, "differences": [
        {"sums": "models", "span": "hour", "start": "2026-01-01T00:00:00.000Z", "cells": 1},
        {"sums": "keys", "span": "month", "start": "2026-01-01T00:00:00.000Z", "cells": 1},
    ]}  # fmt: skip
    assert "keys" in run(app, "sums").output
    assert run(app, "sums", "--since", "2026-01-03", "--json").exit_code == 1
    mended = run(app, "sums", "--rebuild")
    assert mended.exit_code == 0
    assert "Summed up anew: 4 days; 0 differences." in mended.output
    assert run(app, "sums").exit_code == 0
