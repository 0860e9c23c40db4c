"""Checks of what was written: settings, policies, the keys that policies name, the end's times."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from gateway.cli.console import CommandError, counted
from gateway.cli.diagnosis import Finding, Patient, State
from gateway.cli.workers import check_workers
from gateway.settings import PREFIX, settings_fields
from gateway.simulated import is_simulated

PROBLEMS_MAX = 20
_SERVICE_LINK = re.compile(rf"{PREFIX}(SERVICE_(HOST|PORT)|PORT_\d+_TCP|PORT$)")


def settings_given(patient: Patient) -> Iterable[Finding]:
    known = {PREFIX + option.name.upper() for option in settings_fields()}
    found = [
        Finding("settings", State.WRONG, f"{name} is not usable", _advice(name, right, patient))
        for name, right in patient.expected.items()
    ]
    found += _unknown(patient, known)
    try:
        check_workers(patient.settings)
    except CommandError as problem:
        found.append(Finding("settings", State.WRONG, str(problem), "Change one of them."))
    count = counted(sum(bool(patient.environ.get(name)) for name in known), "setting")
    return found or [Finding("settings", State.OK, f"{count} in the environment")]


def _unknown(patient: Patient, known: set[str]) -> Iterable[Finding]:
    """Variables that look like settings; policies may name some for themselves."""
    named = {name for one in patient.upstreams() for name in (one.api_key_env, one.base_url_env)}
    given = sorted(name for name in patient.environ if name.startswith(PREFIX))
    unknown = [name for name in given if name not in known and name not in named]
    links = [name for name in unknown if _SERVICE_LINK.match(name)]
    for name in unknown:
        if name not in links:
            close = get_close_matches(name, known, 1)
            do = f"Did you mean {close[0]}?" if close else "Unset it: nothing reads it."
            yield Finding("settings", State.WARNING, f"{name} is no setting", do)
    if links:
        yield Finding("settings", State.NOTE, f"{links[0]} is a service link", _LINKS)


_LINKS = (
    "Kubernetes made it of a Service that is called gateway; set enableServiceLinks: false, as it "
    "also overwrites settings such as GATEWAY_PORT."
)


def _advice(name: str, right: str, patient: Patient) -> str:
    if patient.environ.get(name, "").startswith("tcp://"):
        return _LINKS
    return f"Set {right}, or unset it to take the default."


def policies(patient: Patient) -> Iterable[Finding]:
    by_severity = {"error": State.WRONG, "warning": State.WARNING, "note": State.NOTE}
    found = [
        Finding(
            "policies", by_severity[one.severity], f"{one.place}: {one.severity}",
            "`gateway check` says what it is.",
        )
        for one in patient.problems[:PROBLEMS_MAX]
    ]  # fmt: skip
    if patient.policy is not None:
        projects = sum(len(one.projects) for one in patient.policy.organizations.values())
        what = f"{counted(projects, 'project')}, {counted(len(patient.policy.models), 'model')}"
        found.insert(0, Finding("policies", State.OK, f"{what}, digest {patient.policy.digest}"))
    return found


def keys(patient: Patient) -> Iterable[Finding]:
    """Of upstreams, by the variables that policies name."""
    for one in patient.upstreams():
        variable = one.api_key_env
        text = patient.environ.get(variable or "")
        if is_simulated(one, patient.environ):
            found = f"{one.name}: the built-in upstream answers"
            if one.simulated:
                yield Finding("keys", State.NOTE, f"{found}, as its policy says")
                continue
            do = f"Set {variable} to a key of the provider."
            yield Finding("keys", State.WARNING, f"{found}, as {variable} is not set", do)
        elif variable and not text:
            do = f"Set {variable}; until then requests for it are refused."
            yield Finding("keys", State.WRONG, f"{one.name}: {variable} is not set", do)
        elif text and (text != text.strip() or not text.isprintable()):
            do = "Remove the space or line break around it; `echo -n` makes none."
            yield Finding("keys", State.WRONG, f"{one.name}: {variable} has white space in it", do)
        elif variable:
            yield Finding("keys", State.OK, f"{one.name}: {variable} is set")


def ends(patient: Patient) -> Iterable[Finding]:
    """Whether requests outlive a restart as docs/operate/lifecycle.md says."""
    settings, do = patient.settings, "See docs/operate/lifecycle.md."
    longest = max((one.total_timeout_seconds for one in patient.upstreams()), default=0.0)
    if settings.shutdown_grace_seconds < longest:
        yield Finding(
            "end", State.NOTE,
            f"a stream may take {longest:g} seconds, and a stop waits for "
            f"{settings.shutdown_grace_seconds:g}: longer ones are cut, and booked",
            f"Set {PREFIX}SHUTDOWN_GRACE_SECONDS, and the time until the process is killed. {do}",
        )  # fmt: skip
    if settings.redis_url and settings.drain_seconds == 0:
        yield Finding(
            "end", State.NOTE, "replicas do not wait for their load balancer before they stop",
            f"Set {PREFIX}DRAIN_SECONDS to some seconds. {do}",
        )  # fmt: skip
