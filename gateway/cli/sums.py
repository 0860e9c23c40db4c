"""`gateway usage sums`: the sums that reports are read from, held against the entries."""

from __future__ import annotations

import time
from functools import partial
from typing import Annotated

import typer

from gateway.backends.database import Database
from gateway.backends.sql_audit import SqlAudit
from gateway.backends.sql_rollups import Wrong
from gateway.backends.tables import micros, seconds
from gateway.cli.console import EXIT_WRONG, counted, print_json, print_table, sentences
from gateway.cli.store import AsJson, DatabaseUrl, asked, settings_for, with_database
from gateway.usage.report import iso, moment
from gateway.usage.rollup import Span

COLUMNS = ("sums", "span", "start", "cells")


def sums(
    since: Annotated[
        str | None, typer.Option(help="Days from when: 7d, or an ISO date (UTC). All, if left out.")
    ] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Sum the entries of these days up anew.")
    ] = False,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Compare the kept sums of usage with the entries, day by day.

    Exits with 1 where they differ. Works while requests go on; with --rebuild, what writes usage
    waits for one day at a time."""
    with sentences():
        now = time.time()
        begin = Span.DAY.start(micros(max(0.0, asked(lambda: moment(since, now))))) if since else 0
        settings = settings_for(database_url)
        work = partial(audited, since=begin, rebuild=rebuild)
        days, wrong = with_database(settings, work, writes=rebuild)
        rows = [
            {"sums": w.view, "span": w.span.value, "start": iso(seconds(w.start)), "cells": w.cells}
            for w in wrong
        ]
        if as_json:
            print_json({"days": days, "differences": rows})
        else:
            if rows:
                print_table(COLUMNS, rows)
            did = "Summed up anew" if rebuild else "Compared"
            typer.echo(f"{did}: {counted(days, 'day')}; {counted(len(rows), 'difference')}.")
        if rows:
            raise typer.Exit(EXIT_WRONG)


async def audited(database: Database, since: int, rebuild: bool) -> tuple[int, list[Wrong]]:
    """How many days were looked at, and what of their sums differs (after they were made anew, if
    `rebuild`)."""
    audit = SqlAudit(database)
    days = await audit.days(since, None)
    wrong: list[Wrong] = []
    for day in days:
        if rebuild:
            await audit.make(day)
        wrong += await audit.wrong(day)
    if rebuild:
        await audit.make_months(days)
    return len(days), wrong + await audit.wrong_months(days)
