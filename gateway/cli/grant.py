"""`gateway grant`: top up a prepaid limit, raise another one for a time, and take both back."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.backends.database import Database
from gateway.backends.sql_grants import GrantRecord, SqlGrants, UnknownGrant
from gateway.backends.sql_keyring import SqlKeyring, UnknownKey
from gateway.cli.check import checked
from gateway.cli.console import EXIT_USAGE, CommandError, plain, print_json, print_table, sentences
from gateway.cli.granted import Asked, amount_of, amount_text, find_limit, is_prepaid, subject_of
from gateway.cli.project import policy_of
from gateway.cli.store import AsJson, DatabaseUrl, announce, asked, settings_for, with_database
from gateway.keys.key import Key
from gateway.policy.policy import Policy
from gateway.quota.grant import Grant
from gateway.quota.limit import Limit
from gateway.usage.report import iso, moment

NAME_CHARACTERS_MAX = 200
NOTE_CHARACTERS_MAX = 1000
TABLE_COLUMNS = ("id", "limit", "organization", "project", "key_id", "end_user", "amount", "from",
                 "until", "by", "note", "state")  # fmt: skip

app = typer.Typer(no_args_is_help=True)
By = Annotated[str, typer.Option(help="Who approved it; kept with the grant.")]
Policies = Annotated[str | None, typer.Option(help="Folder of the policies. [GATEWAY_POLICIES]")]


@app.command()
def add(
    limit: Annotated[str, typer.Argument(metavar="LIMIT", help="The limit's name in the policy.")],
    amount: Annotated[
        str,
        typer.Argument(
            metavar="AMOUNT", help='How much more, as in the policy: 100_000, or "25 USD".'
        ),
    ],
    by: By,
    organization: Annotated[
        str | None, typer.Option(help="Needed where several have a limit of this name.")
    ] = None,
    project: Annotated[str | None, typer.Option(help="For a limit that counts projects.")] = None,
    key: Annotated[
        str | None, typer.Option(help="Id of the key, for a limit that counts keys.")
    ] = None,
    end_user: Annotated[
        str | None, typer.Option(help="As `gateway usage` shows it, for one that counts those.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="From when: an ISO date (UTC), or 24h from now.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="To when, the same way; needed unless prepaid.")
    ] = None,
    note: Annotated[str, typer.Option(help="What for.")] = "",
    policies: Policies = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Add to a limit's amount: for good if it is prepaid (per: none), else for a time."""
    with sentences():
        settings = settings_for(database_url, policies=policies)
        policy = policy_of(settings)
        now = time.time()
        _check_texts(by, note)
        starts_at, ends_at = _span(since, until, now)

        async def work(database: Database) -> tuple[GrantRecord, Limit, str]:
            whom = Asked(organization, project, await _key(database, key), end_user)
            home, found = find_limit(policy, limit, whom)
            if ends_at is None and not is_prepaid(found):
                raise CommandError(
                    f"The limit {limit} is not prepaid: say when the raise ends, as in "
                    "--until 7d or --until 2027-01-31.",
                    EXIT_USAGE,
                )
            grant = Grant(
                id=f"grant_{secrets.token_hex(8)}",
                limit=found.name,
                subject=subject_of(found, home, whom),
                amount=amount_of(amount, found, home.currency),
                starts_at=starts_at,
                ends_at=ends_at,
                approved_by=by,
                note=note,
            )
            await SqlGrants(database, lambda: now).add(grant)
            return GrantRecord(grant, now, None, None), found, home.currency

        record, found, currency = with_database(settings, work, writes=True)
        if as_json:
            print_json(_row(record, policy, now))
        else:
            more = amount_text(record.grant.amount, found, currency)
            end = "" if ends_at is None else f" until {iso(ends_at)}"
            typer.echo(f"{record.grant.id}: {more} for limit {found.name}{end}.")
        announce(settings, repeatable=False)


@app.command("list")
def list_grants(
    organization: Annotated[str | None, typer.Option(help="Only of this organization.")] = None,
    policies: Policies = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """List all grants ever made, the oldest first. `state`: active, scheduled, expired, ended."""
    with sentences():
        settings = settings_for(database_url, policies=policies)
        records = with_database(
            settings, lambda database: SqlGrants(database, time.time).all(organization)
        )
        policy = checked(Path(settings.policies)).policy
    rows = [_row(record, policy, time.time()) for record in records]
    if as_json:
        print_json(rows)
    else:
        print_table(TABLE_COLUMNS, [row | {"amount": row["amount_text"]} for row in rows])


@app.command()
def end(
    id: Annotated[str, typer.Argument(metavar="ID", help="The grant's id: grant_…")],
    by: By,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Take a grant back, from the next request on. What was used meanwhile stays used."""
    with sentences():
        settings = settings_for(database_url)
        _check_texts(by, "")
        try:
            record = with_database(
                settings, lambda database: SqlGrants(database, time.time).end(id, by), writes=True
            )
        except UnknownGrant:
            raise CommandError(
                f"There is no grant {id!r}; `gateway grant list` shows all."
            ) from None
        if as_json:
            print_json(_row(record, checked(Path(settings.policies)).policy, time.time()))
        else:
            typer.echo(f"The grant {id} is ended, by {plain(record.ended_by)}.")
        announce(settings, repeatable=True)


async def _key(database: Database, id: str | None) -> Key | None:
    if id is None:
        return None
    try:
        return (await SqlKeyring(database).show(id)).key
    except UnknownKey:
        hint = " Give its id (key_…), not its text." if id.startswith("sk-") else ""
        shown = "of this text" if id.startswith("sk-") else repr(id)
        raise CommandError(f"There is no key {shown}.{hint}") from None


def _span(since: str | None, until: str | None, now: float) -> tuple[float, float | None]:
    starts_at = asked(lambda: moment(since, now, ahead=True)) if since else now
    ends_at = asked(lambda: moment(until, now, ahead=True)) if until else None
    if ends_at is not None and ends_at <= max(now, starts_at):
        past = "in the past" if ends_at <= now else f"not after --from {since}"
        raise CommandError(f"--until {until} is {past}.", EXIT_USAGE)
    return starts_at, ends_at


def _check_texts(by: str, note: str) -> None:
    if not 0 < len(by.strip()) <= NAME_CHARACTERS_MAX:
        raise CommandError(f"--by has 1 to {NAME_CHARACTERS_MAX} characters.", EXIT_USAGE)
    if len(note) > NOTE_CHARACTERS_MAX:
        raise CommandError(f"--note has at most {NOTE_CHARACTERS_MAX} characters.", EXIT_USAGE)


def _row(record: GrantRecord, policy: Policy | None, now: float) -> dict[str, Any]:
    """`amount` is in the measure's unit, of money 10⁻⁹ of the currency; `amount_text` as people
    write it, which takes the policy: without the limit there, it is the number."""
    grant = record.grant
    whom = dict(grant.subject)
    return {
        "id": grant.id,
        "limit": grant.limit,
        **{name: whom.get(name) for name in ("organization", "project", "key_id", "end_user")},
        "amount": grant.amount,
        "amount_text": _amount_text(grant, policy),
        "from": iso(grant.starts_at),
        "until": _time(grant.ends_at),
        "by": grant.approved_by,
        "note": grant.note,
        "state": _state(record, now),
        "created_at": iso(record.created_at),
        "ended_at": _time(record.ended_at),
        "ended_by": record.ended_by,
    }


def _amount_text(grant: Grant, policy: Policy | None) -> str:
    whom = dict(grant.subject)
    home = policy.organizations.get(whom["organization"]) if policy else None
    project = home.projects.get(whom.get("project", "")) if home else None
    limits = (*(home.limits if home else ()), *(project.limits if project else ()))
    found = next((limit for limit in limits if limit.name == grant.limit), None)
    return amount_text(grant.amount, found, home.currency if home else "")


def _state(record: GrantRecord, now: float) -> str:
    grant = record.grant
    if record.ended_at is not None:
        return "ended"
    if grant.holds(now):
        return "active"
    return "scheduled" if now < grant.starts_at else "expired"


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)
