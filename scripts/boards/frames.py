"""What a panel shows: the answers to its queries, as Grafana puts them together."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from boards.panels import Panel
from boards.prometheus import Prometheus, Sample, Series, Shown

NOW_ONLY = ("table", "bargauge")
"""Kinds of panels that ask for one moment."""


@dataclass(frozen=True, slots=True)
class Line:
    """A series under its name."""

    name: str
    samples: Sequence[Sample]

    @property
    def last(self) -> float:
        """The last value that is a number."""
        return next((v for _, v in reversed(self.samples) if not math.isnan(v)), math.nan)

    @property
    def values(self) -> list[float]:
        return [value for _, value in self.samples if math.isfinite(value)]


@dataclass(frozen=True, slots=True)
class Frame:
    """Of a table `rows`, each a cell by column; of every other kind `lines`."""

    lines: Sequence[Line] = ()
    rows: Sequence[Mapping[str, str | float]] = ()


def frame(panel: Panel, prometheus: Prometheus, shown: Shown) -> Frame:
    """Ask for what the panel shows. Raises Refused, and OSError."""
    answers = [answer(panel, at, prometheus, shown) for at in range(len(panel.queries))]
    if panel.kind == "table":
        return Frame(rows=_rows(panel, answers))
    return Frame(lines=list(_lines(panel, answers)))


def answer(panel: Panel, at: int, prometheus: Prometheus, shown: Shown) -> list[Series]:
    """What one query of the panel comes to, without series that never are a number."""
    expr = shown.filled(panel.queries[at].expr)
    if panel.kind in NOW_ONLY:
        found = prometheus.now(expr, shown.end)
    else:
        found = prometheus.over(expr, shown)
    return [one for one in found if any(not math.isnan(value) for _, value in one.samples)]


def _lines(panel: Panel, answers: Sequence[Sequence[Series]]) -> Iterator[Line]:
    for query, found in zip(panel.queries, answers, strict=True):
        lines = [Line(_named(query.legend, one.labels), one.samples) for one in found]
        if panel.kind == "bargauge":
            lines.sort(key=lambda line: -line.last)
        yield from lines


def _named(legend: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend)


def _rows(panel: Panel, answers: Sequence[Sequence[Series]]) -> list[Mapping[str, str | float]]:
    """Rows of the same labels are one; those without one of the first query's labels join every
    row that has the rest, as Grafana's merge does."""
    rows: list[dict[str, str | float]] = []
    for query, found in zip(panel.queries, answers, strict=True):
        for one in found:
            own = {shown: one.labels[name] for name, shown in panel.labels if name in one.labels}
            joined = [row for row in rows if own.items() <= row.items()]
            if not joined:
                joined = [dict(own)]
                rows += joined
            for row in joined:
                row[query.legend] = one.samples[-1][1]
    if panel.is_sorted_by:
        rows.sort(key=lambda row: -_figure(row.get(panel.is_sorted_by)))
    return list(rows)


def _figure(cell: str | float | None) -> float:
    return cell if isinstance(cell, float) and not math.isnan(cell) else -math.inf
