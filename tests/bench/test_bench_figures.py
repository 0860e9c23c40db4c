"""How repeats become figures, bars and tables."""

from __future__ import annotations

import pytest

from bars import BARS, GOVERNED, Bar
from cases import CASES, JSON_BUSY
from figures import by_place, medians, spread, table
from stacks import top


def sample(contestant, rate, p50, case=JSON_BUSY.name):
    return {
        "case": case,
        "contestant": contestant,
        "per_second": rate,
        "latency_ms": {"p50": p50, "p99": 2 * p50},
        "first_text_ms": {},
        "memory_mb": 100,
        "others_share": 0.0,
        "beside_share": 0.5,
        "cpu_us": 300.0,
        "stores_us": 0.0,
    }


REPEATS = [
    [sample("direct", 9000, 1.0), sample(GOVERNED, 3000, 2.0)],
    [sample("direct", 8000, 5.0), sample(GOVERNED, 2000, 9.0)],
    [sample("direct", 7000, 2.0), sample(GOVERNED, 4000, 3.5)],
]


def test_what_is_added_is_against_direct_of_the_same_repeat():
    rows = by_place(REPEATS)[JSON_BUSY.name, GOVERNED]
    assert [row["added_p50"] for row in rows] == [1.0, 4.0, 1.5]
    assert medians(rows)["added_p50"] == 1.5
    assert medians(rows)["added_p99"] == 3.0


def test_the_spread_is_a_share_of_the_median():
    rows = by_place(REPEATS)[JSON_BUSY.name, GOVERNED]
    assert spread(rows, "per_second") == pytest.approx(2000 / 3000)


def test_direct_has_no_cpu_time_and_adds_nothing():
    row = by_place(REPEATS)[JSON_BUSY.name, "direct"][0]
    assert not {"cpu_us", "added_p50"} & set(row)
    assert "-" in table("a case", {"direct": [row]})


def test_a_case_without_direct_adds_nothing_that_is_known():
    rows = by_place([[sample(GOVERNED, 3000, 2.0)]])
    assert "added_p50" not in rows[JSON_BUSY.name, GOVERNED][0]


@pytest.mark.parametrize(
    ("at_least", "value", "said"),
    [(True, 3000, "met"), (True, 2999, "NOT MET"), (False, 3000, "met"), (False, 3001, "NOT MET")],
)
def test_a_bar_says_whether_it_is_met(at_least, value, said):
    bar = Bar("JSON", "req/s", 3000, at_least, lambda medians, starts: value)
    assert bar.verdict({}, {}).split("  ")[-1] == said


def test_what_was_not_measured_is_not_met():
    assert all("not measured" in bar.verdict({}, {}) for bar in BARS)


def test_names_of_cases_are_their_own():
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_table_of_a_flame_graph_leaves_waiting_threads_out():
    told = top(
        "serve (gateway/cli.py:1);work (gateway/a.py:2) 30\n"
        "serve (gateway/cli.py:1) 10\n"
        "_bootstrap (threading.py:9);_worker (concurrent/futures/thread.py:69) 900\n",
        5,
    )
    assert "(40 samples)" in told
    assert "  75.0%   75.0%  work (gateway/a.py:2)" in told
    assert "  25.0%  100.0%  serve (gateway/cli.py:1)" in told
    assert "_worker" not in told
