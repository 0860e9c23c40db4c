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

_MONTHS = MappingProxyType({Window.MONTH: 1, Window.QUARTER: 3, Window.YEAR: 12})
_DAYS_AT_MOST = MappingProxyType(
    {Window.DAY: 1, Window.WEEK: 7, Window.MONTH: 31, Window.QUARTER: 92, Window.YEAR: 366}
)
_INSTANT = 0.001  # seconds; shorter than any window, longer than a float's noise


class Span(NamedTuple):
    """From `start` (included) to `end` (excluded, None: never), unix seconds."""

    start: float
    end: float | None

    def holds(self, now: float) -> bool:
        return self.start <= now and (self.end is None or now < self.end)


def span_of(
    window: Window, zone: str, now: float, month_starts_on: int = 1, year_starts_in: int = 1
) -> Span:
    """The calendar window that `now` lies in; for `none`, all of time since 1970.

    Weeks start on Monday (ISO 8601). Months, quarters and years start on the day `month_starts_on`
    (1-28), years in the month `year_starts_in` (1-12), and quarters every three months from there.
    Where the clock jumps over midnight, the day starts with the jump; where midnight comes twice,
    it starts with the first one. Raises ValueError for a bucket window and
    zoneinfo.ZoneInfoNotFoundError for an unknown zone."""
    if window is Window.NONE:
        return Span(0.0, None)
    if window in BUCKET_SECONDS:
        raise ValueError(f"{window} is a token bucket and has no start")

    def first_day(day: date) -> date:
        return _first_day(window, day, month_starts_on, year_starts_in)

    def next_first_day(first: date) -> date:
        """So many days on is always in the next window, and never in the one after it."""
        return first_day(first + timedelta(days=_DAYS_AT_MOST[window]))

    tz = ZoneInfo(zone)
    first = first_day(datetime.fromtimestamp(now, tz).date())
    after = next_first_day(first)
    start, end = _midnight(first, tz), _midnight(after, tz)
    if now < start:  # midnight in the middle of a gap: the old day goes on until then
        return Span(_midnight(first_day(first - timedelta(days=1)), tz), start)
    if now >= end:  # clocks went back over midnight: the new day has begun already
        return Span(end, _midnight(next_first_day(after), tz))
    return Span(start, end)


def before(
    window: Window, zone: str, span: Span, month_starts_on: int = 1, year_starts_in: int = 1
) -> Span:
    """The calendar window that ends where `span` starts. Raises as `span_of`, and ValueError for
    `none`, which has nothing before it."""
    if window is Window.NONE:
        raise ValueError("none is all of time: there is no window before it")
    return span_of(window, zone, span.start - _INSTANT, month_starts_on, year_starts_in)


def _midnight(day: date, tz: ZoneInfo) -> float:
    """With fold=0 Python takes the first of two midnights, and the offset before a gap: a gap that
    opens at midnight gives the instant of the jump itself (PEP 495)."""
    return datetime.combine(day, time(), tz).timestamp()


def _first_day(window: Window, day: date, month_starts_on: int, year_starts_in: int) -> date:
    if window is Window.DAY:
        return day
    if window is Window.WEEK:
        return day - timedelta(days=day.weekday())
    named = day - timedelta(days=month_starts_on - 1)  # lies in the month that the window is called
    months = named.year * 12 + named.month - year_starts_in
    year, month = divmod(months - months % _MONTHS[window] + year_starts_in - 1, 12)
    return date(year, month + 1, month_starts_on)
