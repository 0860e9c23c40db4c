"""`gateway usage prune`: old entries deleted, their sums kept."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from functools import partial
from typing import Annotated

import typer

from gateway.backends.database import Database
from gateway.backends.sql_prune import Gone, SqlPrune, SumsDiffer
from gateway.backends.tables import micros, seconds
from gateway.cli.console import CommandError, counted, print_json, sentences
from gateway.cli.project import policy_of
from gateway.cli.store import AsJson, DatabaseUrl, asked, settings_for, with_database
from gateway.policy.kept import first_need
from gateway.policy.policy import Policy
from gateway.usage.report import iso, moment
from gateway.usage.rollup import Span

PAUSE_SECONDS = 0.02  # after each batch, for those who write


def prune(
    before: Annotated[
        str, typer.Option(help="Entries older than this: 90d, or an ISO date (UTC).")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how many entries would go.")
    ] = False,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Delete the entries of whole months (UTC) that are over before a time. Their sums stay.

    Refuses where a limit of the policies still counts by them. Works while requests go on."""
    with sentences():
        now = time.time()
        asked_for = asked(lambda: moment(before, now))
        start = Span.MONTH.start(micros(max(0.0, asked_for)))
        settings = settings_for(database_url)
        check_unneeded(policy_of(settings), start, now)
        work = partial(pruned, before=start, dry_run=dry_run)
        try:
            steps = with_database(settings, work, writes=not dry_run)
        except SumsDiffer:
            raise CommandError(
                "The kept sums are not what the entries say; nothing was deleted. "
                "`gateway usage sums` shows what differs, `gateway usage sums --rebuild` sums the "
                "entries up anew."
            ) from None
        count = sum(one.entries for one in steps)
        partitions = [one.partition for one in steps if one.partition]
        if as_json:
            print_json({
                "before": iso(seconds(start)), "entries": count, "deleted": not dry_run,
                "partitions": partitions,
            })  # fmt: skip
            return
        what = counted(count, "entry", "entries")
        typer.echo(
            f"{what} before {iso(seconds(start))[:10]} " + ("would go." if dry_run else "deleted.")
        )
        if partitions:
            typer.echo(f"Dropped as whole months: {', '.join(partitions)}.")


def check_unneeded(policy: Policy, before: int, now: float) -> None:
    """Raises CommandError where a limit counts by entries that are older."""
    need = first_need(policy, now)
    if need is not None and micros(need.since) < before:
        since = iso(need.since)[:10] if need.since else "the beginning"
        raise CommandError(
            f"The limit {need.limit!r} of {need.organization!r} counts by the entries since "
            f"{since}; nothing was deleted. Name a time before that."
        )


async def pruned(database: Database, before: int, dry_run: bool) -> list[Gone]:
    """What was deleted, all batches as one; or how much would be."""
    book = SqlPrune(database)
    if dry_run:
        return [Gone(await book.count(before))]
    batched, months = 0, []
    async with aclosing(book.prune(before)) as steps:
        async for gone in steps:
            if gone.partition:
                months.append(gone)
            else:
                batched += gone.entries
            await asyncio.sleep(PAUSE_SECONDS)
    return [*months, Gone(batched)]
