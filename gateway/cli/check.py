"""`gateway check`: everything that is wrong in the policies, before they are in force."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.backends import ner_models, ocr_reader
from gateway.backends.entities import SELECTABLE
from gateway.backends.examine import examine
from gateway.backends.policy_folder import read_folder
from gateway.cli.console import EXIT_WRONG, print_json
from gateway.policy.parse import Parsed, parse
from gateway.policy.policy import Policy, Problem
from gateway.policy.schema import schema_text
from gateway.privacy.profile import Images, Ner
from gateway.settings import PREFIX, Settings, environment


def check(
    folder: Annotated[
        str | None,
        typer.Argument(
            help=f"Folder of policy files, or one file; {PREFIX}POLICIES if left out.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of a policy file instead.")
    ] = False,
) -> None:
    """Check policies: print every problem with its file and line.

    Exits with 1 where there is an error; warnings and notes are printed only."""
    if schema:
        sys.stdout.write(schema_text(SELECTABLE))
        return
    path = Path(folder or environment().get(f"{PREFIX}POLICIES") or Settings().policies)
    parsed = checked(path)
    if as_json:
        print_json(_report(parsed))
    else:
        for problem in parsed.problems:
            typer.echo(str(problem), err=problem.severity == "error")
        if parsed.policy is not None:
            typer.echo(_summary(parsed.policy))
    if parsed.policy is None:
        raise typer.Exit(EXIT_WRONG)


def checked(path: Path) -> Parsed:
    """The policy at `path`, or every problem, each with a file name that leads there from here."""
    files, problems = read_folder(path)
    if problems:
        return Parsed(None, problems)
    parsed = parse(files, SELECTABLE, environment(), examine, _missing)
    base = path.parent if path.is_file() else path
    return replace(parsed, problems=tuple(_under(base, problem) for problem in parsed.problems))


def _missing(wanted: Ner | Images) -> str | None:
    if isinstance(wanted, Ner):
        return ner_models.missing(wanted)
    return ocr_reader.missing(wanted)


def _under(base: Path, problem: Problem) -> Problem:
    return replace(problem, file=str(base / problem.file))


def _report(parsed: Parsed) -> dict[str, Any]:
    return {
        "ok": parsed.policy is not None,
        **({"digest": parsed.policy.digest, **_counts(parsed.policy)} if parsed.policy else {}),
        "problems": [asdict(problem) for problem in parsed.problems],
    }


def _counts(policy: Policy) -> dict[str, int]:
    organizations = policy.organizations.values()
    return {
        "organizations": len(policy.organizations),
        "projects": sum(len(organization.projects) for organization in organizations),
        "models": len(policy.models),
        "upstreams": len(policy.upstreams),
    }


def _summary(policy: Policy) -> str:
    counts = (
        f"{count} {name if count != 1 else name[:-1]}" for name, count in _counts(policy).items()
    )
    return f"ok: {', '.join(counts)}, digest {policy.digest}"
