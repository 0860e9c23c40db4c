"""How each kind of panel is drawn by Grafana: its options, and the look of its fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from boards.panels import Panel

Json = dict[str, Any]


def _reduced() -> Json:
    return {"calcs": ["lastNotNull"], "fields": "", "values": False}


def _stat_options(panel: Panel) -> Json:
    return {
        "colorMode": "value", "graphMode": "area", "justifyMode": "auto", "textMode": "auto",
        "orientation": "auto", "wideLayout": True, "showPercentChange": False,
        "percentChangeColorMode": "standard", "reduceOptions": _reduced(),
    }  # fmt: skip


def _series_options(panel: Panel) -> Json:
    legend = {"calcs": ["mean", "max"], "displayMode": "table", "placement": "bottom"}
    return {
        "legend": {**legend, "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _bar_options(panel: Panel) -> Json:
    return {
        "displayMode": "gradient", "orientation": "horizontal", "showUnfilled": True,
        "valueMode": "color", "namePlacement": "auto", "sizing": "auto", "minVizHeight": 16,
        "minVizWidth": 8, "maxVizHeight": 300, "reduceOptions": _reduced(),
        "legend": {
            "calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": False,
        },
    }  # fmt: skip


def _table_options(panel: Panel) -> Json:
    by = [{"displayName": panel.is_sorted_by, "desc": True}] if panel.is_sorted_by else []
    return {"cellHeight": "sm", "showHeader": True, "frameIndex": 0, "sortBy": by}


def _state_options(panel: Panel) -> Json:
    return {
        "mergeValues": True, "showValue": "auto", "alignValue": "left", "rowHeight": 0.8,
        "legend": {
            "calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True,
        },
        "tooltip": {"mode": "single", "sort": "none"},
    }  # fmt: skip


def _series_look(panel: Panel) -> Json:
    """Stacks are areas; a threshold beside zero is drawn as a line."""
    has_line = any(value for value, _ in panel.steps)
    return {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 40 if panel.stacked else 10,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if has_line else "off"},
    }


OPTIONS: dict[str, Callable[[Panel], Json]] = {
    "stat": _stat_options, "timeseries": _series_options, "bargauge": _bar_options,
    "table": _table_options, "state-timeline": _state_options,
}  # fmt: skip
CUSTOM: dict[str, Callable[[Panel], Json]] = {
    "stat": lambda panel: {}, "timeseries": _series_look, "bargauge": lambda panel: {},
    "table": lambda panel: {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False},
    "state-timeline": lambda panel: {"fillOpacity": 70, "lineWidth": 0},
}  # fmt: skip
