"""What is told to be counted later is counted once there is much of it, or somebody looks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_metrics import ENTRY, WHO, limit

from gateway.meters.backlog import WAITING_MAX, Backlog
from gateway.meters.metrics import Meters
from gateway.quota.ledger import Claim, Standing


def test_what_waits_is_counted_before_a_scrape_and_none_of_it_twice() -> None:
    meters = Meters()
    for _ in range(3):
        meters.later(meters.exchanged, ENTRY, {"admit": 0.25}, "200", 0.5)
    for _ in range(2):
        told = meters.exposition().decode()
        assert 'gateway_overhead_seconds_count{stage="total"} 3.0' in told
        assert 'gateway_overhead_seconds_sum{stage="admit"} 0.75' in told
        assert "gateway_upstream_requests_total{" in told
    never_sent = replace(ENTRY, model="other one")
    meters.later(meters.exchanged, never_sent, {}, "error", None)
    told = meters.exposition().decode()
    assert 'gateway_overhead_seconds_count{stage="total"} 4.0' in told
    assert 'code="error"' not in told


def test_series_that_are_refused_while_a_backlog_is_counted_are_in_the_same_scrape() -> None:
    meters = Meters(series_max=1)
    for name in ("one", "other"):
        meters.later(meters.key_requests.add, (name, "ok"))
    assert 'series_refused_total{meter="gateway_key_requests"} 1.0' in meters.exposition().decode()


def test_limits_of_the_policy_before_are_counted_before_they_are_forgotten() -> None:
    meters = Meters()
    standing = Standing(Claim(limit(), WHO), 10, 4, 1, 0, refused=False, resets_at=None)
    meters.later(meters.limits.stand, (standing,))
    meters.use_policy("abc", 1.0)
    assert "gateway_limit_used_ratio{" not in meters.exposition().decode()


def test_as_much_as_a_backlog_takes_is_counted_in_the_order_in_which_it_came() -> None:
    backlog = Backlog()
    counted: list[int] = []
    for n in range(WAITING_MAX - 1):
        backlog.later(counted.append, n)
    assert counted == []
    backlog.later(counted.append, WAITING_MAX - 1)
    assert counted == list(range(WAITING_MAX))
    backlog.settle()
    assert len(counted) == WAITING_MAX


def test_of_one_object_the_last_is_counted_and_nothing_is_worked_out_before() -> None:
    backlog = Backlog()
    made: list[str] = []
    counted: list[str] = []

    def worked_out(name: str) -> str:
        made.append(name)
        return name

    one, other = (1,), (1, 2)
    for of, name in ((one, "a"), (other, "b"), (one, "c")):
        backlog.last(of, counted.append, lambda name=name: worked_out(name))
    assert made == []
    backlog.settle()
    backlog.settle()
    assert made == counted
    assert sorted(made) == ["b", "c"]


def test_what_is_told_often_is_counted_with_how_often_it_was() -> None:
    backlog = Backlog()
    counted: list[tuple[object, int]] = []
    one, equal = (1, *()), (1, *[])
    for of in (one, equal, one, one):
        backlog.often(of, lambda of, times: counted.append((of, times)))
    backlog.settle()
    backlog.settle()
    assert one is not equal
    assert sorted(times for _, times in counted) == [1, 3]


def test_however_many_objects_are_told_of_no_more_than_a_few_wait() -> None:
    backlog = Backlog()
    counted: list[object] = []
    for n in range(10 * WAITING_MAX):
        backlog.often((n,), lambda of, times: counted.append(of))
        backlog.last((n,), lambda value: counted.append(value), lambda n=n: n)
    assert len(counted) > 18 * WAITING_MAX


def test_where_a_count_fails_the_rest_wait_on() -> None:
    backlog = Backlog()
    counted: list[int] = []
    backlog.later(counted.append, 1)
    backlog.later(counted.append, 2, 3)  # takes one
    backlog.later(counted.append, 4)
    with pytest.raises(TypeError):
        backlog.settle()
    backlog.settle()
    assert counted == [1, 4]
