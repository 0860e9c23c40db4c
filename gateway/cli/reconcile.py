"""`gateway usage reconcile`: counters, meters and a provider's costs against the book."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from gateway.backends.database import Database
from gateway.backends.sql_reconcile import SqlReconcile
from gateway.cli.console import (
    EXIT_USAGE,
    EXIT_WRONG,
    CommandError,
    counted,
    print_json,
    print_table,
    sentences,
)
from gateway.cli.store import AsJson, DatabaseUrl, asked, settings_for, with_database
from gateway.cli.told import counters_of, read_file, readings_of
from gateway.usage.costs import Cost, CostsError, read_costs
from gateway.usage.readings import Reading, meter_differences, not_compared
from gateway.usage.reconcile import Counter, Difference, cost_differences, counter_differences
from gateway.usage.report import Row, moment

GATEWAY = "http://127.0.0.1:9090"
ATTEMPTS = 5
PAUSE_SECONDS = 0.5
COLUMNS = ("what", "ours", "theirs", "difference", "reason")
TOLD = ("counters", "series", "cost_lines", "pending", "notes")
METERS = "The meters of /metrics are not compared; --metrics names them."

Ask = Callable[[], tuple[int, list[Counter]]]
Scrape = Callable[[], list[Reading]]


@dataclass(slots=True)
class Found:
    """What was compared, what differs, and sentences about what cannot be compared."""

    counters: int = 0
    series: int = 0
    cost_lines: int = 0
    pending: int = 0
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def reconcile(
    gateway: Annotated[
        str | None,
        typer.Option(
            help=f"Operations port of a gateway; {GATEWAY} if no --metrics or --costs is given."
        ),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL|FILE", help="Operations port of each process, or what its /metrics said."
        ),
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
        str, typer.Option(help="Differences of money up to this are none; units of the currency.")
    ] = "0.01",
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Compare every counter with the sum of its entries, meters and a provider's costs with ours.

    Exits with 1 where something differs. Works while requests go on."""
    with sentences():
        allowed = _decimal(tolerance)
        projects = dict(_pair(text) for text in project or ())
        now = time.time()
        begin = asked(lambda: moment(since, now)) if since else None
        end = asked(lambda: moment(until, now)) if until else None
        lines = [] if costs is None else _within(_read(Path(costs)), begin, end)
        url = gateway or (GATEWAY if costs is None and not metrics else None)
        ask = partial(counters_of, url) if url else None
        scrape = partial(readings_of, metrics) if metrics else None
        work = partial(
            compared, ask=ask, scrape=scrape, costs=lines, projects=projects, tolerance=allowed,
            pause=time.sleep,
        )  # fmt: skip
        found = with_database(settings_for(database_url), work)
        _print(found, as_json)
        if found.differences:
            raise typer.Exit(EXIT_WRONG)


async def compared(
    database: Database,
    ask: Ask | None,
    scrape: Scrape | None,
    costs: list[Cost],
    projects: dict[str, str],
    tolerance: Decimal,
    pause: Callable[[float], None],
) -> Found:
    """Everything that is asked for. While something does not fit, it is asked again, a bounded
    number of times: its entries may be on their way."""
    book, found = SqlReconcile(database), Found(cost_lines=len(costs))
    if ask:
        found.differences += await _settled(partial(_of_counters, book, ask, found), pause)
    if scrape:
        look = partial(_of_meters, book, scrape, tolerance, found)
        found.differences += await _settled(look, pause)
    if costs:
        spans = {(cost.start, cost.end) for cost in costs}
        ours = await book.costs(spans, set(projects.values()))
        found.differences += cost_differences(
            costs, ours, lambda project: projects.get(project, ""), tolerance
        )
    return found


async def _settled(
    look: Callable[[], Awaitable[list[Difference]]], pause: Callable[[float], None]
) -> list[Difference]:
    differences = await look()
    for _ in range(ATTEMPTS - 1):
        if differences:
            pause(PAUSE_SECONDS)
            differences = await look()
    return differences


async def _of_counters(book: SqlReconcile, ask: Ask, found: Found) -> list[Difference]:
    found.pending, counters = ask()
    found.counters = len(counters)
    spent = await book.spent(counters)
    after = {counter.identity: counter for counter in ask()[1]}
    return counter_differences(counters, spent, after, found.pending)


async def _of_meters(
    book: SqlReconcile, scrape: Scrape, tolerance: Decimal, found: Found
) -> list[Difference]:
    before = scrape()
    booked = await book.metered(min(one.start for one in before))
    found.series = len(booked.keys() | {series for one in before for series in one.series})
    found.notes = not_compared(before)
    return meter_differences(before, booked, scrape(), tolerance)


def _read(path: Path) -> list[Cost]:
    try:
        return read_costs(read_file(path).decode())
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
        told = {name: getattr(found, name) for name in TOLD}
        print_json({**told, "differences": rows})
        return
    if rows:
        print_table(COLUMNS, rows)
    if found.pending:
        typer.echo(
            f"On the way to the database: {counted(found.pending, 'entry', 'entries')}.", err=True
        )
    counts = f"{found.counters} counters, {found.series} series of meters and "
    counts += f"{found.cost_lines} lines of costs"
    typer.echo(f"Compared {counts}; {counted(len(rows), 'difference')}.", err=True)
    for note in found.notes if found.series else [METERS]:
        typer.echo(note, err=True)


def _row(one: Difference) -> Row:
    return {
        "what": one.what,
        "ours": f"{one.ours:f}",
        "theirs": f"{one.theirs:f}",
        "difference": f"{one.difference:f}",
        "reason": one.reason,
    }
