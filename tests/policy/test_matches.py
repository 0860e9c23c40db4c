"""What is kept of matches is what a match would say now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import NotAllowed, NotFound
from gateway.keys.key import Key
from gateway.policy.match import claims_of, match
from gateway.policy.matches import Matches
from gateway.policy.parse import parse
from gateway.policy.policy import Endpoint, Policy

NOW = 1_795_000_000.0
KEY = Key("key_1", "acme", "demo", "k")
TEXT = """
upstreams: {up: {base_url: "http://127.0.0.1:9/v1"}}
models:
  m:
    upstream: up
    endpoints: [chat]
    context: 1000
    max_output: 100
    default_output: 100
    price:
      - {input: 1, output: 2}
      - {from: 2027-01-01, input: 3, output: 4}
redaction: {none: {entities: {}}}
organizations:
  acme:
    timezone: UTC
    currency: USD
    defaults: {redaction: none}
    projects:
      demo:
        models: [m]
        limits:
          - {name: rate, measure: requests, amount: 5, per: minute}
          - {name: mine, measure: requests, amount: 5, per: day, each: end_user}
"""


def policy(text: str = TEXT) -> Policy:
    parsed = parse({"p.yaml": text.encode()}, frozenset(), {})
    assert parsed.policy is not None, parsed.problems
    return parsed.policy


def asked(matches: Matches, of: Policy, key: Key = KEY, now: float = NOW, **more: Any) -> Any:
    return matches.match(of, key, more.get("endpoint", Endpoint.CHAT), more.get("model", "m"), now)


def test_the_same_question_has_the_same_answer_and_the_same_claims() -> None:
    matches, current = Matches(), policy()
    rules = asked(matches, current)
    assert rules == match(current, KEY, Endpoint.CHAT, "m", NOW)
    assert asked(matches, current) is rules
    claims = matches.claims(rules, KEY, "")
    assert claims == claims_of(rules, KEY, "")
    assert matches.claims(rules, KEY, "") is claims


def test_another_policy_another_key_and_a_new_price_are_matched_anew() -> None:
    matches, current = Matches(), policy()
    rules = asked(matches, current)
    other = policy(TEXT.replace("amount: 5, per: minute", "amount: 6, per: minute"))
    assert asked(matches, other) == match(other, KEY, Endpoint.CHAT, "m", NOW) != rules
    narrowed = replace(KEY, models=("other",))
    with pytest.raises(NotAllowed):
        asked(matches, other, narrowed)
    later = asked(matches, other, now=1_800_000_000.0)
    assert later.price == match(other, KEY, Endpoint.CHAT, "m", 1_800_000_000.0).price
    assert later.price != rules.price


def test_an_end_user_has_claims_of_its_own() -> None:
    matches, current = Matches(), policy()
    rules = asked(matches, current)
    for user in ("", "ann", "bob", ""):
        assert matches.claims(rules, KEY, user) == claims_of(rules, KEY, user)


def test_what_is_refused_is_refused_each_time() -> None:
    matches, current = Matches(), policy()
    for _ in range(2):
        with pytest.raises(NotFound):
            asked(matches, current, model="none")
