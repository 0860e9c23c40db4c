"""What tables of fields cannot say: names that lead nowhere, and values that contradict each other.

Every check goes over the rows of the whole bundle, skips what was found unusable before, and
reports; none stops another.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from gateway.policy.bundle import (
    Bundle,
    Member,
    Rows,
    limits_of,
    matching_models,
    members,
    rows_in,
)
from gateway.policy.fields import Row
from gateway.policy.limits import ORGANIZATION_LEVELS, PROJECT_LEVELS, check_list, check_names
from gateway.policy.money import check_money
from gateway.policy.policy import Endpoint, WithoutKey
from gateway.policy.prices import check_prices
from gateway.policy.problems import Findings, quoted, suggestion
from gateway.policy.words import http_url


def check_bundle(bundle: Bundle, environ: Mapping[str, str], findings: Findings) -> None:
    for name, upstream in rows_in(bundle.upstreams):
        _check_upstream(name, upstream, environ, findings)
    for name, model in rows_in(bundle.models):
        _check_model(name, model, bundle, findings)
    for name, plan in rows_in(bundle.plans):
        _check_terms(f"plan {quoted(name)}", plan, bundle, findings)
    for name, organization in rows_in(bundle.organizations):
        _check_organization(name, organization, bundle, findings)


def _check_upstream(
    name: str, upstream: Row, environ: Mapping[str, str], findings: Findings
) -> None:
    if upstream.get("simulated"):
        for other in ("base_url", "base_url_env", "api_key_env", "without_key"):
            if upstream.wrote(other):
                findings.error(
                    upstream.at(other),
                    f"a simulated upstream has no `{other}`; remove it, or `simulated: true`",
                )
        return
    if not upstream.wrote("base_url"):
        findings.error(
            upstream.place,
            f"upstream {quoted(name)} lacks `base_url`: where its API begins, as in "
            "https://host/v1, or `simulated: true`",
        )
    _check_address(upstream, environ, findings)
    _check_key(name, upstream, environ, findings)


def _check_address(upstream: Row, environ: Mapping[str, str], findings: Findings) -> None:
    variable = upstream.get("base_url_env")
    address = environ.get(variable, "") if variable else ""
    if address:
        try:
            http_url(address)
        except ValueError:
            findings.error(
                upstream.at("base_url_env"),
                f"the environment variable {variable} holds no usable URL; set it to an http or "
                "https URL without user, query or fragment, or unset it",
            )


def _check_key(name: str, upstream: Row, environ: Mapping[str, str], findings: Findings) -> None:
    if not upstream.wrote("api_key_env"):
        if upstream.wrote("without_key"):
            findings.error(
                upstream.at("without_key"),
                "`without_key` says what happens while the variable of `api_key_env` is not set, "
                "but there is none; add `api_key_env`, or remove this",
            )
        return
    variable = upstream.get("api_key_env")
    if variable is None or environ.get(variable):
        return
    if upstream.get("without_key") is WithoutKey.SIMULATE:
        findings.note(
            upstream.at("api_key_env"),
            f"{variable} is not set, so upstream {quoted(name)} is simulated; set it to forward",
        )
    else:
        findings.warning(
            upstream.at("api_key_env"),
            f"{variable} is not set, so upstream {quoted(name)} refuses every request; set it",
        )


def _check_model(name: str, model: Row, bundle: Bundle, findings: Findings) -> None:
    _check_reference(model, "upstream", "upstream", bundle.upstreams, findings)
    seen = [item.value for item in model.get("endpoints", ())]
    for item in model.get("endpoints", ()):
        if seen.count(item.value) > 1:
            findings.error(item.place, f"the endpoint {item.value} is listed twice; keep one")
            break
    only_embeddings = seen == [Endpoint.EMBEDDINGS]
    check_prices(model, bool(seen) and not only_embeddings, findings)
    if only_embeddings:
        for field in ("max_output", "default_output"):
            if model.wrote(field):
                findings.error(
                    model.at(field), f"embeddings have no output tokens; remove `{field}`"
                )
    elif seen:
        _check_output(name, model, findings)


def _check_output(name: str, model: Row, findings: Findings) -> None:
    if not model.wrote("max_output"):
        findings.error(
            model.place,
            f"model {quoted(name)} lacks `max_output`: most output tokens that a request may ask "
            "for, such as 16384",
        )
    steps = [(f, model.get(f)) for f in ("default_output", "max_output", "context")]
    known = [(field, value) for field, value in steps if value is not None]
    for (small, less), (large, more) in pairwise(known):
        if less > more:
            findings.error(
                model.at(small),
                f"`{small}` {less} is more than `{large}` {more}; write at most {more}",
            )


def _check_terms(label: str, row: Row, bundle: Bundle, findings: Findings) -> None:
    """What a plan and a project have in common."""
    _check_reference(row, "redaction", "redaction profile", bundle.redaction, findings)
    for pattern in row.get("models", ()):
        if not matching_models([pattern.value], bundle.models):
            findings.error(
                pattern.place,
                f"{quoted(pattern.value)} in {label} matches no model; "
                f"{suggestion(pattern.value, bundle.models)}",
            )
    check_list(limits_of(row), PROJECT_LEVELS, bundle.models, findings)


def _check_organization(name: str, row: Row, bundle: Bundle, findings: Findings) -> None:
    defaults: Row | None = row.get("defaults")
    if defaults:
        _check_reference(defaults, "plan", "plan", bundle.plans, findings)
        _check_reference(defaults, "redaction", "redaction profile", bundle.redaction, findings)
    check_list(limits_of(row), ORGANIZATION_LEVELS, bundle.models, findings)
    projects = tuple(members(bundle, row))
    for project in projects:
        _check_reference(project.row, "plan", "plan", bundle.plans, findings)
        _check_terms(f"project {quoted(project.name)}", project.row, bundle, findings)
        _check_project(project, row, findings)
    unused = defaults.get("redaction") if defaults else None
    if unused and projects and all(p.complete and p.redaction != unused for p in projects):
        findings.warning(
            row["defaults"].at("redaction"),
            f"{quoted(unused)} is never used: each project, or its plan, names another redaction "
            "profile, and that goes before the organization's `defaults`",
        )
    check_money(name, row, projects, bundle, findings)


def _check_project(project: Member, organization: Row, findings: Findings) -> None:
    place = project.row.place
    limits = (*limits_of(organization), *project.limits)
    check_names(limits, findings)
    if not project.names_models and project.complete:
        findings.error(
            place,
            f"project {quoted(project.name)} may use no model; write `models:` into it or its "
            'plan, such as models: ["gpt-*"]',
        )
    if project.redaction is None and project.complete:
        findings.error(
            place,
            f"project {quoted(project.name)} has no redaction profile; write `redaction:` into it, "
            "its plan or the organization's `defaults` (a profile with `entities: {}` looks for "
            "nothing)",
        )
    if not limits and project.complete:
        findings.warning(
            place, f"project {quoted(project.name)} has no limit at all; write `limits:`"
        )


def _check_reference(row: Row, field: str, what: str, known: Rows, findings: Findings) -> None:
    name = row.get(field)
    if name is not None and name not in known:
        findings.error(
            row.at(field), f"no {what} is called {quoted(name)}; {suggestion(name, known)}"
        )
