"""The verb match: which rules hold for this key, this model and this end user. Pure.


from __future__ import annotations

from dataclasses import dataclass

from gateway.keys.key import Key
from gateway.policy.policy import Endpoint, Model, Organization, Policy, Project, UpstreamPolicy
from gateway.quota.ledger import Claim


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that governs one request, out of one snapshot of the policy."""

    digest: str
    organization: Organization
    project: Project
    model: Model
    upstream: UpstreamPolicy


def match(policy: Policy, key: Key, endpoint: Endpoint, model: str) -> Rules:
    """Raises NotAllowed (endpoint_not_allowed, project_not_found, model_not_found) or NotFound
    (model_not_found) with OpenAI's status and type."""
    raise NotImplementedError


def claims_of(rules: Rules, key: Key, end_user: str) -> tuple[Claim, ...]:
    """Every limit in force for this request, with the subject that it counts.

    A limit of level end_user holds only where the request names one."""
    raise NotImplementedError


def visible_models(policy: Policy, key: Key) -> tuple[Model, ...]:
    """What `/v1/models` lists for this key, by name."""
    raise NotImplementedError
