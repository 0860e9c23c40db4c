"""A panel's lines as a drawing: areas, lines and states over time, in Grafana's dark colours."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from boards.frames import Line
from boards.panels import Panel, Steps
from boards.prometheus import Shown
from boards.units import told

PALETTE = (
    "#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#fade2a",
    "#ff7383", "#56a64b", "#c4162a", "#a352cc",
)  # fmt: skip
NAMED = {
    "green": "#73bf69", "yellow": "#fade2a", "orange": "#ff9830", "red": "#f2495c",
    "blue": "#5794f2",
}  # fmt: skip
LEFT, BOTTOM, TOP = 66, 18, 6
TICKS = 4

Size = tuple[float, float]


def color_of(value: float, steps: Steps) -> str:
    """The colour of the last step that the value has reached."""
    reached = [color for least, color in steps if least is None or value >= least]
    return NAMED[reached[-1]] if reached else NAMED["green"]


def chart(panel: Panel, lines: Sequence[Line], shown: Shown, size: Size) -> str:
    """Lines or stacked areas over time, with axes and, where there are some, thresholds."""
    width, height = size
    drawn = _stacked(lines) if panel.stacked else [(line.samples, None) for line in lines]
    highest = max((v for upper, _ in drawn for _, v in upper if math.isfinite(v)), default=1)
    marks = [least for least, _ in panel.steps if least and least <= highest * 1.6]
    top = panel.max or _round_up(max([highest, *marks]) or 1)
    low = panel.min

    def place(time: float, value: float) -> str:
        x = LEFT + (time - shown.start) / (shown.end - shown.start) * (width - LEFT - 4)
        share = (max(low, min(value, top)) - low) / (top - low)
        y = TOP + (1 - share) * (height - BOTTOM - TOP)
        return f"{x:.1f},{y:.1f}"

    parts = [*_axes(panel, shown, size, top)]
    for at, (upper, lower) in enumerate(drawn):
        color = PALETTE[at % len(PALETTE)]
        for piece in _unbroken(upper, shown.step_seconds):
            points = " ".join(place(*sample) for sample in piece)
            if lower is not None:
                below = dict(lower)
                back = " ".join(place(t, below.get(t, 0.0)) for t, _ in reversed(piece))
                parts.append(f'<polygon points="{points} {back}" fill="{color}" opacity=".45"/>')
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.4"/>'
            )
    for least in marks:
        y = place(shown.start, least).split(",")[1]
        parts.append(
            f'<line x1="{LEFT}" x2="{width - 4}" y1="{y}" y2="{y}" stroke-dasharray="6 5" '
            f'stroke="{color_of(least, panel.steps)}"/>'
        )
    return _svg(parts, size)


def sparkline(line: Line, color: str, size: Size) -> str:
    """The course of a figure, without axes."""
    width, height = size
    values = line.values
    if len(values) < 2:
        return ""
    low, high = min(0.0, *values), max(values)
    span = (high - low) or 1
    points = " ".join(
        f"{at / (len(values) - 1) * width:.1f},{height - (v - low) / span * (height - 2):.1f}"
        for at, v in enumerate(values)
    )
    area = f'<polygon points="0,{height} {points} {width},{height}" fill="{color}" opacity=".2"/>'
    return _svg([area, f'<polyline points="{points}" fill="none" stroke="{color}"/>'], size)


def timeline(panel: Panel, lines: Sequence[Line], shown: Shown, size: Size) -> str:
    """A bar for each line, coloured by its state."""
    width, height = size
    row = (height - BOTTOM) / max(len(lines), 1)
    scale = (width - LEFT - 20) / (shown.end - shown.start)
    parts = [*_times(shown, size)]
    for at, line in enumerate(lines):
        y = at * row + row * 0.12
        parts.append(_text(LEFT + 10, y + row * 0.5, line.name, "end"))
        for start, end, value in _periods(line, shown.step_seconds):
            _, color = panel.states.get(round(value), ("", "blue"))
            x = LEFT + 16 + (start - shown.start) * scale
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{(end - start) * scale:.1f}" '
                f'height="{row * 0.76:.1f}" fill="{NAMED[color]}" opacity=".75"/>'
            )
    return _svg(parts, size)


def _periods(line: Line, step: float) -> list[tuple[float, float, float]]:
    """From when to when the line had which value."""
    found: list[tuple[float, float, float]] = []
    for time, value in line.samples:
        if found and found[-1][2] == value and time - found[-1][1] < step / 2:
            found[-1] = (found[-1][0], time + step, value)
        else:
            found.append((time, time + step, value))
    return found


def _stacked(
    lines: Sequence[Line],
) -> list[tuple[Sequence[tuple[float, float]], Sequence[tuple[float, float]] | None]]:
    """Each line on top of those before it: its upper and its lower edge."""
    times = sorted({time for line in lines for time, _ in line.samples})
    below = dict.fromkeys(times, 0.0)
    found: list[tuple[Sequence[tuple[float, float]], Sequence[tuple[float, float]] | None]] = []
    for line in lines:
        values = {time: value for time, value in line.samples if math.isfinite(value)}
        above = {time: below[time] + values.get(time, 0.0) for time in times}
        found.append((list(above.items()), list(below.items())))
        below = above
    return found


def _unbroken(
    samples: Sequence[tuple[float, float]], step: float
) -> list[list[tuple[float, float]]]:
    """Pieces without a gap."""
    pieces: list[list[tuple[float, float]]] = []
    for time, value in samples:
        if not math.isfinite(value):
            continue
        if not pieces or time - pieces[-1][-1][0] > step * 1.5:
            pieces.append([])
        pieces[-1].append((time, value))
    return pieces


def _round_up(value: float) -> float:
    """A number that is easy to read, at or above the value."""
    size: float = 10.0 ** math.floor(math.log10(value))
    return next(size * step for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if size * step >= value)


def _axes(panel: Panel, shown: Shown, size: Size, top: float) -> list[str]:
    width, height = size
    parts = _times(shown, size)
    for tick in range(TICKS + 1):
        y = TOP + (1 - tick / TICKS) * (height - BOTTOM - TOP)
        parts.append(
            f'<line x1="{LEFT}" x2="{width - 4}" y1="{y:.1f}" y2="{y:.1f}" stroke="#2c3235"/>'
        )
        parts.append(
            _text(
                LEFT - 6,
                y + 4,
                told(panel.min + (top - panel.min) * tick / TICKS, panel.unit),
                "end",
            )
        )
    return parts


def _times(shown: Shown, size: Size) -> list[str]:
    """Minutes and seconds since the start."""
    width, height = size
    parts = []
    for tick in range(5):
        seconds = (shown.end - shown.start) * tick / 4
        x = LEFT + tick / 4 * (width - LEFT - 4)
        anchor = "end" if tick == 4 else "start" if tick == 0 else "middle"
        label = f"{int(seconds // 60)}:{int(seconds % 60):02}"
        parts.append(_text(x, height - 3, label, anchor))
    return parts


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _svg(parts: Sequence[str], size: Size) -> str:
    width, height = size
    return f'<svg width="{width:.0f}" height="{height:.0f}">{"".join(parts)}</svg>'
