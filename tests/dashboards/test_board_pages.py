"""The pages of which pictures are made: figures as people read them, tables as Grafana joins."""

from __future__ import annotations

import math

import pytest

from boards.frames import frame
from boards.overview import BOARD as OVERVIEW
from boards.page import page
from boards.panels import NO_VALUE, Board, Panel, Query, panels, series
from boards.prometheus import Prometheus, Series, Shown
from boards.units import told
from dashboards import BOARDS

SHOWN = Shown(start=1000.0, end=1060.0, step_seconds=2, rate_seconds=15)


class Answering(Prometheus):
    """Answers with what it was given by expression, else with one series of 0.5."""

    def __init__(self, answers: dict[str, list[Series]] | None = None) -> None:
        super().__init__("http://127.0.0.1:9")
        object.__setattr__(self, "answers", answers or {})

    def over(self, expr: str, shown: Shown) -> list[Series]:
        times = (shown.start + at * shown.step_seconds for at in range(31))
        found = self.now(expr, 0.0)
        last = list(times)
        return [Series(one.labels, [(time, one.samples[-1][1]) for time in last]) for one in found]

    def now(self, expr: str, at: float) -> list[Series]:
        answers: dict[str, list[Series]] = self.answers  # type: ignore[attr-defined]
        return answers.get(expr, [Series({"slo": "a<b"}, [(at, 0.5)])])


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (0.1234, "percentunit", None, "12.3 %"),
        (0.0042, "s", None, "4.20 ms"),
        (90.0, "s", None, "1.50 min"),
        (200_000.0, "s", 1, "2.3 d"),
        (0.0, "reqps", None, "0 req/s"),
        (1234.0, "short", None, "1.23 K"),
        (3 * 2**20, "bytes", 0, "3 MiB"),
        (7.0, "none", None, "7"),
        (math.nan, "s", None, "—"),
        (math.inf, "s", None, "∞"),
    ],
)
def test_a_figure_has_its_unit(value: float, unit: str, decimals: int | None, text: str) -> None:
    assert told(value, unit, decimals) == text


def test_variables_stand_for_everything_unless_one_is_chosen() -> None:
    expr = 'rate(x{job=~"$job",m=~"$model"}[$__rate_interval]) / y[$__range]'
    filled = SHOWN.filled(expr, {"model": "echo"})
    assert filled == 'rate(x{job=~".*",m=~"echo"}[15s]) / y[60s]'


def test_rows_of_a_table_are_joined_by_their_labels() -> None:
    table = Panel(
        "table", "T", "", "none", (Query("a", "Used"), Query("b", "Left"), Query("c", "Up")),
        labels=(("instance", "Instance"), ("version", "Version")), is_sorted_by="Used",
    )  # fmt: skip

    def one(value: float, **labels: str) -> Series:
        return Series(labels, [(0.0, value)])

    answers = {
        "a": [one(1.0, instance="x", version="1"), one(2.0, instance="y", version="2")],
        "b": [one(3.0, instance="y"), one(math.nan, instance="x")],
        "c": [one(4.0, instance="z")],
    }
    assert frame(table, Answering(answers), SHOWN).rows == [
        {"Instance": "y", "Version": "2", "Used": 2, "Left": 3},
        {"Instance": "x", "Version": "1", "Used": 1},
        {"Instance": "z", "Up": 4},
    ]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_a_page_has_every_panel_and_escapes_what_others_named(board: Board) -> None:
    frames = [frame(panel, Answering(), SHOWN) for panel in panels(board)]
    text, height = page(board, frames, SHOWN, "a run")
    assert height > 500
    assert all(f'<div class="title">{panel.title}</div>' in text for panel in panels(board))
    assert "nan" not in text
    assert "a<b" not in text


def test_a_panel_without_data_is_drawn_empty() -> None:
    empty = Board("u", "T", "", (("Row", (series("S", "", "s", ("none", "{{x}}")),)),))
    text, _ = page(empty, [frame(panel, Answering({"none": []}), SHOWN) for panel in panels(empty)],
                   SHOWN, "")  # fmt: skip
    assert "polyline" not in text


def test_a_figure_that_may_be_off_says_so() -> None:
    (certificate,) = [one for one in panels(OVERVIEW) if one.no_value != NO_VALUE]
    empty = Answering({SHOWN.filled(query.expr): [] for query in certificate.queries})
    text, _ = page(OVERVIEW, [frame(one, empty, SHOWN) for one in panels(OVERVIEW)], SHOWN, "")
    assert '<div class="body big">no TLS</div>' in text
