"""Grants add to the limits of whom they name, while they hold."""

from __future__ import annotations

import pytest

from gateway.quota.grant import NONE_GRANTED, Grant, by_organization, raised
from gateway.quota.ledger import Claim, Subject
from gateway.quota.limit import Level, Limit, Measure, Window

ACME = (("organization", "acme"),)
DEMO = (*ACME, ("project", "demo"))
DAILY = Limit("daily", Measure.TOKENS, 100, Window.DAY, Level.PROJECT)
BUDGET = Limit("budget", Measure.MONEY, 500, Window.MONTH, Level.ORGANIZATION)
CLAIMS = (Claim(BUDGET, ACME), Claim(DAILY, DEMO))


def grant(
    amount: int,
    limit: str = "daily",
    subject: Subject = DEMO,
    starts_at: float = 10.0,
    ends_at: float | None = 20.0,
) -> Grant:
    return Grant("g", limit, subject, amount, starts_at, ends_at, "ada")


def amounts(*grants: Grant, now: float = 15.0, claims: tuple[Claim, ...] = CLAIMS) -> list[int]:
    granted = by_organization(grants).get("acme", NONE_GRANTED)
    return [claim.limit.amount for claim in raised(claims, granted, now)]


def test_without_grants_claims_are_what_they_were() -> None:
    assert raised(CLAIMS, NONE_GRANTED, 15.0) is CLAIMS
    assert amounts() == [500, 100]


def test_a_grant_adds_to_the_limit_of_its_name_and_to_no_other() -> None:
    assert amounts(grant(7)) == [500, 107]
    assert amounts(grant(7, "budget", ACME)) == [507, 100]
    assert amounts(grant(7, "weekly")) == [500, 100]


@pytest.mark.parametrize(
    "subject", [ACME, (*ACME, ("project", "other")), (*DEMO, ("key_id", "key_1"))]
)
def test_a_grant_to_somebody_else_is_none(subject: Subject) -> None:
    assert amounts(grant(7, subject=subject)) == [500, 100]


def test_a_grant_of_another_organization_is_not_even_looked_at() -> None:
    other = (("organization", "umbrella"), ("project", "demo"))
    found = by_organization([grant(7, subject=other), grant(5)])
    assert set(found) == {"acme", "umbrella"}
    assert [one.amount for one in found["acme"]["daily", DEMO]] == [5]


@pytest.mark.parametrize(("now", "amount"), [(9.999, 100), (10.0, 107), (19.999, 107), (20.0, 100)])
def test_it_holds_from_its_start_to_just_before_its_end(now: float, amount: int) -> None:
    assert amounts(grant(7), now=now) == [500, amount]


def test_a_top_up_holds_for_ever() -> None:
    assert amounts(grant(7, ends_at=None), now=1e12) == [500, 107]


def test_grants_add_up_and_may_take_away_but_never_below_nothing() -> None:
    assert amounts(grant(7), grant(5), grant(3, ends_at=12.0)) == [500, 112]
    assert amounts(grant(7), grant(-17)) == [500, 90]
    assert amounts(grant(-1000)) == [500, 0]


def test_only_the_amount_of_a_claim_changes_and_the_given_one_stays() -> None:
    granted = by_organization([grant(7)])["acme"]
    _, claim = raised(CLAIMS, granted, 15.0)
    assert claim.subject == DEMO
    assert (claim.limit.name, claim.limit.window) == (DAILY.name, DAILY.window)
    assert DAILY.amount == 100


def test_a_limit_on_one_model_is_raised_for_whom_it_counts() -> None:
    limit = Limit("daily", Measure.TOKENS, 100, Window.DAY, Level.PROJECT, model="gpt-4o")
    claim = Claim(limit, (*DEMO, ("model", "gpt-4o")))
    assert amounts(grant(7), claims=(claim,)) == [107]
