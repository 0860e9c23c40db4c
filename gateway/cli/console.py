"""How commands speak: tables and JSON on standard output, sentences on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_COLUMNS = 1_000_000  # no value is as wide: nothing is cut or folded
EXIT_WRONG = 1  # the input is wrong, or something named does not exist
EXIT_USAGE = 2  # the command line or a setting is wrong
EXIT_UNAVAILABLE = 3  # a database, port or file cannot be used


class CommandError(Exception):
    """A sentence for the person at the terminal, and the exit code."""

    def __init__(self, message: str, exit_code: int = EXIT_WRONG) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@contextmanager
def sentences() -> Iterator[None]:
    """Turn a CommandError into its sentence and its exit code."""
    try:
        yield
    except CommandError as error:
        typer.echo(f"gateway: {error}", err=True)
        raise typer.Exit(error.exit_code) from None


def print_json(value: Any) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")


def plain(value: object) -> str:
    """A value as text that a terminal only shows: no control code, whoever wrote it."""
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def counted(count: int, one: str, many: str = "") -> str:
    """`1 entry`, `2 entries`; without `many`, an s is added."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def print_table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """A table as wide as the terminal, long values folded; as wide as it needs to be in a pipe.

    Cells and headers are shown as they are: neither markup nor terminal codes are acted on."""
    table = Table(box=None, header_style="bold")
    for column in columns:
        header = Text(plain(column))
        table.add_column(header, overflow="fold", no_wrap=not sys.stdout.isatty())
    for row in rows:
        table.add_row(*(Text(plain(row.get(column))) for column in columns))
    Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS).print(table)
