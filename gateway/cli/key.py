"""`gateway key`: create, list, show, revoke and rotate API keys."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from gateway.backends.database import Database
from gateway.backends.pepper_file import PepperProblem, load_pepper
from gateway.backends.sql_keyring import EndedKey, IssuedKey, KeyRecord, SqlKeyring, UnknownKey
from gateway.cli.console import (
    EXIT_UNAVAILABLE,
    EXIT_USAGE,
    CommandError,
    plain,
    print_json,
    print_table,
    sentences,
)
from gateway.cli.project import check_models, home_of, policy_of
from gateway.cli.store import AsJson, DatabaseUrl, announce, asked, settings_for, with_database
from gateway.keys.key import Key
from gateway.policy.policy import Endpoint
from gateway.settings import Settings
from gateway.usage.report import duration_seconds, iso, moment

T = TypeVar("T")
NAME_CHARACTERS_MAX = 200

app = typer.Typer(no_args_is_help=True)
KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id: key_…")]


@app.command()
def create(
    project: Annotated[str, typer.Option(help="Project of the key, as the policies name it.")],
    name: Annotated[str, typer.Option(help="For people: whose key it is, or what for.")],
    organization: Annotated[
        str | None, typer.Option(help="Needed where several have a project of this name.")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="Only this model; repeatable. All, if left out.")
    ] = None,
    endpoint: Annotated[
        list[Endpoint] | None,
        typer.Option(help="Only this endpoint; repeatable. All, if left out."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="In how long (90d) or when (2027-01-31); never, if left out.")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A note; repeatable.")
    ] = None,
    policies: Annotated[
        str | None, typer.Option(help="Folder of the policies. [GATEWAY_POLICIES]")
    ] = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. Its text is shown this once: only a hash of it is stored."""
    with sentences():
        settings = settings_for(database_url, policies=policies)
        now = time.time()
        home = home_of(policy_of(settings), project, organization)
        check_models(home, project, model or [])
        notes = dict(_note(text) for text in metadata or [])
        expires_at = asked(lambda: moment(expires, now, ahead=True)) if expires else None
        if expires_at is not None and expires_at <= now:
            raise CommandError(f"--expires {expires} is in the past.", EXIT_USAGE)
        if not 0 < len(name.strip()) <= NAME_CHARACTERS_MAX:
            raise CommandError(f"--name has 1 to {NAME_CHARACTERS_MAX} characters.", EXIT_USAGE)
        issued = _keyring(
            settings,
            lambda keyring, pepper: keyring.create(
                pepper,
                home.name,
                project,
                name,
                now=now,
                random_bytes=secrets.token_bytes,
                models=model,
                endpoints=[one.value for one in endpoint] if endpoint else None,
                expires_at=expires_at,
                metadata=notes,
            ),
        )
    _show_issued(issued, as_json, "New key")


@app.command("list")
def list_keys(
    project: Annotated[str | None, typer.Option(help="Only keys of this project.")] = None,
    organization: Annotated[
        str | None, typer.Option(help="Only keys of this organization.")
    ] = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """List keys, the oldest first."""
    with sentences():
        records = with_database(
            settings_for(database_url),
            lambda database: SqlKeyring(database).all(organization, project),
        )
    rows = [_row(record, time.time()) for record in records]
    if as_json:
        print_json(rows)
    else:
        columns = ("id", "organization", "project", "name", "role", "status", "created_at",
                   "last_used", "expires_at")  # fmt: skip
        print_table(columns, rows)


@app.command()
def show(id: KeyId, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Show all that is known of a key."""
    with sentences():
        settings = settings_for(database_url)
        record = _known(settings, id, lambda database: SqlKeyring(database).show(id))
    _show_record(record, as_json)


@app.command()
def revoke(id: KeyId, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """End a key for good, from the next request on."""
    with sentences():
        settings = settings_for(database_url)

        async def work(database: Database) -> KeyRecord:
            keyring = SqlKeyring(database)
            await keyring.revoke(id, time.time())
            return await keyring.show(id)

        record = _known(settings, id, work, writes=True)
        if as_json:
            print_json(_row(record, time.time()))
        else:
            typer.echo(f"The key {id} ({plain(record.key.name)}) is revoked.")
        announce(settings, repeatable=True)


@app.command()
def rotate(
    id: KeyId,
    grace: Annotated[
        str, typer.Option(help="How long the old text still works: 0s, 30m, 24h, 7d.")
    ] = "24h",
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Give a key a new text. Its id, limits and usage go on."""
    with sentences():
        settings = settings_for(database_url)
        seconds = asked(lambda: duration_seconds(grace))
        try:
            issued = _keyring(
                settings,
                lambda keyring, pepper: keyring.rotate(
                    id, seconds, pepper, secrets.token_bytes, time.time()
                ),
            )
        except UnknownKey:
            raise _unknown(id) from None
        except EndedKey:
            raise CommandError(
                f"The key {id} was revoked or has expired; create a new one."
            ) from None
        _show_issued(issued, as_json, f"New text (the old one works for {grace} more)")
        announce(settings, repeatable=False)


def _note(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise CommandError(f"--metadata {text!r} is not of the form NAME=VALUE.", EXIT_USAGE)
    return name.strip(), value


def _keyring(
    settings: Settings, work: Callable[[SqlKeyring, bytes], Awaitable[IssuedKey]]
) -> IssuedKey:
    async def with_pepper(database: Database) -> IssuedKey:
        return await work(SqlKeyring(database), load_pepper(settings))

    try:
        return with_database(settings, with_pepper, writes=True)
    except PepperProblem as problem:
        raise CommandError(str(problem), EXIT_UNAVAILABLE) from None


def _known(
    settings: Settings, id: str, work: Callable[[Database], Awaitable[T]], *, writes: bool = False
) -> T:
    try:
        return with_database(settings, work, writes=writes)
    except UnknownKey:
        raise _unknown(id) from None


def _unknown(id: str) -> CommandError:
    hint = " Give its id (key_…), not its text." if id.startswith("sk-") else ""
    shown = "of this text" if id.startswith("sk-") else repr(id)
    return CommandError(f"There is no key {shown}; `gateway key list` shows all.{hint}")


def _row(record: KeyRecord, now: float) -> dict[str, Any]:
    return _key_row(record.key, now) | {
        "prefixes": [f"sk-{prefix}-…" for prefix in record.prefixes],
        "last_used": _time(record.last_used),
    }


def _key_row(key: Key, now: float) -> dict[str, Any]:
    expired = key.expires_at is not None and key.expires_at <= now
    return {
        "id": key.id,
        "organization": key.organization,
        "project": key.project,
        "name": key.name,
        "role": key.role.value,
        "status": "revoked" if key.revoked_at is not None else "expired" if expired else "active",
        "models": None if key.models is None else list(key.models),
        "endpoints": None if key.endpoints is None else list(key.endpoints),
        "metadata": dict(key.metadata),
        "created_at": _time(key.created_at),
        "expires_at": _time(key.expires_at),
        "revoked_at": _time(key.revoked_at),
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)


def _show_issued(issued: IssuedKey, as_json: bool, title: str) -> None:
    row = _key_row(issued.key, time.time())
    if as_json:
        print_json({"id": issued.key.id, "key": issued.text, **row})
        return
    facts = "\n".join(f"{name:13} {plain(row[name])}" for name in
                      ("id", "organization", "project", "name", "expires_at"))  # fmt: skip
    Console().print(Panel.fit(Text(facts), title=title))
    typer.echo(f"\n{issued.text}\n\nThis is shown once: keep it where you keep secrets.")


def _show_record(record: KeyRecord, as_json: bool) -> None:
    row = _row(record, time.time())
    if as_json:
        print_json(row)
    else:
        print_table(("", " "), [{"": name, " ": _words(value)} for name, value in row.items()])


def _words(value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, dict):
        return ", ".join(f"{name}={text}" for name, text in value.items())
    return value
