"""Meters count what entries say, under labels that callers cannot make."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from functools import partial

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.meters.exposition import samples as read
from gateway.meters.metrics import PARTS, Meters
from gateway.quota.ledger import Claim, Standing
from gateway.quota.limit import Level, Limit, Measure, Mode, Window
from gateway.usage.entry import NANO, Entry, Outcome, Source, Tokens
from gateway.usage.metered import LABELS, metered
from gateway.usage.readings import Reading
from gateway.usage.record import JournalState

ENTRY = Entry(
    id="req_1",
    time=0.0,
    organization="acme",
    project="demo",
    model="echo",
    upstream="simulator",
    endpoint="chat",
    status=200,
    tokens=Tokens(input=10, cached_input=4, output=7, reasoning=2),
    source=Source.PROVIDER,
    cost_nano=1_500_000_000,
    currency="USD",
    duration_ms=120,
    first_token_ms=60,
    redactions={"EMAIL_ADDRESS:placeholder": 2},
)

WHO = (("organization", "acme"), ("project", "demo"))


def samples(meters: Meters) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = meters.exposition().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(meters: Meters, name: str, **labels: str) -> float:
    return samples(meters)[(name, tuple(sorted(labels.items())))]


def limit(**changes) -> Limit:
    base = Limit("rate", Measure.REQUESTS, 10, Window.MINUTE, Level.PROJECT)
    return replace(base, **changes)


def test_an_entry_is_counted_by_kind_of_token_and_in_whole_money():
    meters = Meters()
    meters.record(ENTRY)
    meters.record(ENTRY)
    where = {"organization": "acme", "project": "demo", "model": "echo", "source": "provider"}
    assert value(meters, "gateway_tokens_total", **where, type="input") == 20
    assert value(meters, "gateway_tokens_total", **where, type="cached_input") == 8
    assert value(meters, "gateway_tokens_total", **where, type="output") == 14
    assert value(meters, "gateway_cost_total", **where, currency="USD") == 3.0
    redactions = {"entity": "EMAIL_ADDRESS", "action": "placeholder", "direction": "request"}
    assert value(meters, "gateway_redactions_total", **redactions) == 4
    requests = {"route": "chat", "model": "echo", "status": "200", "outcome": "ok"}
    assert value(meters, "gateway_requests_total", **requests) == 2


def test_an_abandoned_entry_is_counted_apart_and_takes_no_time():
    meters = Meters()
    meters.record(replace(ENTRY, status=0, outcome=Outcome.ABANDONED, source=Source.ABANDONED))
    where = {"organization": "acme", "project": "demo", "model": "echo", "source": "abandoned"}
    assert value(meters, "gateway_tokens_total", **where, type="output") == 7
    assert value(meters, "gateway_cost_total", **where, currency="USD") == 1.5
    requests = {"route": "chat", "model": "echo", "status": "0", "outcome": "abandoned"}
    assert value(meters, "gateway_requests_total", **requests) == 1
    assert b"gateway_request_duration_seconds_count{" not in meters.exposition()


def test_what_metrics_say_reads_as_what_was_recorded():
    meters = Meters()
    meters.start_time.set(1_793_491_200.123456)
    odd = replace(ENTRY, model='a "b"\\\n', upstream="", cost_nano=1)
    entries = (ENTRY, odd)
    for entry in entries:
        meters.record(entry)
    reading = Reading.of("here", read(meters.exposition().decode()))
    assert reading.start == 1_793_491_200.123456
    counts = {series: count for entry in entries for series, count in metered(entry)}
    assert reading.series == {
        series: Decimal(count) / NANO if series[0] == "cost" else count
        for series, count in counts.items()
    }


def test_limits_say_what_they_decided():
    meters = Meters()
    ok = Standing(Claim(limit(), WHO), 10, 4, 1, 1, refused=False, resets_at=None)
    no = Standing(Claim(limit(name="budget"), WHO), 10, 10, 0, 1, refused=True, resets_at=None)
    watch = Standing(
        Claim(limit(name="watched", mode=Mode.OBSERVE), WHO),
        10,
        12,
        0,
        1,
        refused=True,
        resets_at=None,
    )
    meters.limits.decided([ok, watch], granted=True)
    meters.limits.decided([ok, no], granted=False)
    decisions = partial(value, meters, "gateway_limit_decisions_total", organization="acme")
    assert decisions(limit="rate", decision="admitted") == 1
    assert decisions(limit="rate", decision="not_asked") == 1
    assert decisions(limit="budget", decision="refused") == 1
    assert decisions(limit="watched", decision="would_refuse") == 1


def test_how_full_a_limit_is_is_shown_for_each_organization_apart():
    meters = Meters()
    stand = meters.limits.stand
    stand([Standing(Claim(limit(), WHO), 10, 4, 1, 0, refused=False, resets_at=None)])
    other = (("organization", "other"), ("project", "demo"))
    meters.limits.stand(
        [Standing(Claim(limit(), other), 10, 1, 0, 0, refused=False, resets_at=None)]
    )
    name, labels = "gateway_limit_used_ratio", {"project": "demo", "limit": "rate"}
    assert value(meters, name, organization="acme", **labels) == 0.5
    assert value(meters, name, organization="other", **labels) == 0.1
    meters.use_policy("abc", 1.0)
    assert not [each for each, _ in samples(meters) if each == name]


def test_only_shared_limits_have_a_ratio_as_keys_and_users_are_without_bound():
    meters = Meters()
    for level in (Level.KEY, Level.END_USER):
        standing = Standing(
            Claim(limit(level=level), WHO), 10, 1, 0, 1, refused=False, resets_at=None
        )
        meters.limits.stand([standing])
    assert not [name for name, _ in samples(meters) if name == "gateway_limit_used_ratio"]


def test_one_policy_is_in_force_at_a_time():
    meters = Meters()
    meters.use_policy("aaaa", 1.0)
    meters.use_policy("bbbb", 2.0)
    infos = {labels for name, labels in samples(meters) if name == "gateway_policy_info"}
    assert infos == {(("digest", "bbbb"),)}


def test_the_journals_errors_are_a_counter_however_often_they_are_looked_at():
    meters = Meters()
    for errors in (0, 3, 3, 5):
        meters.observe_journal(JournalState(pending=1, lag_seconds=2.0, errors=errors, full=False))
    assert value(meters, "gateway_journal_errors_total") == 5
    assert value(meters, "gateway_journal_lag_seconds") == 2.0


def test_no_created_series_are_exposed():
    meters = Meters()
    meters.record(ENTRY)
    assert b"_created" not in meters.exposition()


def test_a_meter_without_room_says_so():
    meters = Meters(series_max=3)
    for n in range(5):
        meters.record(replace(ENTRY, model=f"m{n}"))
    assert value(meters, "gateway_series_refused_total", meter="gateway_requests") == 2
    other = {"route": "other", "model": "other", "status": "other", "outcome": "other"}
    assert value(meters, "gateway_requests_total", **other) == 2


def test_only_listed_keys_have_meters_of_their_own():
    meters = Meters(["key_a", "key_b"])
    for key_id in ("key_a", "key_a", "key_z", ""):
        meters.record(replace(ENTRY, key_id=key_id))
    assert value(meters, "gateway_key_requests_total", key_id="key_a", outcome="ok") == 2
    assert value(meters, "gateway_key_tokens_total", key_id="key_a", type="output") == 14
    assert value(meters, "gateway_key_cost_total", key_id="key_a", currency="USD") == 3.0
    assert b"key_z" not in meters.exposition()


def test_errors_are_counted_by_their_code_and_every_code_is_there_from_the_start():
    meters = Meters()
    for code in ("insufficient_quota", "insufficient_quota", "of_an_upstream", ""):
        meters.record(replace(ENTRY, code=code, outcome=Outcome.REFUSED))
    meters.record(replace(ENTRY, code="cut_at_cap"))
    assert value(meters, "gateway_errors_total", code="insufficient_quota") == 2
    assert value(meters, "gateway_errors_total", code="other") == 1
    assert value(meters, "gateway_errors_total", code="redaction_failed") == 0


def test_every_part_is_whole_from_the_start():
    meters = Meters()
    assert all(value(meters, "gateway_degraded", part=part) == 0 for part in PARTS)


def test_when_a_budget_is_whole_again_is_shown_of_shared_limits_by_calendar():
    meters = Meters()
    shared = {"window": Window.MONTH, "name": "budget"}
    for changes in (shared, {}, {**shared, "level": Level.KEY, "name": "of_a_key"}):
        claim = Claim(limit(**changes), WHO)
        meters.limits.stand(
            [Standing(claim, 10, 4, 1, 0, refused=False, resets_at=1_800_000_000.0)]
        )
    found = {
        labels: when for (name, labels), when in samples(meters).items() if "limit_reset" in name
    }
    names = {"organization": "acme", "project": "demo", "limit": "budget"}
    assert found == {tuple(sorted(names.items())): 1_800_000_000.0}
    meters.use_policy("abc", 1.0)
    assert "gateway_limit_reset_timestamp_seconds" not in {name for name, _ in samples(meters)}


def test_a_process_tells_of_itself():
    assert value(Meters(), "process_resident_memory_bytes") > 0


GENAI = {
    "gen_ai_operation_name": "chat",
    "gen_ai_provider_name": "simulator",
    "gen_ai_request_model": "echo",
}


def test_names_of_the_genai_conventions_are_there_on_demand_only():
    off, on = Meters(), Meters(genai=True)
    for meters in (off, on):
        meters.record(ENTRY)
    assert b"gen_ai" not in off.exposition()
    usage = partial(value, on, "gen_ai_client_token_usage_sum", **GENAI)
    assert usage(gen_ai_token_type="input") == 10
    assert usage(gen_ai_token_type="output") == 7
    took = value(on, "gen_ai_server_request_duration_seconds_sum", **GENAI, error_type="")
    assert took == 0.12
    assert value(on, "gen_ai_server_time_to_first_token_seconds_sum", **GENAI) == 0.06
    within = value(on, "gen_ai_client_token_usage_bucket", **GENAI, gen_ai_token_type="output",
                   le="16.0")  # fmt: skip
    assert within == 1


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"status": 429, "outcome": Outcome.REFUSED, "code": "insufficient_quota"},
         "insufficient_quota"),
        ({"status": 400, "outcome": Outcome.UPSTREAM_ERROR, "code": "their own word"}, "400"),
        ({"status": 499, "outcome": Outcome.CLIENT_LEFT}, "499"),
        ({"status": 200, "outcome": Outcome.CLIENT_LEFT}, "client_left"),
    ],
)  # fmt: skip
def test_what_went_wrong_is_a_word_of_ours(changes, error):
    meters = Meters(genai=True)
    meters.record(replace(ENTRY, **changes))
    name = "gen_ai_server_request_duration_seconds_count"
    assert value(meters, name, **GENAI, error_type=error) == 1


def test_what_is_no_operation_of_a_model_has_no_genai_names():
    meters = Meters(genai=True)
    for changes in ({"upstream": ""}, {"endpoint": "models"}, {"outcome": Outcome.ABANDONED}):
        meters.record(replace(ENTRY, **changes))
    assert b"gen_ai_operation_name" not in meters.exposition()


ALIKE = [
    {}, {"status": 500}, {"outcome": Outcome.CLIENT_LEFT}, {"project": "b"}, {"model": "b"},
    {"upstream": ""}, {"source": Source.COUNTED}, {"currency": "EUR"}, {"cost_nano": 0},
    {"tokens": Tokens()}, {"tokens": Tokens(1, 0, 1, 0, 1, 1)}, {"endpoint": "completions"},
    {"organization": "b"}, {"first_token_ms": None}, {"outcome": Outcome.ABANDONED},
]  # fmt: skip
"""Entries that differ in what they are counted by, or in what there is to count."""


@pytest.mark.parametrize("series_max", [1_000, 3])
def test_entries_that_come_again_are_counted_as_the_book_sums_them_up(series_max: int) -> None:
    meters, expected, totals = Meters(series_max=series_max), Counter(), Counter()
    for changes in (*ALIKE, *reversed(ALIKE), *ALIKE):
        entry = replace(ENTRY, **changes)
        meters.record(entry)
        for (meter, labels), count in metered(entry):
            name, unit = f"gateway_{meter}_total", NANO if meter == "cost" else 1
            names = tuple(sorted(zip(LABELS[meter], labels, strict=True)))
            expected[name, names] += Decimal(count) / unit
            totals[name] += Decimal(count) / unit
    told = samples(meters)
    found = {series: count for series, count in told.items() if series[0] in totals}
    assert {name: sum(found[one] for one in found if one[0] == name) for name in totals} == {
        name: pytest.approx(float(total)) for name, total in totals.items()
    }
    if series_max == 3:
        assert Counter(name for name, _ in found) == dict.fromkeys(totals, 4)
    else:
        assert found == {series: float(count) for series, count in expected.items()}
    for timed in ("request_duration", "time_to_first_token"):
        name = f"gateway_{timed}_seconds_count"
        assert sum(count for series, count in told.items() if series[0] == name) == 42
