"""What was matched, for those who ask again: a key asks the same thing with every request."""

from __future__ import annotations

from gateway.keys.key import Key
from gateway.policy.match import Rules, check_priced, claims_of, match
from gateway.policy.policy import Endpoint, Policy
from gateway.quota.ledger import Claim
from gateway.quota.limit import Level

KEPT_MAX = 20_000
"""Of each; all are forgotten when there are more. Some 500 bytes each."""


class Matches:
    """`match` and `claims_of` of one snapshot of the policy, kept by key and model; with another
    snapshot it begins anew. Claims that are kept are the same objects each time, so that others
    can keep what belongs to them."""

    def __init__(self) -> None:
        self._policy: Policy | None = None
        self._rules: dict[tuple[str, Endpoint, str], tuple[Key, Rules]] = {}
        self._claims: dict[tuple[str, str], tuple[Key, Rules, tuple[Claim, ...]]] = {}

    def match(self, policy: Policy, key: Key, endpoint: Endpoint, model: str, now: float) -> Rules:
        """As `match.match`, and raises what it does. A price that has changed is a new match."""
        if policy is not self._policy:
            self._policy, self._rules, self._claims = policy, {}, {}
        asked = (key.id, endpoint, model)
        known = self._rules.get(asked)
        if known is not None and known[0] is key:
            rules = known[1]
            if rules.price is rules.model.price_at(now):
                return rules
        rules = match(policy, key, endpoint, model, now)
        if len(self._rules) >= KEPT_MAX:
            self._rules.clear()
        self._rules[asked] = key, rules
        return rules

    def claims(self, rules: Rules, key: Key, end_user: str) -> tuple[Claim, ...]:
        """As `match.claims_of`, and raises what `match.check_priced` does. Those that depend on the
        end user are not kept: callers choose whom they name."""
        if end_user and _counts_end_users(rules):
            return _priced(rules, claims_of(rules, key, end_user))
        asked = (key.id, rules.model.name)
        known = self._claims.get(asked)
        if known is not None and known[0] is key and known[1] is rules:
            return known[2]
        claims = _priced(rules, claims_of(rules, key, ""))
        if len(self._claims) >= KEPT_MAX:
            self._claims.clear()
        self._claims[asked] = key, rules, claims
        return claims


def _counts_end_users(rules: Rules) -> bool:
    limits = (*rules.organization.limits, *rules.project.limits)
    return any(limit.level is Level.END_USER for limit in limits)


def _priced(rules: Rules, claims: tuple[Claim, ...]) -> tuple[Claim, ...]:
    check_priced(rules, claims)
    return claims
