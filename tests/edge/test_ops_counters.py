"""`GET /counters` on the operations port: a head line, and a line for each calendar counter."""

import asyncio
import json
from types import SimpleNamespace

from gateway.edge import ops
from gateway.edge.ops import build_ops
from gateway.errors import Unavailable
from gateway.quota.ledger import CounterState
from gateway.quota.limit import Measure, Window
from gateway.usage.record import JournalState

STATES = [
    CounterState(
        (("organization", "acme"), ("project", f"p{n}")), Measure.MONEY, Window.MONTH, 1.0,
        None if n else 2.0, n, 7,
    )
    for n in range(5)
]  # fmt: skip


class Accounts:
    """A ledger and its journal; `done` is what was asked of them, in order."""

    def __init__(self, pending: int = 0, outage: bool = False, hangs: bool = False) -> None:
        self.pending, self.outage, self.hangs = pending, outage, hangs
        self.done: list[str] = []

    async def counters(self):
        if self.outage:
            raise Unavailable("away", code="ledger_unavailable")
        self.done.append("counters")
        return STATES

    def owed(self):
        return 3

    async def flush(self):
        self.done.append("flush")
        if self.hangs:
            await asyncio.Event().wait()

    def state(self, now):
        return JournalState(pending=self.pending, lag_seconds=0, errors=0, full=False)


def get(accounts):
    """Status and lines of the answer."""
    parts = SimpleNamespace(ledger=accounts, journal=accounts, clock=lambda: 5.0)
    sent = []

    async def main():
        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http", "method": "GET", "path": "/counters", "query_string": b"",
            "headers": [], "asgi": {"spec_version": "2.4"},
        }  # fmt: skip
        await build_ops(parts)(scope, receive, send)

    asyncio.run(main())
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], body.decode().splitlines()


def test_each_counter_is_a_line_after_the_head(monkeypatch):
    monkeypatch.setattr(ops, "LINES_AT_ONCE", 2)
    status, lines = get(Accounts())
    head, *counters = map(json.loads, lines)
    assert status == 200
    assert head == {"counters": 5, "pending": 0, "owed": 3}
    assert [one["used"] for one in counters] == [0, 1, 2, 3, 4]
    assert counters[0] == {
        "subject": {"organization": "acme", "project": "p0"}, "measure": "money",
        "window": "month", "since": 1.0, "until": 2.0, "used": 0, "reserved": 7,
    }  # fmt: skip


def test_what_the_counters_count_is_written_after_they_were_read():
    accounts = Accounts()
    get(accounts)
    assert accounts.done == ["counters", "flush"]


def test_entries_that_cannot_be_written_in_time_are_told(monkeypatch):
    monkeypatch.setattr(ops, "CHECK_SECONDS", 0.01)
    status, lines = get(Accounts(pending=4, hangs=True))
    assert (status, json.loads(lines[0])["pending"]) == (200, 4)


def test_the_head_tells_of_counters_that_are_not_shown(monkeypatch):
    monkeypatch.setattr(ops, "COUNTERS_MAX", 2)
    _, lines = get(Accounts())
    assert json.loads(lines[0])["counters"] == 5
    assert len(lines) == 1 + 2


def test_a_ledger_that_cannot_be_asked_is_a_503():
    assert get(Accounts(outage=True))[0] == 503
