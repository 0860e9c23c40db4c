"""`gateway usage`: what was used, by whom, and what it cost; as a table, JSON or CSV."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import Annotated

import typer

from gateway.backends.database import Database
from gateway.backends.sql_report import SqlReport
from gateway.cli.console import EXIT_USAGE, CommandError, print_json, print_table, sentences
from gateway.cli.prune import prune
from gateway.cli.reconcile import reconcile
from gateway.cli.reprice import reprice
from gateway.cli.store import AsJson, DatabaseUrl, asked, settings_for, with_database
from gateway.cli.sums import sums
from gateway.usage.report import (
    BUCKETS,
    ENTRY_COLUMNS,
    FIELDS,
    Query,
    Row,
    columns_by,
    csv_line,
    entry_row,
    iso,
    moment,
    sum_columns,
)

TABLE_ROWS = 50
TABLE_COLUMNS = (
    "time", "project", "key_id", "model", "status", "outcome", "input_tokens", "output_tokens",
    "cost", "currency", "duration_ms",
)  # fmt: skip
app = typer.Typer(invoke_without_command=True)
BY_HELP = f"Sum by these columns, with commas: {', '.join([*FIELDS, *BUCKETS])}."


@app.callback()
def usage(
    context: typer.Context,
    since: Annotated[
        str, typer.Option(help="From when: 30m, 24h, 7d, 2w, or an ISO date (UTC).")
    ] = "7d",
    until: Annotated[str | None, typer.Option(help="To when, the same way. Now, if left out.")] = (
        None
    ),
    by: Annotated[str | None, typer.Option(help=BY_HELP)] = None,
    organization: Annotated[str | None, typer.Option(help="Only this organization.")] = None,
    project: Annotated[str | None, typer.Option(help="Only this project.")] = None,
    key: Annotated[str | None, typer.Option(help="Only the key of this id.")] = None,
    end_user: Annotated[str | None, typer.Option(help="Only this end user.")] = None,
    model: Annotated[str | None, typer.Option(help="Only this model, as it was asked for.")] = None,
    outcome: Annotated[str | None, typer.Option(help="Only this outcome: ok, refused, …")] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help=f"At most so many rows. The table of entries has {TABLE_ROWS}."),
    ] = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, for spreadsheets.")] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Show usage: one row a request, the newest first; or with --by, sums."""
    if context.invoked_subcommand is not None:
        return
    with sentences():
        if as_json and as_csv:
            raise CommandError("--json and --csv exclude each other.", EXIT_USAGE)
        now = time.time()
        filters = {
            "organization": organization, "project": project, "key_id": key,
            "end_user": end_user, "model": model, "outcome": outcome,
        }  # fmt: skip
        query = Query(
            since=asked(lambda: moment(since, now)),
            until=asked(lambda: moment(until, now)) if until else None,
            by=asked(lambda: columns_by(by)) if by is not None else (),
            filters={name: value for name, value in filters.items() if value is not None},
            limit=limit,
        )
        style = "json" if as_json else "csv" if as_csv else "table"
        settings = settings_for(database_url)
        with_database(settings, lambda database: _print(database, query, style))


app.command()(reconcile)
app.command()(reprice)
app.command()(sums)
app.command()(prune)


async def _print(database: Database, query: Query, style: str) -> None:
    await (_print_sums if query.by else _print_entries)(database, query, style)
    gone = await SqlReport(database).pruned_before(query)
    if gone is not None:
        typer.echo(f"Entries before {iso(gone)[:10]} were pruned; they are missing here.", err=True)


async def _print_sums(database: Database, query: Query, style: str) -> None:
    columns = sum_columns(query.by)
    rows = await SqlReport(database).sums(query)
    if style == "json":
        print_json(rows)
    elif style == "csv":
        sys.stdout.write(csv_line(columns))
        sys.stdout.writelines(csv_line([row[name] for name in columns]) for row in rows)
    else:
        _print_table([name for name in columns if name != "cost_nano"], rows)


async def _print_entries(database: Database, query: Query, style: str) -> None:
    """JSON and CSV are written as they are read, as there may be any number of entries."""
    if style == "table":
        await _print_newest(database, query)
        return
    count = 0
    if style == "csv":
        sys.stdout.write(csv_line(ENTRY_COLUMNS))
    async with aclosing(SqlReport(database).entries(query)) as found:
        async for entry in found:
            row = entry_row(entry)
            if style == "csv":
                sys.stdout.write(csv_line([row[name] for name in ENTRY_COLUMNS]))
            else:
                lead = ",\n  " if count else "[\n  "
                sys.stdout.write(lead + json.dumps(row, ensure_ascii=False))
            count += 1
    if style == "json":
        sys.stdout.write("\n]\n" if count else "[]\n")


async def _print_newest(database: Database, query: Query) -> None:
    wanted = query.limit or TABLE_ROWS
    rows: list[Row] = []
    async with aclosing(SqlReport(database).entries(query)) as found:
        async for entry in found:
            if len(rows) == wanted:
                if query.limit is None:
                    typer.echo(f"The newest {wanted} only; --limit shows more.", err=True)
                break
            rows.append(entry_row(entry))
    _print_table(TABLE_COLUMNS, rows)


def _print_table(columns: Sequence[str], rows: Sequence[Row]) -> None:
    print_table(columns, rows)
    if not rows:
        typer.echo("Nothing was used in this time.", err=True)
