"""A dashboard with its data as one HTML page, laid out as Grafana does."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from boards.frames import Frame, Line
from boards.grafana import written
from boards.panels import Board, Column, Panel, panels
from boards.prometheus import Shown
from boards.svg import NAMED, PALETTE, chart, color_of, sparkline, timeline
from boards.units import told

COLUMN, ROW, GAP = 51, 35, 8
"""Pixels of a step of Grafana's grid, and between panels."""
WIDTH = 24 * COLUMN + GAP
LEGEND_MAX = 6

STYLE = """
body{margin:0;background:#111217;color:#ccccdc;font:13px/1.35 "DejaVu Sans",Arial,sans-serif}
h1{font-size:19px;font-weight:500;margin:12px 14px 2px}
.about{margin:0 14px;color:#9fa7b3}
.grid{position:relative;margin:8px 0}
.row{position:absolute;left:14px;font-size:15px;font-weight:500;padding-top:9px}
.panel{position:absolute;background:#181b1f;border:1px solid #25282e;border-radius:3px;
box-sizing:border-box;overflow:hidden}
.title{padding:6px 10px 2px;font-weight:500;white-space:nowrap}
.body{padding:0 10px}
.big{font-size:25px;font-weight:500;line-height:34px;white-space:nowrap}
.under{position:absolute;left:0;bottom:0;line-height:0}
svg text{fill:#9fa7b3;font-size:11px}
.legend{font-size:11.5px;columns:2;column-gap:16px}
.legend div{white-space:nowrap;overflow:hidden;text-overflow:ellipsis;break-inside:avoid}
.legend i{display:inline-block;width:14px;height:4px;border-radius:2px;margin-right:6px;
vertical-align:middle}
.bar{display:flex;align-items:center;margin:5px 0}
.bar span{width:42%;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.bar b{width:18%;text-align:right;font-weight:500;padding-left:8px;white-space:nowrap}
.track{flex:1;background:#22252b;height:20px}
.fill{height:20px}
table{border-collapse:collapse;width:100%}
th{text-align:left;color:#8ab8ff;font-weight:500;padding:5px 8px;border-bottom:1px solid #2c3235}
td{padding:4px 8px;border-bottom:1px solid #22252b}
"""


def page(board: Board, frames: Sequence[Frame], shown: Shown, about: str) -> tuple[str, int]:
    """The HTML, and how many pixels it is high. `frames` are in the order of the panels."""
    laid_out = written(board)["panels"]
    places = [one["gridPos"] for one in laid_out if one["type"] != "row"]
    rows = [one for one in laid_out if one["type"] == "row"]
    parts = [
        f'<div class="row" style="top:{one["gridPos"]["y"] * ROW}px">▾ {html.escape(one["title"])}'
        "</div>"
        for one in rows
    ]
    for panel, place, frame in zip(panels(board), places, frames, strict=True):
        parts.append(_panel(panel, place, frame, shown))
    height = max(place["y"] + place["h"] for place in places) * ROW + GAP
    title = html.escape(board.title)
    text = (
        f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style><h1>{title}</h1>'
        f'<p class="about">{html.escape(about)}</p>'
        f'<div class="grid" style="height:{height}px">{"".join(parts)}</div>'
    )
    return text, height + 78


def _panel(panel: Panel, place: Mapping[str, int], frame: Frame, shown: Shown) -> str:
    width, height = place["w"] * COLUMN - GAP, place["h"] * ROW - GAP
    style = (
        f"left:{place['x'] * COLUMN + GAP}px;top:{place['y'] * ROW}px;"
        f"width:{width}px;height:{height}px"
    )
    draw = {
        "stat": _stat, "timeseries": _series, "bargauge": _bars, "table": _table,
        "state-timeline": _states,
    }[panel.kind]  # fmt: skip
    body = draw(panel, frame, shown, (width - 22, height - 32))
    title = html.escape(panel.title)
    return f'<div class="panel" style="{style}"><div class="title">{title}</div>{body}</div>'


def _stat(panel: Panel, frame: Frame, shown: Shown, size: tuple[int, int]) -> str:
    if not frame.lines:
        return f'<div class="body big">{html.escape(panel.no_value)}</div>'
    shares = []
    for line in frame.lines[:2]:
        color = color_of(line.last, panel.steps)
        name = f"{html.escape(line.name)} " if len(panel.queries[0].legend) > len(line.name) else ""
        shares.append(
            f'<span style="color:{color}">{told(line.last, panel.unit, panel.decimals)}</span> '
            f"<small>{name}</small>"
        )
    first = frame.lines[0]
    behind = sparkline(first, color_of(first.last, panel.steps), (size[0] + 20, size[1] * 0.5))
    return f'<div class="body big">{"".join(shares)}</div><div class="under">{behind}</div>'


def _series(panel: Panel, frame: Frame, shown: Shown, size: tuple[int, int]) -> str:
    lines = frame.lines
    legend = "".join(
        f'<div><i style="background:{PALETTE[at % len(PALETTE)]}"></i>{html.escape(line.name)}'
        f"&nbsp; {told(_mean(line), panel.unit, panel.decimals)}</div>"
        for at, line in enumerate(lines[:LEGEND_MAX])
    )
    if len(lines) > LEGEND_MAX:
        legend += f"<div>… and {len(lines) - LEGEND_MAX} more</div>"
    shown_lines = -(-min(len(lines), LEGEND_MAX + 1) // 2)
    drawing = chart(panel, lines, shown, (size[0], size[1] - 17 * shown_lines - 6))
    return f'<div class="body">{drawing}<div class="legend">{legend}</div></div>'


def _bars(panel: Panel, frame: Frame, shown: Shown, size: tuple[int, int]) -> str:
    top = panel.max or max((line.last for line in frame.lines), default=1) or 1
    rows = []
    for line in frame.lines:
        color = color_of(line.last, panel.steps)
        share = max(0.0, min(line.last / top, 1)) * 100
        rows.append(
            f'<div class="bar"><span>{html.escape(line.name)}</span><div class="track">'
            f'<div class="fill" style="width:{share:.1f}%;background:{color};opacity:.75"></div>'
            f'</div><b style="color:{color}">{told(line.last, panel.unit, panel.decimals)}</b>'
            "</div>"
        )
    return f'<div class="body">{"".join(rows)}</div>'


def _table(panel: Panel, frame: Frame, shown: Shown, size: tuple[int, int]) -> str:
    names = [name for _, name in panel.labels] + [query.legend for query in panel.queries]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    rows = "".join(
        "<tr>" + "".join(_cell(panel, name, row.get(name)) for name in names) + "</tr>"
        for row in frame.rows
    )
    return f'<div class="body"><table><tr>{head}</tr>{rows}</table></div>'


def _cell(panel: Panel, name: str, value: str | float | None) -> str:
    if value is None or isinstance(value, str):
        return f"<td>{html.escape(value or '')}</td>"
    column = panel.columns.get(name, Column("none"))
    text = told(value, column.unit, column.decimals)
    color = color_of(value, column.steps) if column.steps else "inherit"
    if not column.bar:
        return f'<td style="color:{color}">{text}</td>'
    share = max(0.0, min(value, 1)) * 100
    return (
        '<td style="width:22%"><div style="display:flex;align-items:center"><div class="track" '
        f'style="height:14px"><div style="height:14px;width:{share:.0f}%;background:{color};'
        f'opacity:.75"></div></div><b style="width:64px;text-align:right;color:{color}">{text}</b>'
        "</div></td>"
    )


def _states(panel: Panel, frame: Frame, shown: Shown, size: tuple[int, int]) -> str:
    legend = "".join(
        f'<div><i style="background:{NAMED[color]}"></i>{html.escape(text)}</div>'
        for text, color in panel.states.values()
    )
    used = 17 * -(-len(panel.states) // 2)
    drawing = timeline(panel, frame.lines, shown, (size[0], size[1] - used - 6))
    return f'<div class="body">{drawing}<div class="legend">{legend}</div></div>'


def _mean(line: Line) -> float:
    return sum(line.values) / len(line.values) if line.values else float("nan")
