"""`gateway redact`: what would leave of a text, or of a request, under a project's policy."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gateway.backends.ner_pool import NerPool
from gateway.backends.ocr_reader import reader_of
from gateway.backends.pepper_file import PepperProblem, load_pepper
from gateway.backends.presidio_detector import Patience, PresidioDetector
from gateway.cli.console import (
    EXIT_UNAVAILABLE,
    EXIT_USAGE,
    EXIT_WRONG,
    CommandError,
    print_json,
    sentences,
)
from gateway.cli.findings import Looked, as_data, show, summary
from gateway.cli.project import home_of, policy_of
from gateway.cli.store import AsJson, settings_for
from gateway.errors import ApiError, TextBlocked
from gateway.openai.request import Bounds, Request, parse_json, read_request
from gateway.openai.texts import Place
from gateway.parts import secret_of
from gateway.policy.policy import Endpoint, Organization, Policy, Project
from gateway.privacy.ensemble import Ensemble
from gateway.privacy.pictures import Reader
from gateway.privacy.redact import Detector, Findings
from gateway.redaction import redact_body
from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class Bench:
    """What redaction needs of a gateway, without one."""

    detector: Detector
    reader: Reader
    settings: Settings
    pepper: bytes

    def secret(self, purpose: str, *names: str) -> bytes:
        return secret_of(self.pepper, purpose, *names)


def redact(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A text, or - for what is piped.")],
    project: Annotated[
        str | None, typer.Option(help="Whose policy. May be left out where there is one only.")
    ] = None,
    organization: Annotated[
        str | None, typer.Option(help="Whose project, where several have one of that name.")
    ] = None,
    body: Annotated[
        Endpoint | None, typer.Option(help="FILE is the JSON body of a request to this endpoint.")
    ] = None,
    black_out: Annotated[
        bool, typer.Option("--black-out", help="Show no value, but what kind stood where.")
    ] = False,
    policies: Annotated[
        str | None, typer.Option(help="Folder of policy files, or one file. [GATEWAY_POLICIES]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what would leave of a text: in colour, or as JSON with every finding.

    Nothing is sent anywhere. Exits with 1 where the policy refuses it."""
    with sentences():
        settings = settings_for(None, policies=policies)
        home, chosen = _chosen(policy_of(settings), project, organization)
        request = _request(_read(file), body, settings)
        looked = asyncio.run(_look(request, home, chosen, settings))
        if isinstance(sys.stdout, TextIOWrapper):  # for half a surrogate pair
            sys.stdout.reconfigure(errors="backslashreplace")
        if as_json:
            print_json(as_data(looked, chosen.redaction.name, black_out))
        else:
            show(looked, black_out, Console())
            typer.echo(summary(looked, chosen.redaction.name), err=True)
        if looked.refusal is not None:
            raise typer.Exit(EXIT_WRONG)


def _chosen(
    policy: Policy, project: str | None, organization: str | None
) -> tuple[Organization, Project]:
    """The only project where none is named. Raises CommandError."""
    if project is None:
        names = sorted({name for one in policy.organizations.values() for name in one.projects})
        if len(names) != 1:
            listed = ", ".join(names) or "none"
            raise CommandError(f"Say with --project whose policy; there are {listed}.", EXIT_USAGE)
        project = names[0]
    home = home_of(policy, project, organization)
    return home, home.projects[project]


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as problem:
        raise CommandError(f"{file} cannot be read: {problem.strerror}.") from None


def _request(raw: bytes, endpoint: Endpoint | None, settings: Settings) -> Request:
    """A text is looked at as the prompt of a completion is. Raises CommandError."""
    if endpoint is None:
        try:
            return Request(Endpoint.COMPLETIONS, "", {"prompt": raw.decode("utf-8")})
        except UnicodeDecodeError as problem:
            raise CommandError(f"It is not UTF-8 at byte {problem.start}.") from None
    bounds = Bounds(settings.json_depth_max, settings.choices_max)
    try:
        return read_request(parse_json(raw, bounds.depth_max), endpoint, None, bounds)
    except ApiError as refusal:
        raise CommandError(refusal.message) from None


async def _look(
    request: Request, home: Organization, project: Project, settings: Settings
) -> Looked:
    """Raises CommandError where redaction fails, or takes no such request at all."""
    patience = Patience(
        settings.redaction_timeout_seconds, settings.redaction_timeout_seconds_per_mib
    )
    recognizers = PresidioDetector(settings.redaction_threads, patience)
    ner = NerPool(settings.ner_processes, settings.ner_load_seconds)
    ocr = reader_of(settings)
    without_ner: list[None] = []
    detector = Ensemble(recognizers, ner, lambda: without_ner.append(None))
    looked = Looked(request)

    def told(places: Sequence[Place], texts: Sequence[str], findings: Findings) -> None:
        looked.places, looked.texts, looked.findings = places, texts, findings

    try:
        await recognizers.warm()
        engine = project.redaction.using.ner
        for problem in await ner.prepare([engine] if engine else []):
            typer.echo(f"gateway: {problem}", err=True)
        bench = Bench(detector, ocr, settings, _pepper(settings))
        names = (home.name, project.name)
        looked.body, redacted, _ = await redact_body(
            request, project.redaction, names, bench, told=told
        )
        looked.counts = redacted.counts
    except TextBlocked as refusal:
        looked.refusal, looked.counts = refusal, refusal.counts
    except ApiError as problem:
        raise CommandError(problem.message) from None
    finally:
        await recognizers.aclose()
        await ner.aclose()
        ocr.close()
    if without_ner:
        typer.echo("gateway: looked without the NER engine, as the policy allows", err=True)
    return looked


def _pepper(settings: Settings) -> bytes:
    """The gateway's own, so that placeholders are those that it sends; one made up without it."""
    if settings.pepper is None and not Path(settings.pepper_file).exists():
        return os.urandom(32)
    try:
        return load_pepper(settings)
    except PepperProblem as problem:
        raise CommandError(str(problem), EXIT_UNAVAILABLE) from None
