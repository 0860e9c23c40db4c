"""`gateway usage reprice`: what should have been paid by the prices of the policies, before and
after it is written."""

from __future__ import annotations

import time
from contextlib import aclosing
from functools import partial
from typing import Annotated

import typer

from gateway.backends.database import Database
from gateway.backends.sql_corrections import SqlCorrections
from gateway.cli.console import (
    EXIT_USAGE,
    CommandError,
    counted,
    print_json,
    print_table,
    sentences,
)
from gateway.cli.project import policy_of
from gateway.cli.store import AsJson, DatabaseUrl, asked, settings_for, with_database
from gateway.policy.policy import Policy
from gateway.usage.entry import Entry, Price
from gateway.usage.report import Query, Row, decimal_of, moment
from gateway.usage.reprice import Booked, Sum, Tally, correction

COLUMNS = ("model", "month", "currency", "entries", "changed", "old", "new", "difference", "left")


def reprice(
    since: Annotated[str, typer.Option(help="From when: 24h, 7d, or an ISO date (UTC).")],
    until: Annotated[str | None, typer.Option(help="To when, the same way. Now, if left out.")] = (
        None
    ),
    model: Annotated[str | None, typer.Option(help="Only this model, as it was asked for.")] = None,
    organization: Annotated[str | None, typer.Option(help="Only this organization.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Post the corrections.")] = False,
    by: Annotated[str | None, typer.Option(help="Who posts them; needed with --write.")] = None,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Compare each cost with what the policies' price of that time makes it.

    Nothing is changed without --write, and no entry ever: corrections are posted beside them, and
    a second run finds nothing to correct."""
    with sentences():
        if write and not (by and by.strip()):
            raise CommandError("--write needs --by NAME: whom to ask about it.", EXIT_USAGE)
        now = time.time()
        filters = {"model": model, "organization": organization}
        query = Query(
            since=asked(lambda: moment(since, now)),
            until=asked(lambda: moment(until, now)) if until else now,
            filters={name: value for name, value in filters.items() if value is not None},
        )
        settings = settings_for(database_url)
        policy = policy_of(settings)
        name = by if write else None
        work = partial(repriced, query=query, policy=policy, by=name)
        sums = with_database(settings, work, writes=write)
        rows = [_row(one) for one in sums]
        if as_json:
            print_json(rows)
        else:
            print_table(COLUMNS, rows)
            _tell(sums, write)


async def repriced(database: Database, query: Query, policy: Policy, by: str | None) -> list[Sum]:
    """Sums of what was found; with `by`, the corrections are posted in that name.

    Ledgers read their counters again by themselves: the book's generation has moved."""
    prices = partial(price_of, policy)

    def correct(booked: Booked) -> Entry | None:
        price = prices(booked.entry)
        if isinstance(price, str):
            return None
        return correction(booked, price, policy.digest, by or "")

    tally = Tally()
    pages = SqlCorrections(database).pages(query, correct if by else None)
    async with aclosing(pages) as found:
        async for page, _ in found:
            tally.add(page, prices)
    return tally.sums()


def price_of(policy: Policy, entry: Entry) -> Price | str:
    """The price in force at the entry's time, or in words why there is none."""
    model = policy.models.get(entry.model)
    if model is None:
        return "the model is not in the policies"
    organization = policy.organizations.get(entry.organization)
    if organization is None:
        return "the organization is not in the policies"
    if organization.currency != entry.currency:
        return f"the prices are in {organization.currency}"
    return model.price_at(entry.time) or "the model has no price"


def _row(one: Sum) -> Row:
    return {
        "model": one.model,
        "month": one.month,
        "currency": one.currency,
        "entries": one.entries,
        "changed": one.changed,
        "old": decimal_of(one.old_nano),
        "new": decimal_of(one.new_nano),
        "difference": decimal_of(one.new_nano - one.old_nano),
        "left": one.left,
    }


def _tell(sums: list[Sum], write: bool) -> None:
    changed = sum(one.changed for one in sums)
    if not sums:
        typer.echo("Nothing was used in this time.", err=True)
    elif write:
        typer.echo(f"Posted {counted(changed, 'correction')}.", err=True)
    elif changed:
        typer.echo(f"--write corrects {counted(changed, 'entry', 'entries')}.", err=True)
