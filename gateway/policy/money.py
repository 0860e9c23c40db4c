"""Money is exact: what a money limit counts has a price, and all of it is in one currency.

A price belongs to a model, a currency to an organization. A model that an organization may use is
priced in that organization's currency, or free; nothing is ever converted.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.policy.bundle import Bundle, Member, limits_of, row_of
from gateway.policy.fields import Row
from gateway.policy.prices import versions_of
from gateway.policy.problems import Findings, Place, listed, quoted
from gateway.policy.words import Money
from gateway.quota.limit import Measure

KINDS = ("input", "cached_input", "output", "reasoning", "audio_input", "audio_output")


def check_money(
    name: str,
    organization: Row,
    projects: Sequence[Member],
    bundle: Bundle,
    findings: Findings,
) -> None:
    """`projects` are all of the organization called `name`."""
    own = limits_of(organization)
    for limit in (*own, *(limit for project in projects for limit in project.limits)):
        _check_currency(name, organization, limit, findings)
    _check_prices(name, organization, projects, bundle, findings)
    _check_unpriced(own, projects, bundle, findings)


def _check_currency(name: str, organization: Row, limit: Row, findings: Findings) -> None:
    currency = organization.get("currency")
    for field in ("amount", "rollover"):
        amount = limit.get(field)
        if isinstance(amount, Money) and currency is not None and amount.currency != currency:
            findings.error(
                limit.at(field),
                f"this amount is in {amount.currency}, but organization {quoted(name)} counts in "
                f"{currency}; write it in {currency}",
            )


def _check_prices(
    name: str,
    organization: Row,
    projects: Sequence[Member],
    bundle: Bundle,
    findings: Findings,
) -> None:
    currency = organization.get("currency")
    usable = sorted(frozenset[str]().union(*(project.models for project in projects)))
    foreign = [m for m in usable if _foreign(bundle.priced(m), currency)]
    if foreign and currency is not None:
        findings.error(
            organization.at("currency"),
            f"organization {quoted(name)} counts in {currency}, but may use models that are priced "
            f"in another currency: {listed(foreign)}; price them in {currency}, as in "
            f"`price: {{currency: {currency}, …}}`, or let it use others",
        )


def _foreign(model: Row | None, currency: str | None) -> bool:
    return any(
        price.get("currency") not in (None, currency) and any(price.get(kind) for kind in KINDS)
        for price in (versions_of(model) if model else ())
    )


def _check_unpriced(
    own: Sequence[Row], projects: Sequence[Member], bundle: Bundle, findings: Findings
) -> None:
    reached: dict[Place, tuple[Row, set[str]]] = {}
    for project in projects:
        for limit in (*own, *project.limits):
            if limit.get("measure") is Measure.MONEY:
                _, models = reached.setdefault(limit.place, (limit, set()))
                models.update(_counted(limit, project))
    for place, (limit, models) in reached.items():
        unpriced = sorted(m for m in models if row_of(bundle.models, m) and not bundle.priced(m))
        if unpriced:
            findings.error(
                place,
                f"limit {quoted(limit.get('name', '?'))} counts money, but these models have no "
                f"price: {listed(unpriced)}; write `price:` for them, or let the project use "
                "others",
            )


def _counted(limit: Row, project: Member) -> frozenset[str]:
    if not limit.wrote("model"):
        return project.models
    return project.models & {limit.get("model")}
