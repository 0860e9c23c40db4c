"""Figures as people read them: by Grafana's names of units."""

from __future__ import annotations

import math
from collections.abc import Sequence

_DURATIONS = ((31536000, "y"), (604800, "wk"), (86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_SHORT = ((1e9, " Bil"), (1e6, " Mil"), (1e3, " K"))
_BYTES = ((2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"))
_RATES = {"reqps": " req/s", "ops": " ops/s"}


def told(value: float, unit: str, decimals: int | None = None) -> str:
    """The value with its unit."""
    if math.isnan(value):
        return "—"
    if math.isinf(value):
        return "∞"
    if unit == "percentunit":
        return _number(value * 100, decimals if decimals is not None else 1) + " %"
    if unit == "s":
        return _duration(value, decimals)
    if unit == "bytes":
        return _scaled(value, _BYTES, decimals) if value >= 1024 else f"{value:.0f} B"
    if unit in _RATES:
        return _scaled(value, _SHORT, decimals) + _RATES[unit]
    return _scaled(value, _SHORT, decimals)


def _duration(value: float, decimals: int | None) -> str:
    if 0 < abs(value) < 1:
        shown = _number(value * 1000, decimals)
        return f"{shown} ms"
    size, name = next((one for one in _DURATIONS if abs(value) >= one[0]), (1, "s"))
    return f"{_number(value / size, decimals)} {name}"


def _scaled(value: float, scales: Sequence[tuple[float, str]], decimals: int | None) -> str:
    for size, name in scales:
        if abs(value) >= size:
            return _number(value / size, decimals) + name
    return _number(value, decimals)


def _number(value: float, decimals: int | None) -> str:
    if decimals is None:
        decimals = 0 if value == round(value) else max(0, min(2, 2 - _digits(value)))
    return f"{value:.{decimals}f}"


def _digits(value: float) -> int:
    """Before the point, less one; none of a value below one."""
    return math.floor(math.log10(abs(value))) if abs(value) >= 1 else 0
