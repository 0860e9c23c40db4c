"""`gateway doctor`: all that a gateway needs, looked at from where it would run, and what to do."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.check import checked
from gateway.cli.console import EXIT_WRONG, plain, print_json
from gateway.cli.diagnosis import Check, Finding, Patient, State, examined
from gateway.cli.doctor_machine import clock, data, disk, exposure, open_files
from gateway.cli.doctor_running import running
from gateway.cli.doctor_settings import ends, keys, policies, settings_given
from gateway.cli.doctor_stores import database, redis
from gateway.cli.doctor_tls import tls
from gateway.cli.doctor_upstreams import upstreams
from gateway.settings import SettingsError, environment, load

CHECKS: dict[str, Check] = {
    "settings": settings_given,
    "policies": policies,
    "keys": keys,
    "data": data,
    "disk": disk,
    "database": database,
    "redis": redis,
    "upstreams": upstreams,
    "clock": clock,
    "open files": open_files,
    "exposure": exposure,
    "tls": tls,
    "end": ends,
    "gateway": running,
}
SIGNS = {State.OK: "ok", State.NOTE: "note", State.WARNING: "WARNING", State.WRONG: "WRONG"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    timeout_seconds: Annotated[
        float, typer.Option(min=0.1, max=600, help="Most time of one check; all run at once.")
    ] = 10.0,
) -> None:
    """Check settings, policies, keys, files, database, Redis, upstreams, TLS and clocks.

    Takes the settings of `gateway serve` from the environment, changes nothing, and sends upstreams
    one GET of their models, with the key. Prints no secret. Exits with 1 where something is wrong;
    warnings and notes are printed only."""
    findings = list(examined(CHECKS, _patient(timeout_seconds)))
    wrong = [one for one in findings if one.state is State.WRONG]
    if as_json:
        print_json({"ok": not wrong, "findings": [asdict(one) for one in findings]})
    else:
        _print(findings)
    if wrong:
        raise typer.Exit(EXIT_WRONG)


def _patient(seconds: float) -> Patient:
    environ = environment()
    expected: Mapping[str, str] = {}
    try:
        settings = load({})
    except SettingsError as problem:
        expected, settings = problem.expected, problem.usable
    parsed = checked(Path(settings.policies))
    return Patient(settings, expected, environ, parsed.policy, parsed.problems, seconds, time.time)


def _print(findings: Iterable[Finding]) -> None:
    worst = dict.fromkeys(State, 0)
    for one in findings:
        worst[one.state] += 1
        typer.echo(f"{SIGNS[one.state]:7}  {one.check}: {plain(one.found)}")
        if one.do:
            typer.echo(f"{'':9}→ {plain(one.do)}")
    told = ", ".join(f"{count} {state.value}" for state, count in worst.items() if count)
    typer.echo(told)
