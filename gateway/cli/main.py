"""The command `gateway`: one function a command, each in a file of its name."""

from __future__ import annotations

import typer

from gateway import __version__
from gateway.cli.check import check
from gateway.cli.doctor import doctor
from gateway.cli.grant import app as grant_app
from gateway.cli.health import health
from gateway.cli.key import app as key_app
from gateway.cli.migrate import migrate
from gateway.cli.redact import redact
from gateway.cli.serve import serve
from gateway.cli.simulate import simulate
from gateway.cli.usage import app as usage_app

app = typer.Typer(
    name="gateway",
    help="Exact quotas, private prompts and complete usage for OpenAI-shaped APIs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


app.command()(serve)
app.command()(simulate)
app.command()(check)
app.command()(doctor)
app.command()(redact)
app.command()(migrate)
app.command()(health)
app.add_typer(key_app, name="key", help="API keys: create, list, show, revoke, rotate.")
app.add_typer(grant_app, name="grant", help="Top-ups and raises of limits: add, list, end.")
app.add_typer(usage_app, name="usage")


def main() -> None:
    app()


if __name__ == "__main__":
    main()
