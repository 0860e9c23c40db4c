"""Calendar windows: cut at local midnights, tiling, right where clocks change."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.quota.limit import Window
from gateway.quota.window import BUCKET_SECONDS, Span, before, span_of

CALENDAR = [Window.DAY, Window.WEEK, Window.MONTH, Window.QUARTER, Window.YEAR]
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/Sao_Paulo",  # clocks changed at midnight
    "America/St_Johns",  # clocks once went back at 00:01
    "America/Havana",  # midnight comes twice in autumn
    "Asia/Kathmandu",  # +05:45
    "Asia/Beirut",
    "Pacific/Apia",  # has no 2011-12-30
    "Antarctica/Troll",  # two hours at once
]


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def local(text: str, zone: str, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


@pytest.mark.parametrize(
    ("window", "zone", "now", "start", "end"),
    [
        (Window.DAY, "UTC", "2026-11-23T18:02", "2026-11-23T00:00", "2026-11-24T00:00"),
        (Window.DAY, "Asia/Kathmandu", "2026-11-23T18:20", "2026-11-23T18:15", "2026-11-24T18:15"),
        (Window.DAY, "Asia/Kathmandu", "2026-11-23T18:10", "2026-11-22T18:15", "2026-11-23T18:15"),
        (Window.WEEK, "UTC", "2026-11-29T23:59:59", "2026-11-23T00:00", "2026-11-30T00:00"),
        (Window.WEEK, "UTC", "2027-01-01T12:00", "2026-12-28T00:00", "2027-01-04T00:00"),
        (Window.MONTH, "UTC", "2028-02-29T12:00", "2028-02-01T00:00", "2028-03-01T00:00"),
        (Window.MONTH, "UTC", "2026-12-31T23:59:59", "2026-12-01T00:00", "2027-01-01T00:00"),
        (Window.MONTH, "Europe/Berlin", "2026-10-31T23:30", "2026-10-31T23:00", "2026-11-30T23:00"),
        (Window.QUARTER, "UTC", "2026-11-23T00:00", "2026-10-01T00:00", "2027-01-01T00:00"),
        (Window.QUARTER, "UTC", "2026-03-31T23:59:59", "2026-01-01T00:00", "2026-04-01T00:00"),
        (Window.QUARTER, "UTC", "2026-07-01T00:00", "2026-07-01T00:00", "2026-10-01T00:00"),
        (Window.YEAR, "UTC", "2028-12-31T23:59:59", "2028-01-01T00:00", "2029-01-01T00:00"),
        (Window.YEAR, "Asia/Kathmandu", "2026-12-31T18:15", "2026-12-31T18:15", "2027-12-31T18:15"),
    ],
)
def test_a_window_starts_and_ends_at_local_midnights(
    window: Window, zone: str, now: str, start: str, end: str
) -> None:
    assert span_of(window, zone, utc(now)) == Span(utc(start), utc(end))


@pytest.mark.parametrize(
    ("zone", "noon", "hours"),
    [
        ("Europe/Berlin", "2026-03-29T12:00", 23),
        ("Europe/Berlin", "2026-10-25T12:00", 25),
        ("America/Sao_Paulo", "2018-11-04T12:00", 23),  # 00:00 did not exist
        ("America/Sao_Paulo", "2018-02-17T12:00", 25),  # 24:00 became 23:00
        ("America/Havana", "2026-11-01T12:00", 25),  # 00:00 twice
        ("Pacific/Apia", "2011-12-29T12:00", 24),
        ("Pacific/Apia", "2011-12-31T12:00", 24),
        ("Antarctica/Troll", "2026-03-29T12:00", 22),
    ],
)
def test_a_day_is_as_long_as_the_clocks_make_it(zone: str, noon: str, hours: int) -> None:
    span = span_of(Window.DAY, zone, local(noon, zone))
    assert span.end is not None
    assert span.end - span.start == hours * 3600


def test_a_day_without_midnight_starts_with_the_jump() -> None:
    span = span_of(Window.DAY, "America/Sao_Paulo", local("2018-11-04T12:00", "America/Sao_Paulo"))
    assert span.start == local("2018-11-04T01:00", "America/Sao_Paulo")


def test_a_skipped_date_has_no_window() -> None:
    before = span_of(Window.DAY, "Pacific/Apia", local("2011-12-29T23:59:59", "Pacific/Apia"))
    after = span_of(Window.DAY, "Pacific/Apia", local("2011-12-31T00:00", "Pacific/Apia"))
    assert before.end == after.start


def test_a_day_that_has_begun_does_not_end_because_clocks_go_back_over_midnight() -> None:
    zone = "America/St_Johns"  # 2006-10-29 00:01 became 2006-10-28 23:01
    begun = span_of(Window.DAY, zone, local("2006-10-29T00:00:30", zone))
    again = span_of(Window.DAY, zone, local("2006-10-28T23:30", zone, fold=1))
    assert begun == again
    assert begun.start == local("2006-10-29T00:00", zone)


def test_where_midnight_lies_inside_a_jump_windows_still_tile() -> None:
    zone = "America/Toronto"  # 1919-03-30 23:30 became 1919-03-31 00:30
    jump = local("1919-03-30T23:29:59", zone) + 1
    day = span_of(Window.DAY, zone, jump + 1)
    assert day == span_of(Window.DAY, zone, jump - 1)
    assert day.holds(jump + 1)
    assert day.end is not None
    assert span_of(Window.DAY, zone, day.end).start == day.end


@pytest.mark.parametrize(
    ("window", "now", "starts_on", "starts_in", "start", "end"),
    [
        (Window.MONTH, "2026-11-24T23:59:59", 25, 1, "2026-10-25", "2026-11-25"),
        (Window.MONTH, "2026-11-25T00:00", 25, 1, "2026-11-25", "2026-12-25"),
        (Window.MONTH, "2026-01-03T12:00", 28, 7, "2025-12-28", "2026-01-28"),
        (Window.MONTH, "2028-02-29T12:00", 28, 1, "2028-02-28", "2028-03-28"),
        (Window.MONTH, "2026-03-01T12:00", 28, 1, "2026-02-28", "2026-03-28"),
        (Window.QUARTER, "2026-04-30T12:00", 1, 2, "2026-02-01", "2026-05-01"),
        (Window.QUARTER, "2026-01-31T12:00", 1, 2, "2025-11-01", "2026-02-01"),
        (Window.QUARTER, "2026-04-05T12:00", 6, 4, "2026-01-06", "2026-04-06"),
        (Window.YEAR, "2026-03-31T12:00", 1, 4, "2025-04-01", "2026-04-01"),
        (Window.YEAR, "2026-04-05T23:59", 6, 4, "2025-04-06", "2026-04-06"),
        (Window.YEAR, "2026-04-06T00:00", 6, 4, "2026-04-06", "2027-04-06"),
        (Window.YEAR, "2026-01-01T00:00", 1, 12, "2025-12-01", "2026-12-01"),
        (Window.WEEK, "2026-11-26T12:00", 25, 4, "2026-11-23", "2026-11-30"),
        (Window.DAY, "2026-11-26T12:00", 25, 4, "2026-11-26", "2026-11-27"),
    ],
)
def test_fiscal_months_quarters_and_years_start_where_the_books_do(
    window: Window, now: str, starts_on: int, starts_in: int, start: str, end: str
) -> None:
    assert span_of(window, "UTC", utc(now), starts_on, starts_in) == Span(utc(start), utc(end))


def test_none_is_all_of_time() -> None:
    assert span_of(Window.NONE, "Europe/Berlin", 5e9) == Span(0.0, None)
    assert span_of(Window.NONE, "Europe/Berlin", 5e9).holds(9e9)


def test_buckets_have_seconds_and_no_calendar() -> None:
    assert dict(BUCKET_SECONDS) == {Window.SECOND: 1, Window.MINUTE: 60, Window.HOUR: 3600}
    with pytest.raises(ValueError, match="token bucket"):
        span_of(Window.MINUTE, "UTC", 0.0)


def test_nothing_is_before_all_of_time_or_before_a_bucket() -> None:
    with pytest.raises(ValueError, match="no window before"):
        before(Window.NONE, "UTC", Span(0.0, None))
    with pytest.raises(ValueError, match="token bucket"):
        before(Window.HOUR, "UTC", Span(3600.0, 7200.0))


def test_an_unknown_zone_is_named() -> None:
    with pytest.raises(ZoneInfoNotFoundError, match="Mars/Base"):
        span_of(Window.DAY, "Mars/Base", 0.0)


starts = {
    "month_starts_on": st.integers(1, 28),
    "year_starts_in": st.integers(1, 12),
    "zone": st.sampled_from(ZONES),
    "now": st.floats(min_value=0.0, max_value=4.1e9),
}


@given(window=st.sampled_from(CALENDAR), **starts)
def test_windows_hold_their_time_and_tile(
    window: Window, zone: str, now: float, month_starts_on: int, year_starts_in: int
) -> None:
    fiscal = (month_starts_on, year_starts_in)
    span = span_of(window, zone, now, *fiscal)
    assert span.end is not None
    assert span.start <= now < span.end
    assert span.holds(now)
    assert not span.holds(span.end)
    assert span_of(window, zone, span.start, *fiscal) == span
    after = span_of(window, zone, span.end, *fiscal)
    assert after.start == span.end
    assert before(window, zone, after, *fiscal) == span
    assert before(window, zone, span, *fiscal).end == span.start


@given(**starts)
def test_longer_windows_are_made_of_shorter_ones(
    zone: str, now: float, month_starts_on: int, year_starts_in: int
) -> None:
    """Days make every window, months make quarters, and quarters make years."""
    fiscal = (month_starts_on, year_starts_in)
    spans = {window: span_of(window, zone, now, *fiscal) for window in CALENDAR}
    chain = [Window.DAY, Window.MONTH, Window.QUARTER, Window.YEAR]
    for short, long in [*pairwise(chain), (Window.DAY, Window.WEEK)]:
        inner, outer = spans[short], spans[long]
        assert inner.end is not None
        assert outer.end is not None
        assert outer.start <= inner.start
        assert inner.end <= outer.end


@given(**starts)
def test_a_year_is_twelve_months_and_four_quarters(
    zone: str, now: float, month_starts_on: int, year_starts_in: int
) -> None:
    year = span_of(Window.YEAR, zone, now, month_starts_on, year_starts_in)
    for window, count in ((Window.MONTH, 12), (Window.QUARTER, 4)):
        at = year.start
        for _ in range(count):
            end = span_of(window, zone, at, month_starts_on, year_starts_in).end
            assert end is not None
            at = end
        assert at == year.end
    first = datetime.fromtimestamp(year.start + 3 * 3600, ZoneInfo(zone))
    assert (first.month, first.day) == (year_starts_in, month_starts_on)
