"""Repeats become medians and spreads, and those a table. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

Sample = Mapping[str, Any]
Figures = dict[str, float]
BASE = "direct"


def figures(sample: Sample, base: Sample | None) -> Figures:
    """A sample's numbers by name; what was added needs the base of the same repeat."""
    latency, first = sample["latency_ms"], sample["first_text_ms"]
    found: Figures = {
        "per_second": sample["per_second"],
        "p50": latency["p50"],
        "p99": latency["p99"],
        "memory_mb": sample["memory_mb"],
        "others_share": sample["others_share"],
        "beside_share": sample["beside_share"],
    }
    if sample["contestant"] != BASE:
        found |= {"cpu_us": sample["cpu_us"], "stores_us": sample["stores_us"]}
    if first:
        found["first"] = first["p50"]
    if base is not None and sample["contestant"] != BASE:
        for name in ("p50", "p99"):
            found[f"added_{name}"] = latency[name] - base["latency_ms"][name]
        if first:
            found["added_first"] = first["p50"] - base["first_text_ms"]["p50"]
    return found


def by_place(repeats: Sequence[Sequence[Sample]]) -> dict[tuple[str, str], list[Figures]]:
    """All repeats' figures, by case and contestant."""
    found: dict[tuple[str, str], list[Figures]] = {}
    for samples in repeats:
        bases = {one["case"]: one for one in samples if one["contestant"] == BASE}
        for one in samples:
            place = one["case"], one["contestant"]
            found.setdefault(place, []).append(figures(one, bases.get(one["case"])))
    return found


def medians(repeats: Iterable[Figures]) -> Figures:
    """Of each figure that all repeats have."""
    rows = list(repeats)
    return {name: median(row[name] for row in rows) for name in rows[0]}


def spread(rows: Sequence[Figures], name: str) -> float:
    """How far apart repeats are, as a share of their median."""
    values = [row[name] for row in rows]
    return (max(values) - min(values)) / median(values) if median(values) else 0.0


COLUMNS = (
    ("req/s", "per_second", 1, "9,.0f"),
    ("CPU us", "cpu_us", 1, "8,.0f"),
    ("p50 ms", "p50", 1, "11.3f"),
    ("p99 ms", "p99", 1, "11.3f"),
    ("+p50", "added_p50", 1, "11.3f"),
    ("+p99", "added_p99", 1, "11.3f"),
    ("+first", "added_first", 1, "11.3f"),
    ("MB", "memory_mb", 1, "7.0f"),
    ("others", "others_share", 100, "7.0f"),
    ("beside", "beside_share", 100, "7.0f"),
)


def table(case: str, rows: Mapping[str, Sequence[Figures]]) -> str:
    """Medians of one case, a line for each contestant, with the spread of requests per second."""
    lines = [f"\n{case:20}{'spread':>9}" + "".join(f"{c[0]:>{_width(c[3])}}" for c in COLUMNS)]
    for name, repeats in rows.items():
        middle = medians(repeats)
        cells = [f"{name:20}{spread(repeats, 'per_second'):>9.0%}"]
        for _, figure, factor, form in COLUMNS:
            value = middle.get(figure)
            cells.append(f"{'-':>{_width(form)}}" if value is None else f"{value * factor:{form}}")
        lines.append("".join(cells))
    return "\n".join(lines)


def _width(form: str) -> int:
    return int(form.partition(".")[0].rstrip(","))
