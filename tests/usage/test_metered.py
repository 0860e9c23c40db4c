"""What an entry counts for in the meters."""

from dataclasses import replace

from gateway.usage.entry import Entry, Outcome, Source, Tokens
from gateway.usage.metered import metered

ENTRY = Entry(
    id="req_1", time=0.0, organization="acme", project="demo", model="echo", upstream="simulator",
    endpoint="chat", status=200, tokens=Tokens(10, 4, 7, 0), source=Source.PROVIDER,
    cost_nano=15, currency="USD",
)  # fmt: skip
WHOSE = ("acme", "demo", "echo", "provider")


def test_an_entry_counts_once_with_its_tokens_and_its_cost():
    assert dict(metered(ENTRY)) == {
        ("requests", ("chat", "echo", "200", "ok")): 1,
        ("tokens", (*WHOSE, "input")): 10,
        ("tokens", (*WHOSE, "cached_input")): 4,
        ("tokens", (*WHOSE, "output")): 7,
        ("cost", (*WHOSE, "USD")): 15,
    }


def test_the_sum_of_many_counts_as_many_requests():
    assert dict(metered(ENTRY, 3))[("requests", ("chat", "echo", "200", "ok"))] == 3


def test_no_text_of_a_caller_is_a_label():
    refused = replace(
        ENTRY, organization="", project="", upstream="", endpoint="", status=401,
        outcome=Outcome.REFUSED, tokens=Tokens(1), cost_nano=0,
    )  # fmt: skip
    assert dict(metered(refused)) == {
        ("requests", ("other", "other", "401", "refused")): 1,
        ("tokens", ("other", "other", "other", "provider", "input")): 1,
    }
