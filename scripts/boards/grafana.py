"""Dashboards → the JSON that Grafana imports.

Source of its form: the types of `@grafana/schema`, which `make ops-test` holds it against.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from boards.looks import CUSTOM, OPTIONS
from boards.panels import HERE, WIDTH, Board, Panel, Query, Steps, Variable, variables

Json = dict[str, Any]

TAG = "completion-gateway"
SCHEMA_VERSION = 39
SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}


def written(board: Board) -> Json:
    """What Grafana imports."""
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.description,
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "links": [_link(title="More of Completion Gateway", type="dashboards", tags=[TAG])],
        "annotations": {"list": [_reloads()]},
        "templating": {"list": [_chosen_source(), *map(_chosen, variables(board))]},
        "panels": list(_laid_out(board)),
    }


def _laid_out(board: Board) -> Iterator[Json]:
    """Panels in rows from left to right, each under the tallest of the row before."""
    id, y = 0, 0
    for title, found in board.rows:
        id += 1
        place = {"h": 1, "w": WIDTH, "x": 0, "y": y}
        yield {
            "type": "row", "id": id, "title": title, "collapsed": False, "panels": [],
            "gridPos": place,
        }  # fmt: skip
        x, y, tallest = 0, y + 1, 0
        for panel in found:
            if x + panel.width > WIDTH:
                x, y, tallest = 0, y + tallest, 0
            id += 1
            place = {"h": panel.height, "w": panel.width, "x": x, "y": y}
            yield {"id": id, "gridPos": place} | _panel(panel)
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest


def _panel(panel: Panel) -> Json:
    found: Json = {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "targets": [_target(panel, at, query) for at, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": list(_overrides(panel))},
        "options": OPTIONS[panel.kind](panel),
    }
    if panel.kind == "table":
        found["transformations"] = _merged(panel)
    if panel.leads_to:
        url = f"/d/{panel.leads_to}?${{__url_time_range}}&${{datasource:queryparam}}"
        found["links"] = [_link(title="More of this", type="link", url=url)]
    return found


def _target(panel: Panel, at: int, query: Query) -> Json:
    is_now = panel.kind in ("table", "bargauge")
    return {
        "refId": chr(ord("A") + at),
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend,
        "instant": is_now,
        "range": not is_now,
        **({"format": "table"} if panel.kind == "table" else {}),
    }


def _defaults(panel: Panel) -> Json:
    by_value = panel.kind in ("stat", "bargauge", "state-timeline", "table")
    found: Json = {
        "unit": panel.unit,
        "color": {"mode": "thresholds" if by_value else "palette-classic"},
        "thresholds": _thresholds(panel.steps),
        "custom": CUSTOM[panel.kind](panel),
        "mappings": _mappings(panel.states),
        "noValue": panel.no_value,
    }
    if panel.kind != "state-timeline":
        found["min"] = panel.min
    if panel.max is not None:
        found["max"] = panel.max
    if panel.decimals is not None:
        found["decimals"] = panel.decimals
    return found


def _thresholds(steps: Steps) -> Json:
    return {
        "mode": "absolute",
        "steps": [{"value": value, "color": color} for value, color in steps],
    }


def _mappings(states: Mapping[int, tuple[str, str]]) -> list[Json]:
    if not states:
        return []
    told = {
        str(value): {"text": text, "color": color, "index": at}
        for at, (value, (text, color)) in enumerate(states.items())
    }
    return [{"type": "value", "options": told}]


def _overrides(panel: Panel) -> Iterator[Json]:
    for name, column in panel.columns.items():
        properties: list[Json] = [{"id": "unit", "value": column.unit}]
        if column.decimals is not None:
            properties.append({"id": "decimals", "value": column.decimals})
        if column.steps:
            cell = {"type": "gauge", "mode": "basic"} if column.bar else {"type": "color-text"}
            properties += [
                {"id": "thresholds", "value": _thresholds(column.steps)},
                {"id": "custom.cellOptions", "value": cell},
            ]
        if column.bar:
            properties.append({"id": "max", "value": 1})
        yield {"matcher": {"id": "byName", "options": name}, "properties": properties}


def _merged(panel: Panel) -> list[Json]:
    """One row for each set of labels; columns in order, under names for people."""
    names = {f"Value #{chr(ord('A') + at)}": q.legend for at, q in enumerate(panel.queries)}
    if len(panel.queries) == 1:
        names = {"Value": panel.queries[0].legend}
    shown = dict(panel.labels) | names
    return [
        {"id": "merge", "options": {}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {"Time": True},
                "indexByName": {name: at for at, name in enumerate(shown)},
                "renameByName": shown,
            },
        },
    ]


def _link(title: str, type: str, tags: Sequence[str] = (), url: str = "") -> Json:
    return {
        "title": title, "type": type, "tags": list(tags), "url": url, "icon": "external link",
        "tooltip": "", "asDropdown": type == "dashboards", "includeVars": type == "dashboards",
        "keepTime": True, "targetBlank": False,
    }  # fmt: skip


def _reloads() -> Json:
    """A mark at each moment at which a policy was taken over."""
    return {
        "name": "Policy taken over",
        "enable": True,
        "iconColor": "blue",
        "datasource": SOURCE,
        "target": {
            "refId": "Policy",
            "expr": f"changes(gateway_policy_reload_timestamp_seconds{{{HERE}}}[$__interval]) > 0",
        },
    }


def _chosen_source() -> Json:
    return {
        "name": "datasource", "label": "Data source", "type": "datasource",
        "query": "prometheus", "regex": "", "hide": 0, "refresh": 1, "multi": False,
        "includeAll": False, "options": [], "description": "The Prometheus that scrapes it.",
    }  # fmt: skip


def _chosen(variable: Variable) -> Json:
    everything = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return {
        "name": variable.name, "label": variable.label, "description": variable.description,
        "type": "query", "datasource": SOURCE,
        "query": {"query": variable.query, "refId": "Variable"},
        "regex": "", "refresh": 2, "sort": 1, "multi": True, "includeAll": True,
        "allValue": ".*", "current": everything, "options": [], "hide": 0,
    }  # fmt: skip
