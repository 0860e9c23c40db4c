"""Which rules hold for a key, a model and an end user, and what everybody else is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.errors import ApiError, BadRequest, NotAllowed, NotFound
from gateway.keys.key import Key
from gateway.policy.match import (
    Rules,
    check_priced,
    claims_of,
    match,
    model_not_found,
    visible_models,
    whose,
)
from gateway.policy.parse import parse
from gateway.policy.policy import Endpoint, Policy, PriceVersion
from gateway.quota.ledger import Claim
from gateway.quota.limit import Level, Limit, Measure, Mode, Window
from gateway.usage.entry import Price

TEXT = b"""
upstreams:
  one: {simulated: true}
  two: {simulated: true}
models:
  chat-a: {upstream: one, endpoints: [chat], context: 1000, max_output: 100}
  chat-b: {upstream: two, endpoints: [chat, completions], context: 1000, max_output: 100}
  Org/Large: {upstream: one, endpoints: [chat], context: 1000, max_output: 100}
  vectors: {upstream: one, endpoints: [embeddings], context: 1000}
redaction:
  nothing: {entities: {}}
plans:
  plan:
    models: ["chat-*", vectors]
    redaction: nothing
    limits:
      - {name: of-plan, measure: requests, amount: 1, per: day}
organizations:
  acme:
    limits:
      - {name: of-organization, measure: requests, amount: 1, per: day}
      - {name: each-project, measure: requests, amount: 1, per: day, each: project}
      - {name: each-user, measure: requests, amount: 1, per: day, each: end_user}
      - {name: chat-b-only, measure: tokens, amount: 1, per: day, model: chat-b}
    projects:
      web:
        plan: plan
        limits:
          - {name: each-key, measure: concurrency, amount: 1, each: key}
          - {name: user-of-b, measure: tokens, amount: 1, per: day, each: end_user, model: chat-b}
      other: {plan: plan, models: ["*"]}
  beta:
    projects:
      web: {plan: plan, models: [Org/Large]}
"""

CHAT, COMPLETIONS, EMBEDDINGS, MODELS = (
    Endpoint.CHAT,
    Endpoint.COMPLETIONS,
    Endpoint.EMBEDDINGS,
    Endpoint.MODELS,
)
KEY = Key("k1", "acme", "web", "key")
NOW = 1_795_456_800.0  # 2026-11-23T18:00:00Z


@pytest.fixture(scope="module")
def policy() -> Policy:
    parsed = parse({"policy.yaml": TEXT}, frozenset(), {})
    assert parsed.policy is not None, parsed.problems
    return parsed.policy


def key(
    organization: str = "acme",
    project: str = "web",
    models: tuple[str, ...] | None = None,
    endpoints: tuple[str, ...] | None = None,
) -> Key:
    return Key("k1", organization, project, "key", models=models, endpoints=endpoints)


@pytest.mark.parametrize(
    ("who", "endpoint", "model", "upstream"),
    [
        (key(), CHAT, "chat-a", "one"),
        (key(), CHAT, "chat-b", "two"),
        (key(), COMPLETIONS, "chat-b", "two"),
        (key(), EMBEDDINGS, "vectors", "one"),
        (key(), MODELS, "vectors", "one"),
        (key(organization="beta"), CHAT, "Org/Large", "one"),
        (key(project="other"), CHAT, "Org/Large", "one"),
        (key(models=("chat-b",)), CHAT, "chat-b", "two"),
        (key(models=("nothing", "*-b")), CHAT, "chat-b", "two"),
        (key(endpoints=("chat",)), CHAT, "chat-a", "one"),
    ],
)
def test_what_is_allowed_is_matched(
    policy: Policy, who: Key, endpoint: Endpoint, model: str, upstream: str
) -> None:
    rules = match(policy, who, endpoint, model, NOW)
    assert (rules.digest, rules.model.name, rules.upstream.name) == (policy.digest, model, upstream)
    assert (rules.organization.name, rules.project.name) == (who.organization, who.project)


@pytest.mark.parametrize(
    ("who", "endpoint", "model", "error", "code", "param", "message"),
    [
        (key(), CHAT, "gpt-9", NotFound, "model_not_found", None,
         "The model `gpt-9` does not exist or you do not have access to it."),
        (key(), CHAT, "chat-*", NotFound, "model_not_found", None,
         "The model `chat-*` does not exist or you do not have access to it."),
        (key(), CHAT, "Org/Large", NotAllowed, "model_not_found", None,
         "Project `web` does not have access to model `Org/Large`."),
        (key(project="other"), CHAT, "org/large", NotFound, "model_not_found", None,
         "The model `org/large` does not exist or you do not have access to it."),
        (key(models=("chat-a",)), CHAT, "chat-b", NotAllowed, "model_not_found", None,
         "This key does not have access to model `chat-b`."),
        (key(models=("CHAT-*",)), CHAT, "chat-b", NotAllowed, "model_not_found", None,
         "This key does not have access to model `chat-b`."),
        (key(models=()), CHAT, "chat-a", NotAllowed, "model_not_found", None,
         "This key does not have access to model `chat-a`."),
        (key(endpoints=("chat",)), EMBEDDINGS, "vectors", NotAllowed, "endpoint_not_allowed", None,
         "This key may not use the endpoint `embeddings`. Its scopes are: chat."),
        (key(endpoints=()), CHAT, "gpt-9", NotAllowed, "endpoint_not_allowed", None,
         "This key may not use the endpoint `chat`. Its scopes are: none."),
        (key(), COMPLETIONS, "chat-a", BadRequest, None, "model",
         "The model `chat-a` does not serve completions, only chat."),
        (key(), EMBEDDINGS, "chat-b", BadRequest, None, "model",
         "The model `chat-b` does not serve embeddings, only chat, completions."),
        (key(project="gone"), CHAT, "chat-a", NotAllowed, "project_not_found", None,
         "The project `gone` of this key is not in the policies any more."),
        (key(organization="gone"), CHAT, "chat-a", NotAllowed, "project_not_found", None,
         "The project `web` of this key is not in the policies any more."),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_told_as_openai_tells_it(
    policy: Policy, who: Key, endpoint: Endpoint, model: str, error: type[ApiError],
    code: str | None, param: str | None, message: str,
) -> None:  # fmt: skip
    with pytest.raises(error) as refusal:
        match(policy, who, endpoint, model, NOW)
    told = refusal.value
    assert (told.code, told.param, told.message) == (code, param, message)
    assert told.type == "invalid_request_error"
    assert told.status == {NotFound: 404, NotAllowed: 403, BadRequest: 400}[error]


def test_a_model_name_of_any_length_makes_a_short_message() -> None:
    assert len(model_not_found("x" * 10**6).message) < 200


def claims(policy: Policy, model: str, end_user: str, who: Key = KEY) -> dict[str, tuple[str, ...]]:
    rules: Rules = match(policy, who, CHAT, model, NOW)
    found = claims_of(rules, who, end_user)
    return {c.limit.name: tuple(f"{field}={value}" for field, value in c.subject) for c in found}


def test_every_limit_in_force_counts_its_subject(policy: Policy) -> None:
    assert claims(policy, "chat-b", "ada") == {
        "of-organization": ("organization=acme",),
        "each-project": ("organization=acme", "project=web"),
        "each-user": ("organization=acme", "project=web", "end_user=ada"),
        "chat-b-only": ("organization=acme", "model=chat-b"),
        "of-plan": ("organization=acme", "project=web"),
        "each-key": ("organization=acme", "project=web", "key_id=k1"),
        "user-of-b": ("organization=acme", "project=web", "end_user=ada", "model=chat-b"),
    }


def test_limits_of_another_model_do_not_hold(policy: Policy) -> None:
    assert set(claims(policy, "chat-a", "ada")) == {
        "of-organization", "each-project", "each-user", "of-plan", "each-key",
    }  # fmt: skip


def test_limits_of_end_users_hold_only_where_one_is_named(policy: Policy) -> None:
    assert set(claims(policy, "chat-b", "")) == {
        "of-organization", "each-project", "chat-b-only", "of-plan", "each-key",
    }  # fmt: skip


def test_whose_request_it_is_names_all_that_a_limit_can_look_at(policy: Policy) -> None:
    rules = match(policy, KEY, CHAT, "chat-b", NOW)
    everything = whose(rules, KEY, "ada")
    assert [field for field, _ in everything] == [
        "organization", "project", "key_id", "end_user", "model",
    ]  # fmt: skip
    for claim in claims_of(rules, KEY, "ada"):
        assert set(claim.subject) <= set(everything)


def test_a_model_without_a_price_is_refused_where_money_is_limited(policy: Policy) -> None:
    rules = match(policy, KEY, CHAT, "chat-a", NOW)
    budget = Limit("budget", Measure.MONEY, 5, Window.MONTH, Level.PROJECT)
    check_priced(rules, claims_of(rules, KEY, "ada"))
    with pytest.raises(NotAllowed, match="`chat-a` has no price, so limit budget") as refusal:
        check_priced(rules, [*claims_of(rules, KEY, "ada"), Claim(budget, ())])
    assert refusal.value.code == "model_unpriced"
    for mode in (Mode.OBSERVE, Mode.SOFT):
        check_priced(rules, [Claim(replace(budget, mode=mode), ())])
    free = Price(input=0, cached_input=0, output=0, reasoning=0)
    check_priced(replace(rules, price=free), [Claim(budget, ())])


def test_the_price_is_the_one_in_force_at_the_time(policy: Policy) -> None:
    cheap, dear = (Price(input=n, cached_input=n, output=n, reasoning=n) for n in (1, 2))
    versions = (PriceVersion(0.0, cheap), PriceVersion(NOW, dear))
    models = {**policy.models, "chat-a": replace(policy.models["chat-a"], prices=versions)}
    changed = replace(policy, models=models)
    assert match(changed, KEY, CHAT, "chat-a", NOW - 0.001).price == cheap
    assert match(changed, KEY, CHAT, "chat-a", NOW).price == dear
    assert match(changed, KEY, CHAT, "chat-b", NOW).price is None


def test_limits_of_a_project_hold_there_only(policy: Policy) -> None:
    assert claims(policy, "chat-a", "", key(project="other")) == {
        "of-organization": ("organization=acme",),
        "each-project": ("organization=acme", "project=other"),
        "of-plan": ("organization=acme", "project=other"),
    }
    assert set(claims(policy, "Org/Large", "", key(organization="beta"))) == {"of-plan"}


@pytest.mark.parametrize(
    ("who", "names"),
    [
        (key(), ["chat-a", "chat-b", "vectors"]),
        (key(models=("chat-*",)), ["chat-a", "chat-b"]),
        (key(models=()), []),
        (key(project="other"), ["Org/Large", "chat-a", "chat-b", "vectors"]),
    ],
)
def test_a_key_sees_the_models_that_it_may_use(policy: Policy, who: Key, names: list[str]) -> None:
    assert [model.name for model in visible_models(policy, who)] == names


def test_what_a_key_sees_is_what_it_may_use(policy: Policy) -> None:
    for who in (key(), key(models=("*a*",)), key(project="other")):
        seen = {model.name for model in visible_models(policy, who)}
        for name in policy.models:
            if name in seen:
                match(policy, who, MODELS, name, NOW)
            else:
                with pytest.raises(NotAllowed):
                    match(policy, who, MODELS, name, NOW)


def test_a_key_of_a_project_that_is_gone_sees_nothing(policy: Policy) -> None:
    with pytest.raises(NotAllowed) as refusal:
        visible_models(policy, key(project="gone"))
    assert refusal.value.code == "project_not_found"
