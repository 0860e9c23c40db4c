"""Corrections: what they are, and that they come to the true cost."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.usage.entry import Entry, Outcome, Price, Source, Tokens
from gateway.usage.reprice import Booked, Tally, correction

OLD, NEW = Price(10**6, 10**6, 10**6, 10**6), Price(3 * 10**6, 10**6, 2 * 10**6, 5 * 10**6)
TOKENS = Tokens(10, 4, 5, 1)
ENTRY = Entry(
    id="req_1", time=1_795_460_000.5, organization="acme", project="demo", key_id="key_1",
    end_user="ada", model="gpt-4o", served_model="gpt-4o-x", upstream="up", endpoint="chat",
    stream=True, status=200, requests=1, tokens=TOKENS, source=Source.PROVIDER,
    cost_nano=OLD.cost_nano(TOKENS), currency="USD", duration_ms=5, first_token_ms=2,
    redactions={"A:b": 1}, policy_digest="old",
)  # fmt: skip


def correct(booked, price=NEW):
    return correction(booked, price, "new", "ada")


def test_a_cost_that_is_right_has_no_correction():
    assert correct(Booked(ENTRY), OLD) is None


def test_a_correction_is_the_difference_in_all_the_same_groups_and_counts_no_request():
    made = correct(Booked(ENTRY))
    assert made.cost_nano == NEW.cost_nano(TOKENS) - OLD.cost_nano(TOKENS)
    assert made == replace(
        ENTRY, id=made.id, outcome=Outcome.CORRECTION, code="repriced by ada", requests=0,
        tokens=Tokens(), source=Source.NONE, cost_nano=made.cost_nano, duration_ms=0,
        first_token_ms=None, redactions={}, policy_digest="new", corrects="req_1",
    )  # fmt: skip


def test_what_was_booked_at_its_bound_is_corrected_to_its_bound():
    bound = OLD.bound_nano(TOKENS.input, TOKENS.output)
    abandoned = replace(ENTRY, outcome=Outcome.ABANDONED, cost_nano=bound)
    assert correct(Booked(abandoned), OLD) is None
    made = correct(Booked(abandoned))
    assert bound + made.cost_nano == NEW.bound_nano(TOKENS.input, TOKENS.output)


prices = st.builds(Price, *[st.integers(0, 10**9)] * 4)


@given(st.lists(prices, max_size=6))
def test_the_last_price_holds_however_often_it_changed_and_came_back(history):
    booked, ids = Booked(ENTRY), set()
    for price in [*history, *history, OLD]:
        if (made := correct(booked, price)) is not None:
            assert made.id not in ids
            ids.add(made.id)
            total = booked.corrected_nano + made.cost_nano
            booked = Booked(ENTRY, total, booked.corrections + 1)
        assert correct(booked, price) is None
        assert booked.cost_nano == price.cost_nano(TOKENS)


def test_the_same_correction_has_the_same_id():
    assert correct(Booked(ENTRY)) == correct(Booked(ENTRY))


def test_sums_are_by_model_and_month_and_say_what_is_left():
    december = replace(ENTRY, id="req_2", time=1_796_083_200.0)
    unknown = replace(ENTRY, id="req_3", model="gone")
    tally = Tally()
    known = [Booked(ENTRY), Booked(december), Booked(ENTRY, NEW.cost_nano(TOKENS) - 15, 1)]
    tally.add([*known, Booked(unknown)], lambda e: NEW if e.model == "gpt-4o" else "not there")
    november, later, left = sorted(tally.sums(), key=lambda one: (one.left, one.month))
    new = NEW.cost_nano(TOKENS)
    assert (november.month, november.entries, november.changed) == ("2026-11", 2, 1)
    assert (november.old_nano, november.new_nano) == (15 + new, 2 * new)
    assert (later.month, later.changed, later.new_nano) == ("2026-12", 1, new)
    assert (left.left, left.changed, left.old_nano, left.new_nano) == ("not there", 0, 15, 15)
