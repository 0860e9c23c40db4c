"""What a dashboard is made of: panels, queries, variables, as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

HERE = 'job=~"$job",instance=~"$instance"'
"""What every query of a meter is limited to."""

WIDTH = 24
NO_VALUE = "—"
GREEN, YELLOW, ORANGE, RED, BLUE = "green", "yellow", "orange", "red", "blue"

Steps = tuple[tuple[float | None, str], ...]
"""Colours by value: the first from None on, each further one from its number on."""

GOOD_BELOW: Steps = ((None, GREEN), (1, RED))
NEUTRAL: Steps = ((None, BLUE),)


@dataclass(frozen=True, slots=True)
class Query:
    """`legend` names its series, and its column in a table."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """How a table shows a field: by its `unit`, coloured by `steps`; `bar`: as a bar up to 1."""

    unit: str
    steps: Steps = ()
    bar: bool = False
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """`kind` is stat, timeseries, bargauge, table or state-timeline. `states` words for values.
    `labels` of a table are its first columns, `columns` how the figures by legend are shown.
    `min` and `max` end a scale that has natural ends; `leads_to` is the dashboard that tells
    more. `no_value` is shown where there are no data; words say why none is as it should be."""

    kind: str
    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    width: int = 8
    height: int = 8
    steps: Steps = NEUTRAL
    stacked: bool = False
    is_sorted_by: str = ""
    min: float = 0
    max: float | None = None
    decimals: int | None = None
    states: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    labels: tuple[tuple[str, str], ...] = ()
    columns: Mapping[str, Column] = field(default_factory=dict)
    leads_to: str = ""
    no_value: str = NO_VALUE


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    label: str
    query: str
    description: str


@dataclass(frozen=True, slots=True)
class Board:
    uid: str
    title: str
    description: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    variables: tuple[Variable, ...] = ()


JOB = Variable(
    "job", "Job", "label_values(gateway_build_info, job)", "The scrape job: one installation."
)
INSTANCE = Variable(
    "instance",
    "Instance",
    'label_values(gateway_build_info{job=~"$job"}, instance)',
    "One process of the gateway.",
)


def stat(
    title: str, description: str, unit: str, expr: str, legend: str = "", **more: Any
) -> Panel:
    """One figure, with its course behind it."""
    more = {"width": 4, "height": 4} | more
    return Panel("stat", title, description, unit, (Query(expr, legend or title),), **more)


def series(
    title: str, description: str, unit: str, *queries: tuple[str, str], **more: Any
) -> Panel:
    """Lines over time, or with `stacked` areas; queries are (expression, legend)."""
    asked = tuple(Query(expr, legend) for expr, legend in queries)
    return Panel("timeseries", title, description, unit, asked, **more)


def bars(title: str, description: str, unit: str, expr: str, legend: str, **more: Any) -> Panel:
    """The latest value of each series, as bars."""
    return Panel("bargauge", title, description, unit, (Query(expr, legend),), **more)


def states(title: str, description: str, expr: str, legend: str, **more: Any) -> Panel:
    """What state each thing was in, over time."""
    return Panel("state-timeline", title, description, "none", (Query(expr, legend),), **more)


def table(title: str, description: str, *queries: tuple[str, str], **more: Any) -> Panel:
    """A row for each set of labels, a column for each query."""
    asked = tuple(Query(expr, legend) for expr, legend in queries)
    return Panel("table", title, description, "none", asked, width=WIDTH, **more)


def variables(board: Board) -> tuple[Variable, ...]:
    return (JOB, INSTANCE, *board.variables)


def panels(board: Board) -> Iterator[Panel]:
    return (panel for _, found in board.rows for panel in found)
