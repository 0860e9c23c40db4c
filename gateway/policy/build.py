"""Rows → Policy. Only for a bundle without errors: nothing is checked here."""

from __future__ import annotations

from gateway.policy.bundle import Bundle, Member, limits_of, members, rows_in
from gateway.policy.fields import Row
from gateway.policy.limits import ORGANIZATION_LEVELS, PROJECT_LEVELS, Calendar, build_limit
from gateway.policy.policy import Model, Organization, Policy, Project, UpstreamPolicy
from gateway.policy.prices import build_prices
from gateway.policy.redaction import build_profiles
from gateway.privacy.profile import Profile


def build_policy(bundle: Bundle, digest: str) -> Policy:
    profiles = build_profiles(bundle)
    return Policy(
        digest=digest,
        upstreams={name: _upstream(name, row) for name, row in rows_in(bundle.upstreams)},
        models={name: _model(name, row) for name, row in rows_in(bundle.models)},
        organizations={
            name: _organization(name, row, bundle, profiles)
            for name, row in rows_in(bundle.organizations)
        },
    )


def _upstream(name: str, row: Row) -> UpstreamPolicy:
    return UpstreamPolicy(
        name=name,
        base_url=row.get("base_url", ""),
        base_url_env=row.get("base_url_env"),
        api_key_env=row.get("api_key_env"),
        without_key=row["without_key"],
        simulated=row["simulated"],
        connect_timeout_seconds=row["connect_timeout"],
        idle_timeout_seconds=row["idle_timeout"],
        total_timeout_seconds=row["total_timeout"],
        on_client_left=row["on_client_left"],
        retries=row["retries"],
    )


def _model(name: str, row: Row) -> Model:
    output_max = row.get("max_output", 0)  # none only for embeddings
    return Model(
        name=name,
        upstream=row["upstream"],
        upstream_model=row.get("upstream_model", name),
        endpoints=frozenset(item.value for item in row["endpoints"]),
        prices=build_prices(row),
        context=row["context"],
        output_max=output_max,
        default_output=row.get("default_output", output_max),
        tokenizer=row["tokenizer"],
        image_tokens=row["image_tokens"],
    )


def _organization(
    name: str, row: Row, bundle: Bundle, profiles: dict[str, Profile]
) -> Organization:
    calendar = Calendar(row["timezone"], row["month_starts_on"], row["year_starts_in"])
    return Organization(
        name=name,
        zone=calendar.zone,
        currency=row["currency"],
        limits=tuple(build_limit(limit, ORGANIZATION_LEVELS, calendar) for limit in limits_of(row)),
        projects={m.name: _project(m, calendar, profiles) for m in members(bundle, row)},
        on_ledger_outage=row["on_ledger_outage"],
    )


def _project(member: Member, calendar: Calendar, profiles: dict[str, Profile]) -> Project:
    assert member.redaction is not None
    return Project(
        name=member.name,
        models=member.models,
        limits=tuple(build_limit(limit, PROJECT_LEVELS, calendar) for limit in member.limits),
        redaction=profiles[member.redaction],
    )
