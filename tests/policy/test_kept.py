"""Which limits keep old entries from being pruned."""

from datetime import UTC, datetime

import pytest

from gateway.policy.kept import first_need
from gateway.policy.parse import parse

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC).timestamp()
POLICY = """
upstreams: {{sim: {{simulated: true}}}}
models:
  m: {{upstream: sim, endpoints: [chat], price: {{input: 1, output: 2}}, context: 128000,
      max_output: 16384, default_output: 4096, tokenizer: o200k}}
redaction: {{standard: {{score_min: 0.4, entities: {{EMAIL_ADDRESS: placeholder}}}}}}
plans: {{std: {{models: ["*"], redaction: standard}}}}
organizations:
  acme:
    timezone: {zone}
    currency: USD
    defaults: {{plan: std}}
    projects:
      demo: {{limits: [{{name: it, measure: {measure}, amount: 100, {limit}}}]}}
"""


def need(limit, zone="UTC", measure="requests"):
    text = POLICY.format(limit=limit, zone=zone, measure=measure)
    parsed = parse({"a.yaml": text.encode()}, frozenset({"EMAIL_ADDRESS"}), {})
    assert parsed.policy, parsed.problems
    found = first_need(parsed.policy, NOW)
    if found is None:
        return None
    assert (found.limit, found.organization) == ("it", "acme")
    return datetime.fromtimestamp(found.since, UTC).isoformat()[:16]


@pytest.mark.parametrize("limit", [
    "per: year", "per: none", "per: month, each: key", "per: month, model: m", "per: minute",
    "per: hour, each: end_user", "per: month, rollover: 50",
])  # fmt: skip
def test_what_the_kept_sums_tell_needs_no_entry(limit):
    assert need(limit) is None


def test_requests_at_once_need_no_entry():
    assert need("each: end_user", measure="concurrency") is None


@pytest.mark.parametrize(("limit", "zone", "since"), [
    ("per: month, each: end_user", "UTC", "2026-11-01T00:00"),
    ("per: none, each: end_user", "UTC", "1970-01-01T00:00"),
    ("per: year, each: key, model: m", "UTC", "2026-01-01T00:00"),
    ("per: year", "Asia/Kolkata", "2025-12-31T18:30"),
    ("per: month, rollover: 50", "Asia/Kathmandu", "2026-09-30T18:15"),
    ("per: day, each: key", "Europe/Berlin", "2026-11-22T23:00"),
])  # fmt: skip
def test_what_they_do_not_tell_needs_entries_since_its_window_began(limit, zone, since):
    assert need(limit, zone) == since
