"""`gateway grant`: limits are topped up and raised from a terminal, and taken back."""

import asyncio
import json
import re
import secrets
import time
from functools import partial

import pytest
import typer
from command_line import complaint, run, using

from gateway.backends.sql_book import generations_of
from gateway.backends.sql_grants import SqlGrants
from gateway.backends.sql_keyring import SqlKeyring
from gateway.cli import store
from gateway.cli.grant import app as grant_app
from gateway.cli.key import app as key_app
from gateway.errors import Unavailable

POLICY = """
upstreams:
  simulator: {simulated: true}
models:
  echo: {upstream: simulator, endpoints: [chat], context: 8000, max_output: 4000,
         price: {input: 1, output: 1}}
redaction:
  none: {entities: {}}
organizations:
  acme:
    timezone: UTC
    currency: USD
    defaults: {redaction: none}
    limits:
      - {name: balance, measure: money, amount: 10 USD, per: none}
      - {name: daily, measure: tokens, amount: 1000, per: day, each: project}
    projects:
      demo:
        models: [echo]
        limits:
          - {name: rate, measure: requests, amount: 60, per: minute, each: key}
          - {name: slots, measure: concurrency, amount: 8}
          - {name: share, measure: tokens, amount: 10, per: none, each: end_user}
      batch: {models: [echo]}
"""
OTHERS = """
organizations:
  umbrella: {timezone: UTC, currency: USD, defaults: {redaction: none},
             projects: {lab: {models: [echo]}},
             limits: [{name: balance, measure: money, amount: 0 USD, per: none}]}
  lonely: {timezone: UTC, currency: USD, defaults: {redaction: none},
           projects: {attic: {models: [echo]}}}
"""


@pytest.fixture
def gateway(home):
    """Runs `gateway …` in a folder of its own, with a policy and a migrated database."""
    (home / "policies/acme.yaml").write_text(POLICY)
    app = typer.Typer()
    app.add_typer(grant_app, name="grant")
    app.add_typer(key_app, name="key")
    return partial(run, app)


def granted():
    return using(lambda database: SqlGrants(database, time.time).grants())


def new_key(project="demo"):
    async def make(database):
        issued = await SqlKeyring(database).create(
            b"p" * 32, "acme", project, "laptop", now=time.time(), random_bytes=secrets.token_bytes
        )
        return issued.key.id

    return using(make)


def made(gateway, *words):
    result = gateway("grant", "add", *words, "--by", "ada", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_prepaid_limit_is_topped_up_for_good(gateway):
    row = made(gateway, "balance", "25.5 USD", "--note", "invoice 7")
    assert re.fullmatch(r"grant_[0-9a-f]{16}", row["id"])
    (grant,) = granted()
    assert (grant.limit, grant.subject) == ("balance", (("organization", "acme"),))
    assert (grant.amount, grant.ends_at) == (25_500_000_000, None)
    assert (grant.approved_by, grant.note) == ("ada", "invoice 7")
    assert grant.starts_at == pytest.approx(time.time(), abs=60)
    assert {name: row[name] for name in ("amount_text", "until", "state", "by")} == {
        "amount_text": "25.5 USD", "until": None, "state": "active", "by": "ada",
    }  # fmt: skip


def test_another_limit_is_raised_from_when_to_when(gateway):
    row = made(gateway, "daily", "5_000", "--project", "batch",
               "--from", "2098-12-30", "--until", "2098-12-31T12:00")  # fmt: skip
    (grant,) = granted()
    assert grant.subject == (("organization", "acme"), ("project", "batch"))
    assert (grant.amount, row["state"]) == (5000, "scheduled")
    assert row["from"] == "2098-12-30T00:00:00.000Z"
    assert row["until"] == "2098-12-31T12:00:00.000Z"


def test_a_grant_names_exactly_whom_its_limit_counts(gateway):
    key = new_key()
    made(gateway, "rate", "5", "--key", key, "--until", "7d")
    made(gateway, "share", "5", "--project", "demo", "--end-user", "u-7")
    demo = (("organization", "acme"), ("project", "demo"))
    assert {grant.subject for grant in granted()} == {
        (*demo, ("key_id", key)),
        (*demo, ("end_user", "u-7")),
    }


def test_a_negative_amount_takes_away(gateway):
    result = gateway("grant", "add", "balance", "--by", "ada", "--json", "--", "-2 USD")
    assert json.loads(result.stdout)["amount_text"] == "-2 USD"
    assert [grant.amount for grant in granted()] == [-2_000_000_000]


@pytest.mark.parametrize(("words", "exit_code", "told"), [
    (("balanc", "1 USD"), 1, "no limit 'balanc' in acme. Did you mean `balance`? There is: "),
    (("nothing", "1", "--project", "batch"), 1,
     "in acme/batch. There is: balance (each organization), daily (each project)."),
    (("balance", "1 USD", "--project", "demo"), 2, "each organization: leave --project away"),
    (("daily", "1", "--until", "7d"), 2, "counts each project: say which with --project"),
    (("rate", "1", "--project", "demo", "--until", "7d"), 2, "each key: say which with --key"),
    (("share", "1", "--project", "demo"), 2, "each end user: say which with --end-user"),
    (("share", "1", "--project", "demo", "--end-user", "ada@example.com"), 2, "as a pseudonym"),
    (("daily", "1", "--project", "demo"), 2, "is not prepaid: say when the raise ends"),
    (("slots", "1", "--project", "demo"), 2, "is not prepaid: say when the raise ends"),
    (("daily", "1", "--project", "demo", "--until", "2020-01-01"), 2, "is in the past"),
    (("daily", "1", "--project", "demo", "--from", "9d", "--until", "7d"), 2, "is not after"),
    (("daily", "1", "--project", "demo", "--until", "soon"), 2, "'soon' is not a time"),
    (("daily", "1 USD", "--project", "demo", "--until", "7d"), 2, "counts tokens, so its amount"),
    (("balance", "5"), 2, 'counts money, so its amount is money, as in "25 USD", not \'5\''),
    (("balance", "5 EUR"), 2, "not '5 EUR'"),
    (("balance", "much"), 2, "'much' is not an amount; expected a whole number"),
    (("balance", "0 USD"), 2, "is not an amount"),
    (("daily", "1", "--project", "dmeo", "--until", "7d"), 1, "no project 'dmeo'"),
    (("balance", "1 USD", "--organization", "acne"), 1, "no organization 'acne'"),
    (("rate", "1", "--key", "key_x", "--until", "7d"), 1, "no key 'key_x'"),
    (("balance", "1 USD", "--by", " "), 2, "--by has 1 to 200 characters"),
    (("balance", "1 USD", "--note", "n" * 1001), 2, "--note has at most 1000"),
    (("balance", "1 USD", "--policies", "nowhere"), 1, "the policies cannot be used"),
    (("balance", "1 USD", "--database-url", "sqlite:///new.db"), 3, "run `gateway migrate`"),
])  # fmt: skip
def test_what_cannot_be_granted_is_a_sentence_and_an_exit_code(gateway, words, exit_code, told):
    result = gateway("grant", "add", "--by", "ada", *words)
    assert told in complaint(result, exit_code)
    assert granted() == ()


def test_a_key_that_is_named_must_be_what_the_other_options_say(gateway):
    key = new_key()
    asked = ("grant", "add", "--by", "ada", "--key", key, "--until", "7d")
    told = complaint(gateway(*asked, "rate", "1", "--project", "batch"), 1)
    assert f"The key {key} is of acme/demo" in told
    assert "leave --key away" in complaint(gateway(*asked, "balance", "1 USD"), 2)
    assert granted() == ()


def test_of_several_organizations_with_the_limit_one_must_be_named(gateway, home):
    (home / "policies/others.yaml").write_text(OTHERS)
    told = complaint(gateway("grant", "add", "balance", "1 USD", "--by", "ada"), 2)
    assert "Several organizations have a limit 'balance'" in told
    assert "say which with --organization: acme, umbrella." in told
    made(gateway, "balance", "1 USD", "--organization", "acme")


def test_the_only_organization_with_the_limit_need_not_be_named(gateway, home):
    (home / "policies/others.yaml").write_text(OTHERS)
    told = complaint(gateway("grant", "add", "daily", "1", "--by", "ada", "--until", "7d"), 2)
    assert "counts each project: say which with --project" in told
    told = complaint(gateway("grant", "add", "balanc", "1 USD", "--by", "ada"), 1)
    assert "No organization has a limit 'balanc': did you mean `balance`?" in told
    told = complaint(gateway("grant", "add", "nothing", "1 USD", "--by", "ada"), 1)
    assert "write one of `balance`, `daily`, `rate`, `share`, `slots`." in told


def test_grants_are_listed_with_who_and_until_when(gateway):
    assert json.loads(gateway("grant", "list", "--json").stdout) == []
    first = made(gateway, "balance", "1 USD", "--note", "[red]\x1b[31m")
    second = made(gateway, "daily", "7", "--project", "demo", "--until", "7d")
    assert json.loads(gateway("grant", "list", "--json").stdout) == [first, second]
    assert json.loads(gateway("grant", "list", "--organization", "x", "--json").stdout) == []
    table = gateway("grant", "list").stdout
    assert "7 tokens" in table
    assert "[red]\ufffd[31m" in table


def test_the_list_works_without_the_policy(gateway, tmp_path):
    row = made(gateway, "balance", "1 USD")
    (tmp_path / "policies/acme.yaml").write_text("organizations: {}")
    (shown,) = json.loads(gateway("grant", "list", "--json").stdout)
    assert shown == row | {"amount_text": "1000000000"}


def test_an_ended_grant_says_who_ended_it(gateway):
    row = made(gateway, "balance", "1 USD")
    result = gateway("grant", "end", row["id"], "--by", "grace", "--json")
    ended = json.loads(result.stdout)
    assert (ended["state"], ended["by"], ended["ended_by"]) == ("ended", "ada", "grace")
    assert granted() == ()
    assert "is ended, by grace" in gateway("grant", "end", row["id"], "--by", "eve").stdout
    told = complaint(gateway("grant", "end", "grant_x", "--by", "eve"), 1)
    assert "no grant 'grant_x'; `gateway grant list`" in told


@pytest.fixture
def told(monkeypatch):
    """The generations that Redis is told; with None at its end, Redis is away."""
    numbers = []

    async def tell(url, generation):
        assert url == "redis://127.0.0.1:1/0"
        if None in numbers:
            raise Unavailable("Redis cannot be used.")
        assert (await asyncio.to_thread(using, generations_of)).access == generation
        numbers.append(generation)

    monkeypatch.setattr(store, "tell", tell)
    monkeypatch.setenv("GATEWAY_REDIS_URL", "redis://127.0.0.1:1/0")
    return numbers


def test_each_change_of_keys_and_grants_is_told_to_the_replicas_after_its_commit(gateway, told):
    key = json.loads(
        gateway("key", "create", "--project", "demo", "--name", "n", "--json").stdout
    )["id"]  # fmt: skip
    assert told == []  # nobody keeps a key that was not there
    row = made(gateway, "balance", "1 USD")
    for words in (
        ("grant", "end", row["id"], "--by", "eve"),
        ("key", "rotate", key),
        ("key", "revoke", key),
        ("key", "revoke", key),
        ("grant", "list"),
    ):
        assert gateway(*words).exit_code == 0
    assert told == [1, 2, 3, 4, 4]


def test_without_redis_the_change_is_made_and_shown_and_the_exit_code_says_so(gateway, told):
    key = new_key()
    told.append(None)
    result = gateway("grant", "add", "balance", "1 USD", "--by", "ada", "--json")
    message = complaint(result, 3, has_result=True)
    assert "The change is in the database" in message
    assert "do not run this command again" in message
    assert json.loads(result.stdout)["id"] == granted()[0].id
    result = gateway("key", "rotate", key, "--json")
    assert "do not run this command again" in complaint(result, 3, has_result=True)
    assert json.loads(result.stdout)["key"].startswith("sk-")
    message = complaint(gateway("key", "revoke", key), 3, has_result=True)
    assert "at once when this command is run again" in message
    told.clear()
    assert gateway("key", "revoke", key).exit_code == 0
    assert told == [3]
