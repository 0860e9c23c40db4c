"""The verb match: which rules hold for this key, this model and this end user. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from operator import itemgetter

from gateway.errors import BadRequest, NotAllowed, NotFound
from gateway.keys.key import Key, Role
from gateway.policy.policy import Endpoint, Model, Organization, Policy, Project, UpstreamPolicy
from gateway.quota.ledger import Claim, Subject
from gateway.quota.limit import Level, Measure, Mode
from gateway.usage.entry import Price

SHOWN_MAX = 100

LOOKS_AT = {
    Level.ORGANIZATION: ("organization",),
    Level.PROJECT: ("organization", "project"),
    Level.KEY: ("organization", "project", "key_id"),
    Level.END_USER: ("organization", "project", "end_user"),
}
"""Whose use each level counts. An end user is the same one behind every key of a project."""

_WHOSE = ("organization", "project", "key_id", "end_user", "model")


def _picked(fields: Sequence[str]) -> Callable[[Subject], Subject]:
    """Takes these fields out of all that a limit can look at."""
    at = [_WHOSE.index(field) for field in fields]
    return itemgetter(*at) if len(at) > 1 else itemgetter(slice(at[0], at[0] + 1))


_SUBJECT = {(level, False): _picked(fields) for level, fields in LOOKS_AT.items()} | {
    (level, True): _picked((*fields, "model")) for level, fields in LOOKS_AT.items()
}
"""The subject of a limit, by its level and whether it is about one model."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that governs one request, out of one snapshot of the policy."""

    digest: str
    organization: Organization
    project: Project
    model: Model
    upstream: UpstreamPolicy
    price: Price | None


def match(policy: Policy, key: Key, endpoint: Endpoint, model: str, now: float) -> Rules:
    """What holds at `now` (unix seconds): the price may depend on it.

    Raises NotAllowed (endpoint_not_allowed, project_not_found, model_not_found), NotFound
    (model_not_found) or BadRequest (the model does not serve the endpoint), with OpenAI's status
    and type."""
    organization, project = _home(policy, key)
    if key.endpoints is not None and endpoint not in key.endpoints:
        raise NotAllowed(
            f"This key may not use the endpoint `{endpoint}`. Its scopes are: "
            f"{', '.join(key.endpoints) or 'none'}.",
            code="endpoint_not_allowed",
        )
    found = model_of(policy, project, model)
    if not _in_scope(key, found):
        raise NotAllowed(
            f"This key does not have access to model `{found.name}`.", code="model_not_found"
        )
    if endpoint is not Endpoint.MODELS:
        check_serves(found, endpoint)
    upstream = policy.upstreams[found.upstream]
    return Rules(policy.digest, organization, project, found, upstream, found.price_at(now))


def model_of(policy: Policy, project: Project, name: str) -> Model:
    """The model, if the project may use it. Raises NotFound and NotAllowed (model_not_found)."""
    found = policy.models.get(name)
    if found is None:
        raise model_not_found(name)
    if found.name not in project.models:
        raise NotAllowed(
            f"Project `{project.name}` does not have access to model `{found.name}`.",
            code="model_not_found",
        )
    return found


def check_serves(model: Model, endpoint: Endpoint) -> None:
    """Raises BadRequest for an endpoint that the model does not serve."""
    if endpoint not in model.endpoints:
        raise BadRequest(
            f"The model `{model.name}` does not serve {endpoint}, only "
            f"{', '.join(sorted(model.endpoints))}.",
            param="model",
        )


def claims_of(rules: Rules, key: Key, end_user: str) -> tuple[Claim, ...]:
    """Every limit in force for this request, with the subject that it counts.

    A limit of level end_user holds only where the request names one."""
    who = whose(rules, key, end_user)
    return tuple(
        Claim(limit, _SUBJECT[limit.level, limit.model is not None](who))
        for limit in (*rules.organization.limits, *rules.project.limits)
        if limit.model in (None, rules.model.name)
        and (end_user or limit.level is not Level.END_USER)
    )


def whose(rules: Rules, key: Key, end_user: str) -> Subject:
    """All that a limit can look at, of this request."""
    return (
        ("organization", rules.organization.name),
        ("project", rules.project.name),
        ("key_id", key.id),
        ("end_user", end_user),
        ("model", rules.model.name),
    )


def check_priced(rules: Rules, claims: Iterable[Claim]) -> None:
    """Raise NotAllowed (model_unpriced) where an enforced limit counts money that nobody can tell.

    A policy that says so is not taken over in the first place; this holds whatever a limit and a
    model came from."""
    for claim in claims:
        limit = claim.limit
        if rules.price is None and limit.measure is Measure.MONEY and limit.mode is Mode.ENFORCE:
            raise NotAllowed(
                f"The model `{rules.model.name}` has no price, so limit {limit.name} on money "
                "cannot hold for it. Ask an administrator to give it one.",
                code="model_unpriced",
            )


def visible_models(policy: Policy, key: Key) -> tuple[Model, ...]:
    """What `/v1/models` lists for this key, by name. Raises NotAllowed (project_not_found)."""
    _, project = _home(policy, key)
    models = (policy.models[name] for name in sorted(project.models))
    return tuple(model for model in models if _in_scope(key, model))


def model_not_found(name: str) -> NotFound:
    """OpenAI's answer to a model that is unknown, whoever asks."""
    shown = name if len(name) <= SHOWN_MAX else name[:SHOWN_MAX] + "…"
    return NotFound(
        f"The model `{shown}` does not exist or you do not have access to it.",
        code="model_not_found",
    )


def _home(policy: Policy, key: Key) -> tuple[Organization, Project]:
    if key.role is Role.ADMIN:
        raise NotAllowed(
            "This is an admin key, which is for administration. Use a key of a project.",
            code="endpoint_not_allowed",
        )
    organization = policy.organizations.get(key.organization)
    project = organization.projects.get(key.project) if organization else None
    if organization is None or project is None:
        raise NotAllowed(
            f"The project `{key.project}` of this key is not in the policies any more.",
            code="project_not_found",
        )
    return organization, project


def _in_scope(key: Key, model: Model) -> bool:
    if key.models is None:
        return True
    return any(fnmatchcase(model.name, pattern) for pattern in key.models)
