"""`gateway usage reconcile`: counters against the book, and the book against a provider's costs."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.backends.database import Database
from gateway.backends.sql_reconcile import FIGURES, SqlReconcile
from gateway.cli.console import (
    EXIT_UNAVAILABLE,
    EXIT_USAGE,
    EXIT_WRONG,
    CommandError,
    print_json,
    print_table,
    sentences,
)
from gateway.cli.store import AsJson, DatabaseUrl, asked, settings_for, with_database
from gateway.usage.costs import Cost, CostsError, read_costs
from gateway.usage.reconcile import Counter, Difference, cost_differences, counter_differences
from gateway.usage.report import Row, moment

GATEWAY = "http://127.0.0.1:9090"
ASK_SECONDS = 30.0
ANSWER_BYTES_MAX = 256 * 2**20
FILE_BYTES_MAX = 256 * 2**20
ATTEMPTS = 5
PAUSE_SECONDS = 0.5
COLUMNS = ("what", "ours", "theirs", "difference", "reason")
METERS = (
    "The meters of /metrics are not compared: they count since each process started, and not what "
    "was booked for a process that died."
)

Ask = Callable[[], tuple[int, list[Counter]]]
"""How many entries wait to be written, and every counter, before those were written."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was compared, and what differs."""

    counters: int
    cost_lines: int
    pending: int
    differences: list[Difference]


def reconcile(
    gateway: Annotated[
        str | None,
        typer.Option(help=f"Operations port of a gateway; {GATEWAY} if no --costs is given."),
    ] = None,
    costs: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A provider's /v1/organization/costs: JSON or CSV."),
    ] = None,
    project: Annotated[
        list[str] | None,
        typer.Option(metavar="THEIRS=OURS", help="A project of the export is one of ours."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Buckets of costs from when: 30d, or an ISO date (UTC).")
    ] = None,
    until: Annotated[str | None, typer.Option(help="To when, the same way.")] = None,
    tolerance: Annotated[
        str, typer.Option(help="Differences of costs up to this are none; units of the currency.")
    ] = "0.01",
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Compare every counter with the sum of its entries, and a provider's costs with ours.

    Exits with 1 where something differs. Works while requests go on."""
    with sentences():
        allowed = _decimal(tolerance)
        projects = dict(_pair(text) for text in project or ())
        now = time.time()
        begin = asked(lambda: moment(since, now)) if since else None
        end = asked(lambda: moment(until, now)) if until else None
        lines = [] if costs is None else _within(_read(Path(costs)), begin, end)
        url = gateway or (GATEWAY if costs is None else None)
        ask = partial(_counters, url) if url else None
        work = partial(
            compared, ask=ask, costs=lines, projects=projects, tolerance=allowed, pause=time.sleep
        )
        found = with_database(settings_for(database_url), work)
        _print(found, as_json)
        if found.differences:
            raise typer.Exit(EXIT_WRONG)


async def compared(
    database: Database,
    ask: Ask | None,
    costs: list[Cost],
    projects: dict[str, str],
    tolerance: Decimal,
    pause: Callable[[float], None],
) -> Found:
    """Everything that is asked for. While a counter does not fit, all are asked again, a bounded
    number of times: its entries may be on their way."""
    book = SqlReconcile(database)
    pending, counters, differences = 0, list[Counter](), list[Difference]()
    for attempt in range(ATTEMPTS if ask else 0):
        assert ask is not None
        if attempt:
            pause(PAUSE_SECONDS)
        pending, counters = ask()
        spent = await book.spent(counters)
        after = {counter.identity: counter for counter in ask()[1]}
        differences = counter_differences(counters, spent, after, pending)
        if not differences:
            break
    if costs:
        spans = {(cost.start, cost.end) for cost in costs}
        ours = await book.costs(spans, set(projects.values()))
        differences += cost_differences(costs, ours, lambda p: projects.get(p, ""), tolerance)
    return Found(len(counters), len(costs), pending, differences)


def _counters(url: str) -> tuple[int, list[Counter]]:
    """What `GET /counters` answers. Raises CommandError."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/counters", timeout=ASK_SECONDS) as answer:
            raw = answer.read(ANSWER_BYTES_MAX + 1)
    except (OSError, ValueError, HTTPException) as error:
        told = getattr(error, "reason", None) or error
        raise CommandError(f"{url} does not tell its counters: {told}.", EXIT_UNAVAILABLE) from None
    try:
        head, *lines = map(json.loads, raw.decode().splitlines())
        counters = [_counter(line) for line in lines]
        total, waiting = int(head["counters"]), int(head["pending"]) + int(head["owed"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CommandError(
            f"{url}/counters answers with something else; is it the operations port of a gateway "
            "of this version?",
            EXIT_UNAVAILABLE,
        ) from None
    if total != len(counters):
        raise CommandError(
            f"{url} has {total} counters and told {len(counters)} of them.", EXIT_UNAVAILABLE
        )
    return waiting, [counter for counter in counters if counter.measure in FIGURES]


def _counter(line: Any) -> Counter:
    until = line["until"]
    return Counter(
        subject=tuple((str(name), str(value)) for name, value in line["subject"].items()),
        measure=str(line["measure"]),
        window=str(line["window"]),
        since=float(line["since"]),
        until=None if until is None else float(until),
        used=int(line["used"]),
        reserved=int(line["reserved"]),
    )


def _read(path: Path) -> list[Cost]:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise CommandError(f"{path} is too large; export fewer days.", EXIT_UNAVAILABLE)
        return read_costs(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}."
        raise CommandError(message, EXIT_UNAVAILABLE) from None
    except UnicodeDecodeError:
        raise CommandError(f"{path} is no text in UTF-8.") from None
    except CostsError as problem:
        raise CommandError(f"{path} is no export of costs: {problem}.") from None


def _within(costs: list[Cost], begin: float | None, end: float | None) -> list[Cost]:
    return [
        cost
        for cost in costs
        if (begin is None or cost.start >= begin) and (end is None or cost.end <= end)
    ]


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or value < 0:
        raise CommandError(f"--tolerance is {text!r}; expected a number as 0.01.", EXIT_USAGE)
    return value


def _pair(text: str) -> tuple[str, str]:
    theirs, equals, ours = text.partition("=")
    if not (theirs and equals and ours):
        raise CommandError(f"--project is {text!r}; expected THEIRS=OURS.", EXIT_USAGE)
    return theirs, ours


def _print(found: Found, as_json: bool) -> None:
    rows = [_row(one) for one in found.differences]
    if as_json:
        told = {"counters": found.counters, "cost_lines": found.cost_lines}
        print_json({**told, "pending": found.pending, "differences": rows})
        return
    if rows:
        print_table(COLUMNS, rows)
    if found.pending:
        typer.echo(f"{found.pending} entries are on their way to the database.", err=True)
    compared_ = f"{found.counters} counters and {found.cost_lines} lines of costs"
    typer.echo(f"Compared {compared_}; {len(rows)} differences. {METERS}", err=True)


def _row(one: Difference) -> Row:
    return {
        "what": one.what,
        "ours": f"{one.ours:f}",
        "theirs": f"{one.theirs:f}",
        "difference": f"{one.difference:f}",
        "reason": one.reason,
    }
