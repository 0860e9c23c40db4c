"""Counters against the book, and the book against a provider's costs: what is a difference."""

from dataclasses import replace
from decimal import Decimal

import pytest

from gateway.usage.costs import Cost
from gateway.usage.reconcile import (
    Bucket,
    Counter,
    Ours,
    Spent,
    cost_differences,
    counter_differences,
    plain_name,
)

COUNTER = Counter(
    (("organization", "acme"),), "requests", "month", 1_793_491_200.0, None, used=10, reserved=2
)
DAY = 1_793_491_200.0
BUCKET = Bucket(DAY, DAY + 86_400, "gpt-4o", "", "USD")


def differences(booked, later=10, pending=0):
    after = {COUNTER.identity: replace(COUNTER, used=later)}
    return counter_differences([COUNTER], [booked], after, pending)


def test_a_counter_that_is_the_sum_of_its_entries_is_no_difference():
    assert differences(Spent(10)) == []


@pytest.mark.parametrize("booked", [10, 11, 12])
def test_a_sum_between_both_looks_is_no_difference_while_requests_go_on(booked):
    assert differences(Spent(booked), later=12) == []


@pytest.mark.parametrize(("booked", "pending", "theirs", "reason"), [
    (Spent(9), 0, 10, "never written"),
    (Spent(9), 3, 10, "3 entries are on their way"),
    (Spent(13), 0, 12, "another process"),
    (Spent(7, corrected=-3), 0, 10, "corrections were posted"),
])  # fmt: skip
def test_a_difference_is_named_with_its_likely_reason(booked, pending, theirs, reason):
    (found,) = differences(booked, later=12, pending=pending)
    assert found.what == ("requests of the month from 2026-11-01T00:00:00.000Z, organization=acme")
    assert (found.ours, found.theirs) == (booked.used, theirs)
    assert found.difference == booked.used - theirs
    assert reason in found.reason


def test_a_counter_whose_window_ended_meanwhile_is_held_against_what_it_was():
    assert counter_differences([COUNTER], [Spent(10)], {}, 0) == []
    assert len(counter_differences([COUNTER], [Spent(11)], {}, 0)) == 1


def cost(amount, model="gpt-4o-2024-08-06", kind="input", **more):
    values = {"project": "", "currency": "USD", **more}
    return Cost(DAY, DAY + 86_400, model, kind, amount=Decimal(amount), **values)


def compare(costs, ours, tolerance="0", projects=None):
    names = projects or {}
    return cost_differences(costs, ours, lambda p: names.get(p, ""), Decimal(tolerance))


def test_costs_are_summed_by_model_whatever_its_date_and_kinds():
    ours = {BUCKET: Ours(cost_nano=300_000_001, entries=2)}
    costs = [cost("0.1"), cost("0.2", kind="output")]
    (found,) = compare(costs, ours)
    assert found.difference == Decimal("0.000000001")
    assert compare(costs, ours, tolerance="0.000000001") == []


@pytest.mark.parametrize(("mine", "reason"), [
    (Ours(cost_nano=1, estimated=3, abandoned=2), "2 abandoned entries"),
    (Ours(cost_nano=1, estimated=3, abandoned=2), "1 estimated entries"),
    (Ours(cost_nano=1, counted=4), "4 entries counted"),
    (Ours(cost_nano=1, border=5), "5 entries near the bucket's border"),
    (Ours(cost_nano=1, corrections=6), "6 corrections"),
    (Ours(cost_nano=1), "perhaps the price"),
    (Ours(cost_nano=1, input_tokens=7), "our tokens: 7 input"),
    (Ours(cost_nano=1), "their line items: input 5"),
])  # fmt: skip
def test_what_may_explain_a_difference_is_told(mine, reason):
    (found,) = compare([cost("5")], {BUCKET: mine})
    assert reason in found.reason


def test_a_line_that_the_book_has_not_is_a_difference_and_so_is_the_other_way_round():
    (theirs,) = compare([cost("1", model="Web search")], {})
    assert "no entry of this model" in theirs.reason
    (ours,) = compare([], {BUCKET: Ours(cost_nano=10**9)})
    assert "the export has no such line" in ours.reason


def test_another_currency_is_never_added_up():
    ours = {replace(BUCKET, currency="EUR"): Ours(cost_nano=10**9)}
    found = {one.what[:3]: one for one in compare([cost("1")], ours)}
    assert found.keys() == {"USD", "EUR"}
    assert "the book has it in EUR" in found["USD"].reason


def test_projects_are_compared_one_by_one_where_they_are_mapped():
    ours = {replace(BUCKET, project="demo"): Ours(cost_nano=10**9), BUCKET: Ours(cost_nano=10**9)}
    costs = [cost("1", project="proj_a"), cost("2", project="proj_b")]
    (found,) = compare(costs, ours, projects={"proj_a": "demo"})
    assert (found.what, found.theirs) == ("USD 2026-11-01 gpt-4o", 2)


@pytest.mark.parametrize("name", ["GPT-4o", "gpt-4o-2024-08-06", "gpt-4o-0806"])
def test_a_models_name_is_plain_without_its_date(name):
    assert plain_name(name) == "gpt-4o"
