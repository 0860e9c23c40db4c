"""What an expression names: meters, the labels that it looks at, and over which times."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import promql_parser
import yaml

import metrics_reference  # scripts/metrics_reference.py
from dashboards import RULES

RANGES = {"$__rate_interval": "4m", "$__interval": "1m", "$__range": "6h"}
RATES = frozenset({"rate", "increase"})
HISTOGRAM = ("_bucket", "_sum", "_count")
SCRAPED = frozenset({"job", "instance", "namespace"})
"""Labels that Prometheus adds."""
OF_OTHERS: Mapping[str, tuple[str, ...]] = {
    "up": (),
    "ALERTS": ("alertname", "alertstate"),
    "process_cpu_seconds_total": (),
    "process_resident_memory_bytes": (),
    "process_open_fds": (),
}
"""Series of Prometheus itself, and of its client library."""


@dataclass(frozen=True, slots=True)
class Selector:
    """A meter with its matchers by label, and the functions around it, innermost last."""

    name: str
    matchers: Mapping[str, str]
    within: tuple[str, ...]


def parsed(expr: str) -> Any:
    """The tree of an expression, Grafana's variables replaced. Raises ValueError."""
    for name, value in RANGES.items():
        expr = expr.replace(name, value)
    return promql_parser.parse(expr)


def selectors(node: Any, within: tuple[str, ...] = ()) -> Iterator[Selector]:
    """Every meter that is read."""
    if isinstance(node, promql_parser.MatrixSelector):
        yield from selectors(node.vector_selector, within)
    elif isinstance(node, promql_parser.VectorSelector):
        matchers = {one.name: one.value for one in node.matchers.matchers}
        yield Selector(node.name, matchers, within)
    for below, name in _below(node):
        yield from selectors(below, (*within, name) if name else within)


def grouped(node: Any) -> Iterator[str]:
    """Every label that is summed, matched or joined by."""
    modifier = getattr(node, "modifier", None)
    if modifier is not None:
        for part in (modifier, getattr(modifier, "matching", None)):
            yield from getattr(part, "labels", None) or ()
        yield from _many_of(modifier)
    for below, _ in _below(node):
        yield from grouped(below)


def _many_of(modifier: Any) -> Iterator[str]:
    found = re.search(r"group_(?:left|right) \(([^)]*)\)", str(modifier))
    if found:
        yield from (label.strip() for label in found[1].split(",") if label.strip())


def _below(node: Any) -> Iterator[tuple[Any, str]]:
    """The parts of a node, each with the function that is around it."""
    if isinstance(node, promql_parser.BinaryExpr):
        yield node.lhs, ""
        yield node.rhs, ""
    elif isinstance(node, promql_parser.Call):
        yield from ((argument, node.func.name) for argument in node.args)
    elif isinstance(
        node,
        promql_parser.AggregateExpr
        | promql_parser.ParenExpr
        | promql_parser.UnaryExpr
        | promql_parser.SubqueryExpr,
    ):
        yield node.expr, ""


def labels_by_series() -> dict[str, set[str]]:
    """Every series that a gateway, its client library, Prometheus or a rule makes → its labels."""
    found = {name: set(labels) for name, labels in OF_OTHERS.items()}
    for name, type, labels, _, _ in metrics_reference.meters():
        found |= {name + end: set(labels) for end in (HISTOGRAM if type == "histogram" else ("",))}
        if type == "histogram":
            found[f"{name}_bucket"] = {*labels, "le"}
    for rule in rules():
        if "record" in rule:
            tree = parsed(rule["expr"])
            below = {one.name for one in selectors(tree) if ":" in one.name}
            made = {*grouped(tree), *rule.get("labels", {}), *(x for n in below for x in found[n])}
            found.setdefault(rule["record"], set()).update(made)
    return found


def known_labels(tree: Any, labels: Mapping[str, set[str]]) -> set[str]:
    """Those that any of the series in an expression have."""
    return SCRAPED.union(*(labels.get(one.name, set()) for one in selectors(tree)))


def rules() -> list[dict[str, Any]]:
    """Every rule of the chart's files."""
    groups = [
        group
        for path in sorted(RULES.glob("*.yaml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    ]
    return [rule for group in groups for rule in group["rules"]]
