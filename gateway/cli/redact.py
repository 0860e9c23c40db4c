"""`gateway redact`: what would leave of a text, or of a request, under a project's policy."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, Final

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
from gateway.openai.places import Place
from gateway.openai.request import Bounds, Request, parse_json, read_request
from gateway.parts import State, secret_of
from gateway.policy.match import check_serves, model_of
from gateway.policy.policy import Endpoint, Organization, Policy, Project
from gateway.privacy.changes import Findings
from gateway.privacy.ensemble import Ensemble
from gateway.privacy.pictures import Reader
from gateway.privacy.redact import Detector
from gateway.redaction import redact_body
from gateway.settings import Settings


class Body(StrEnum):
    """Endpoints whose requests hold texts."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"


_FIELD: Final = {Body.CHAT: "messages", Body.COMPLETIONS: "prompt", Body.EMBEDDINGS: "input"}


@dataclass(frozen=True, slots=True)
class Bench:
    """What redaction needs of a gateway, without one."""

    detector: Detector
    reader: Reader
    settings: Settings
    pepper: bytes
    state: State = field(default_factory=State)

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
        Body | None, typer.Option(help="FILE is the JSON body of a request to this endpoint.")
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
        policy = policy_of(settings)
        home, chosen = _chosen(policy, project, organization)
        looked = _refused_unseen(_read(file), file, body, (policy, chosen), settings)
        if looked.refusal is None:
            asyncio.run(_look(looked, home, chosen, settings))
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


def _refused_unseen(
    raw: bytes,
    file: str,
    endpoint: Body | None,
    rules: tuple[Policy, Project],
    settings: Settings,
) -> Looked:
    """The request, refused already where it would be before anybody looks at its texts. A text is
    looked at as the prompt of a completion is. Raises CommandError."""
    if endpoint is None:
        try:
            body: Mapping[str, Any] = {"prompt": raw.decode("utf-8")}
        except UnicodeDecodeError as problem:
            raise CommandError(f"{_named(file)} is not UTF-8 at byte {problem.start}.") from None
        return Looked(Request(Endpoint.COMPLETIONS, "", body), is_text=True)
    looked = Looked(Request(endpoint, "", {}))
    bounds = Bounds(settings.json_depth_max, settings.choices_max)
    try:
        body = parse_json(raw, bounds.depth_max)
        _check_kind(body, endpoint, file)
        looked.request = read_request(body, endpoint, None, bounds)
        model = model_of(*rules, looked.request.model)
        check_serves(model, Endpoint(endpoint))
    except ApiError as refusal:
        looked.refusal = refusal
    return looked


def _named(file: str) -> str:
    return "What is piped" if file == "-" else file


def _check_kind(body: Mapping[str, Any], endpoint: Body, file: str) -> None:
    """Raises CommandError for the body of another endpoint."""
    if _FIELD[endpoint] not in body:
        for other, field in _FIELD.items():
            if field in body:
                raise CommandError(
                    f"{_named(file)} has `{field}` and no `{_FIELD[endpoint]}`; say --body "
                    f"{other}.",
                    EXIT_USAGE,
                )


async def _look(looked: Looked, home: Organization, project: Project, settings: Settings) -> None:
    """Note what becomes of it, refusals of any kind included."""
    patience = Patience(
        settings.redaction_timeout_seconds, settings.redaction_timeout_seconds_per_mib
    )
    recognizers = PresidioDetector(settings.redaction_threads, patience)
    ner = NerPool(settings.ner_processes, settings.ner_load_seconds)
    ocr = reader_of(settings)
    without_ner: list[None] = []
    detector = Ensemble(recognizers, ner, lambda: without_ner.append(None))

    def told(places: Sequence[Place], findings: Findings) -> None:
        looked.places, looked.findings = places, findings
        looked.texts = [place.text for place in places]

    try:
        await recognizers.warm()
        engine = project.redaction.using.ner
        for problem in (await ner.prepare([engine] if engine else [])).values():
            typer.echo(f"gateway: {problem}", err=True)
        bench = Bench(detector, ocr, settings, _pepper(settings))
        names = (home.name, project.name)
        looked.body, redacted, _ = await redact_body(
            looked.request, project.redaction, names, bench, told=told
        )
        looked.counts = redacted.counts
    except ApiError as refusal:
        looked.refusal = refusal
        looked.counts = refusal.counts if isinstance(refusal, TextBlocked) else {}
    finally:
        await recognizers.aclose()
        await ner.aclose()
        await ocr.aclose()
    if without_ner:
        typer.echo("gateway: looked without the NER engine, as the policy allows", err=True)


def _pepper(settings: Settings) -> bytes:
    """The gateway's own, so that placeholders are those that it sends; one made up without it."""
    if settings.pepper is None and not Path(settings.pepper_file).exists():
        typer.echo(
            "gateway: there is no pepper here (GATEWAY_PEPPER, GATEWAY_PEPPER_FILE), so "
            "placeholders and hashes differ from the gateway's",
            err=True,
        )
        return os.urandom(32)
    try:
        return load_pepper(settings)
    except PepperProblem as problem:
        raise CommandError(str(problem), EXIT_UNAVAILABLE) from None
