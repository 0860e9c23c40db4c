"""Windows in time: when a calendar window starts and ends, and how long a bucket's window is. Pure.

Calendar windows are cut at local midnights of an IANA zone. They are derived from the time, so
there is nothing to reset, and they tile: one ends at the instant at which the next starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from types import MappingProxyType
from typing import NamedTuple
from zoneinfo import ZoneInfo

from gateway.quota.limit import Window

BUCKET_SECONDS: Mapping[Window, int] = MappingProxyType(
    {Window.SECOND: 1, Window.MINUTE: 60, Window.HOUR: 3600}
)
"""Windows that are token buckets, and their length. All others are calendar windows, or none."""


class Span(NamedTuple):
    """From `start` (included) to `end` (excluded, None: never), unix seconds."""

    start: float
    end: float | None

    def holds(self, now: float) -> bool:
        return self.start <= now and (self.end is None or now < self.end)


def span_of(window: Window, zone: str, now: float) -> Span:
    """The calendar window that `now` lies in; for `none`, all of time since 1970.

    Weeks start on Monday (ISO 8601). Where the clock jumps over midnight, the day starts with the
    jump; where midnight comes twice, it starts with the first one. Raises ValueError for a bucket
    window and zoneinfo.ZoneInfoNotFoundError for an unknown zone."""
    if window is Window.NONE:
        return Span(0.0, None)
    if window in BUCKET_SECONDS:
        raise ValueError(f"{window} is a token bucket and has no start")
    tz = ZoneInfo(zone)
    first = _first_day(window, datetime.fromtimestamp(now, tz).date())
    after = _next_first_day(window, first)
    start, end = _midnight(first, tz), _midnight(after, tz)
    if now < start:  # midnight in the middle of a gap: the old day goes on until then
        before = _first_day(window, first - timedelta(days=1))
        return Span(_midnight(before, tz), start)
    if now >= end:  # clocks went back over midnight: the new day has begun already
        return Span(end, _midnight(_next_first_day(window, after), tz))
    return Span(start, end)


def _midnight(day: date, tz: ZoneInfo) -> float:
    """With fold=0 Python takes the first of two midnights, and the offset before a gap: a gap that
    opens at midnight gives the instant of the jump itself (PEP 495)."""
    return datetime.combine(day, time(), tz).timestamp()


def _first_day(window: Window, day: date) -> date:
    match window:
        case Window.WEEK:
            return day - timedelta(days=day.weekday())
        case Window.MONTH:
            return day.replace(day=1)
        case Window.QUARTER:
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case Window.YEAR:
            return day.replace(month=1, day=1)
    return day


_DAYS_AT_MOST = MappingProxyType(
    {Window.DAY: 1, Window.WEEK: 7, Window.MONTH: 31, Window.QUARTER: 92, Window.YEAR: 366}
)


def _next_first_day(window: Window, first: date) -> date:
    """So many days on is always in the next window, and never in the one after it."""
    return _first_day(window, first + timedelta(days=_DAYS_AT_MOST[window]))
