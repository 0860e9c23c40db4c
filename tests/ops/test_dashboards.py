"""Every panel of every dashboard has data from a real Prometheus, and is what Grafana takes."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator

import pytest
from observed import observed
from traffic import keys_of, load

from boards.frames import answer
from boards.panels import NO_VALUE, Board, Panel, panels, variables
from boards.prometheus import Prometheus, Shown
from dashboards import BOARDS
from ops_tools import path_of

pytestmark = pytest.mark.ops

LOAD_SECONDS = 60
REQUESTS_PER_SECOND = 15

EACH = [
    pytest.param(board, panel, id=f"{board.uid}: {panel.title}")
    for board in BOARDS
    for panel in panels(board)
]


@pytest.fixture(scope="module")
def run() -> Iterator[tuple[Prometheus, Shown]]:
    """A minute of load with faults, and the time that it took."""
    if path_of("promtool") is None:
        pytest.skip("MISSING: Prometheus (Debian's prometheus)")
    with observed() as found:
        keys = keys_of(found.plant)
        start = time.time()
        asyncio.run(load(found.plant, keys, LOAD_SECONDS, REQUESTS_PER_SECOND))
        time.sleep(3)  # two more scrapes, and an evaluation of the rules
        yield found.prometheus, Shown(start, time.time(), 2, 15)


@pytest.mark.parametrize(("board", "panel"), EACH)
def test_a_panel_shows_data_of_a_real_run(
    run: tuple[Prometheus, Shown], board: Board, panel: Panel
) -> None:
    prometheus, shown = run
    for at, query in enumerate(panel.queries):
        found = answer(panel, at, prometheus, shown)
        values = [value for one in found for _, value in one.samples]
        if panel.no_value != NO_VALUE:  # what it is about is off in this run
            assert values == [], query.expr
            continue
        assert any(math.isfinite(value) for value in values), query.expr


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_a_variable_has_values_to_choose_from(run: tuple[Prometheus, Shown], board: Board) -> None:
    prometheus, shown = run
    for variable in variables(board):
        inner = variable.query.removeprefix("label_values(").removesuffix(")")
        selector, _, label = inner.rpartition(", ")
        found = prometheus.now(shown.filled(selector), shown.end)
        assert {one.labels[label] for one in found}, variable.name


def test_what_went_wrong_in_the_run_can_be_seen(run: tuple[Prometheus, Shown]) -> None:
    """The faults were real: without them a panel of zeros would prove nothing."""
    prometheus, shown = run
    seen = {
        "upstream errors": 'sum(gateway_upstream_requests_total{code="500"}) > 0',
        "time-outs": 'sum(gateway_requests_total{outcome="timeout"}) > 0',
        "refused by a limit": 'sum(gateway_limit_decisions_total{decision="refused"}) > 0',
        "blocked": 'sum(gateway_errors_total{code="pii_blocked"}) > 0',
        "masked in answers": 'sum(gateway_redactions_total{direction="answer"}) > 0',
        "without the ledger": "sum(max_over_time(gateway_ledger_outage_admitted_total[5m])) > 0",
        "ledger away": 'max(max_over_time(gateway_degraded{part="ledger"}[5m])) == 1',
        "journal late": "max(max_over_time(gateway_journal_lag_seconds[5m])) > 1",
        "abandoned": "sum(max_over_time(gateway_reservations_abandoned_total[5m])) > 0",
        "policy refused": 'max(max_over_time(gateway_degraded{part="policy"}[5m])) == 1',
    }
    missing = [what for what, expr in seen.items() if not prometheus.now(expr, shown.end)]
    assert missing == []
