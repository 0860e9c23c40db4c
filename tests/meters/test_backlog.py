"""What is told to be counted later is counted once there is much of it, or somebody looks."""

from __future__ import annotations

from dataclasses import replace

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
