"""The meters of running gateways against the book: what differs, and what cannot be told."""

from dataclasses import replace
from decimal import Decimal

import pytest

from gateway.usage.readings import Reading, meter_differences, not_compared

START = 1_793_491_200.0
REQUESTS = ("requests", ("chat", "echo", "200", "ok"))
TOKENS = ("tokens", ("acme", "demo", "echo", "provider", "input"))
COST = ("cost", ("acme", "demo", "echo", "provider", "USD"))
ABANDONED = ("tokens", ("acme", "demo", "echo", "abandoned", "input"))
ONE = Reading("one", START, {REQUESTS: Decimal(2), TOKENS: Decimal(20), COST: Decimal("0.3")})
TWO = replace(ONE, where="two", start=START + 5)
BOOK = {REQUESTS: 4, TOKENS: 40, COST: 600_000_000}
ONE_BOOKED = {REQUESTS: 2, TOKENS: 20, COST: 300_000_000}
EXACT = Decimal(0)


def samples(*more):
    return [("gateway_start_time_seconds", {}, START), *more]


def with_more_tokens(reading, count):
    return replace(reading, series={**reading.series, TOKENS: reading.series[TOKENS] + count})


def test_what_was_said_is_read():
    labels = dict(zip(("route", "model", "status", "outcome"), REQUESTS[1], strict=True))
    reading = Reading.of("one", samples(
        ("gateway_requests_total", labels, 2.0),
        ("gateway_journal_pending", {}, 3.0),
        ("gateway_ledger_owed", {}, 1.0),
        ("gateway_journal_set_aside", {}, 5.0),
        ("gateway_entries_dropped_total", {}, 7.0),
        ("gateway_degraded", {"part": "journal"}, 1.0),
        ("go_info", {}, float("nan")),
    ))  # fmt: skip
    assert reading == Reading("one", START, {REQUESTS: Decimal(2)}, 4, 7, 5)


@pytest.mark.parametrize(("said", "why"), [
    ([], "it has no gateway_start_time_seconds"),
    (samples(("gateway_tokens_total", {"project": "demo"}, 1.0)), "has the labels project"),
])  # fmt: skip
def test_another_version_is_not_compared(said, why):
    with pytest.raises(ValueError, match=why):
        Reading.of("one", said)


def test_meters_that_are_the_book_together_are_no_difference():
    both = [ONE, TWO]
    assert meter_differences(both, BOOK, both, EXACT) == []


@pytest.mark.parametrize("booked", [40, 45, 50])
def test_a_book_between_both_looks_is_no_difference_while_requests_go_on(booked):
    after = [ONE, with_more_tokens(TWO, 10)]
    assert meter_differences([ONE, TWO], BOOK | {TOKENS: booked}, after, EXACT) == []


@pytest.mark.parametrize(("booked", "theirs"), [(39, 40), (51, 50)])
def test_a_difference_is_named_by_its_series(booked, theirs):
    after = [ONE, with_more_tokens(TWO, 10)]
    (found,) = meter_differences([ONE, TWO], BOOK | {TOKENS: booked}, after, EXACT)
    assert found.what == (
        'gateway_tokens_total{organization="acme", project="demo", model="echo", '
        'source="provider", type="input"}'
    )
    assert (found.ours, found.theirs) == (booked, theirs)


def test_a_series_that_only_one_side_has_is_a_difference():
    found = meter_differences([ONE], {REQUESTS: 2, COST: 300_000_000}, [ONE], EXACT)
    assert [(one.ours, one.theirs) for one in found] == [(0, 20)]
    found = meter_differences([Reading("new", START)], {REQUESTS: 2}, [], EXACT)
    assert [(one.ours, one.theirs) for one in found] == [(2, 0)]


def test_money_is_compared_in_its_unit_and_within_the_tolerance():
    book = {REQUESTS: 2, TOKENS: 20, COST: 300_000_004}
    (found,) = meter_differences([ONE], book, [ONE], EXACT)
    assert (found.ours, found.theirs) == (Decimal("0.300000004"), Decimal("0.3"))
    assert meter_differences([ONE], book, [ONE], Decimal("0.000001")) == []


def test_more_abandoned_use_than_since_the_start_is_none_but_less_is():
    meters = [Reading("one", START, {ABANDONED: Decimal(100)})]
    for booked in (0, 40, 100):
        assert meter_differences(meters, {ABANDONED: booked}, meters, EXACT) == []
    assert len(meter_differences(meters, {ABANDONED: 101}, meters, EXACT)) == 1


@pytest.mark.parametrize(("changes", "reason"), [
    ({}, "a request that was never written"),
    ({"waiting": 3}, "3 entries are on their way"),
    ({"set_aside": 2}, "2 entries were refused by the database"),
])  # fmt: skip
def test_what_the_book_has_not_is_told_with_its_likely_reason(changes, reason):
    meters = [replace(ONE, **changes)]
    (found,) = meter_differences(meters, {REQUESTS: 2, COST: 300_000_000}, meters, EXACT)
    assert reason in found.reason


def test_refusals_that_were_only_logged_explain_requests_alone():
    meters = [replace(ONE, dropped=1)]
    found = meter_differences(meters, {REQUESTS: 1, COST: 300_000_000}, meters, EXACT)
    assert ["1 refusals were only logged" in one.reason for one in found] == [True, False]


def test_what_a_process_that_is_gone_counted_is_told():
    (found,) = meter_differences([ONE], {**ONE_BOOKED, REQUESTS: 3}, [ONE], EXACT)
    assert "is gone, or is not named here" in found.reason
    late = replace(TWO, start=START + 3600)
    (found,) = meter_differences([ONE, late], BOOK | {REQUESTS: 5}, [ONE, late], EXACT)
    assert "two started later" in found.reason


def test_what_cannot_be_compared_is_said():
    assert not_compared([ONE, TWO]) == [
        "The meters count since 2026-11-01T00:00:00.000Z; nothing before is compared with them."
    ]
    late = Reading("three", START + 3600, {ABANDONED: Decimal(1)})
    _, restarted, abandoned = not_compared([ONE, late])
    assert restarted.startswith("three started later")
    assert abandoned.startswith("Abandoned use may be of before the start")
