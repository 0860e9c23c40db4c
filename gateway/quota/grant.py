"""Grants: what is added to a limit's amount, for one subject and for a time. Pure values.

A top-up of a prepaid balance is a grant without an end, a temporary raise one with an end. Each
names who approved it, and is never changed: it can only be taken back. The ledger knows nothing of
them: it is asked for claims whose amounts they have raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.quota.ledger import Claim, Subject


@dataclass(frozen=True, slots=True)
class Grant:
    """`limit` is the name of a limit, `subject` whom it counts, without a model. `amount` is in the
    unit of the limit's measure; below 0 it takes away. It holds while starts_at ≤ now < ends_at
    (unix seconds, None: for ever)."""

    id: str
    limit: str
    subject: Subject
    amount: int
    starts_at: float
    ends_at: float | None
    approved_by: str
    note: str = ""

    def holds(self, now: float) -> bool:
        return self.starts_at <= now and (self.ends_at is None or now < self.ends_at)


Granted = Mapping[tuple[str, Subject], Sequence[Grant]]
"""Grants by limit and subject, so that a claim finds its own among any number."""

NONE_GRANTED: Granted = {}


class GrantStore(Protocol):
    async def grants(self) -> tuple[Grant, ...]:
        """All that hold now or will, of every organization.

        Raises `errors.Unavailable` (code database_unavailable) where they cannot be read."""
        ...


def by_organization(grants: Iterable[Grant]) -> dict[str, Granted]:
    """The grants as `raised` takes them, for each organization that has any."""
    found: dict[str, dict[tuple[str, Subject], list[Grant]]] = {}
    for grant in grants:
        mine = found.setdefault(dict(grant.subject)["organization"], {})
        mine.setdefault((grant.limit, grant.subject), []).append(grant)
    return dict(found)


def raised(claims: tuple[Claim, ...], granted: Granted, now: float) -> tuple[Claim, ...]:
    """The claims with all grants in force added to their amounts, which are never below 0.

    A limit on one model counts the same subject as one on all of them, so the model is no part of
    what a grant looks at: the limit's name says which is meant."""
    if not granted:
        return claims
    return tuple(_raised(claim, granted, now) for claim in claims)


def _raised(claim: Claim, granted: Granted, now: float) -> Claim:
    grants = granted.get((claim.limit.name, _whom(claim)), ())
    by = sum(grant.amount for grant in grants if grant.holds(now))
    if not by:
        return claim
    amount = max(0, claim.limit.amount + by)
    return claim._replace(limit=replace(claim.limit, amount=amount))


def _whom(claim: Claim) -> Subject:
    return tuple((field, value) for field, value in claim.subject if field != "model")
