"""Questions to the book of entries, and how the answers look. Pure.

A question is a span of time, filters, and the columns to sum by; the currency is always one of
them, as sums over different currencies mean nothing. Days and hours are those of UTC.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from gateway.usage.entry import NANO, Entry
from gateway.usage.rollup import SUMS as SUMS

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
BUCKETS = {"minute": 60, "hour": 3600, "day": 86400}
"""Columns that are a span of time, and its seconds."""

FIELDS = {
    "organization": "organization",
    "project": "project",
    "key": "key_id",
    "end_user": "end_user",
    "model": "model",
    "served_model": "served_model",
    "upstream": "upstream",
    "endpoint": "endpoint",
    "stream": "stream",
    "status": "status",
    "outcome": "outcome",
    "code": "code",
    "source": "source",
    "currency": "currency",
    "policy": "policy_digest",
}
"""Columns that are a field of an entry, as a person names them and as entries do."""

ENTRY_COLUMNS = (
    "id", "time", "time_unix", "organization", "project", "key_id", "end_user", "model",
    "served_model", "upstream", "endpoint", "stream", "status", "outcome", "code", "requests",
    "input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens",
    "audio_input_tokens", "audio_output_tokens", "source", "cost_nano", "cost", "currency",
    "duration_ms", "first_token_ms", "redactions", "policy_digest", "corrects",
)  # fmt: skip

_SPAN = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)
_FORMULA_STARTS = tuple("=+-@|%＝＋－＠")  # the last four are their full-width forms
_YEAR_MAX = 9998  # so that no zone can carry a moment past the calendar's end

Row = dict[str, Any]


class QuestionError(ValueError):
    """A part of the question cannot be read; the message says what would be right."""


@dataclass(frozen=True, slots=True)
class Query:
    """`since` ≤ time < `until`, in unix seconds. `filters` hold for all (field, value)."""

    since: float
    until: float | None = None
    by: tuple[str, ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None


def duration_seconds(text: str) -> int:
    """`90s`, `30m`, `24h`, `7d` or `2w` in seconds. Raises QuestionError."""
    span = _SPAN.fullmatch(text.strip())
    if span is None:
        raise QuestionError(f"{text!r} is not a duration; expected one as 30m, 24h, 7d or 2w")
    return int(span[1]) * SECONDS[span[2]]


def moment(text: str, now: float, *, ahead: bool = False) -> float:
    """A moment in unix seconds: a duration before `now` (after it, if `ahead`), or an ISO 8601
    date, with or without a time; UTC where it names no zone. Raises QuestionError."""
    text = text.strip()
    if _SPAN.fullmatch(text):
        seconds = duration_seconds(text)
        return now + seconds if ahead else now - seconds
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.year > _YEAR_MAX or found.year < 2:
        raise QuestionError(
            f"{text!r} is not a time; expected a duration as 30m, 24h, 7d or 2w, or an ISO date "
            "as 2026-11-23 or 2026-11-23T10:00Z"
        )
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def columns_by(text: str) -> tuple[str, ...]:
    """The columns of `--by`, in order, each once. Raises QuestionError for an unknown one."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    known = [*FIELDS, *BUCKETS]
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        told = ", ".join(map(repr, wrong)) or "nothing"
        raise QuestionError(f"cannot sum by {told}; expected some of {', '.join(known)}")
    return names


def decimal_of(nano: int) -> str:
    """Nano units as a plain decimal number, exact: 1500000000 → 1.5."""
    whole = f"{Decimal(nano) / NANO:f}"
    return whole.rstrip("0").rstrip(".") if "." in whole else whole


def iso(seconds: float) -> str:
    """Unix seconds as ISO 8601 in UTC, to the millisecond."""
    return _utc(seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def bucket_name(column: str, seconds: int) -> str:
    """The begin of a day as 2026-11-23, of an hour or minute as 2026-11-23T10:00Z."""
    return _utc(seconds).strftime("%Y-%m-%d" if column == "day" else "%Y-%m-%dT%H:%MZ")


def _utc(seconds: float) -> datetime:
    # Not fromtimestamp: its range is the platform's.
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def entry_row(entry: Entry) -> Row:
    """One entry as a flat row, with the columns ENTRY_COLUMNS."""
    tokens = entry.tokens
    values: Row = {name: getattr(entry, name, None) for name in ENTRY_COLUMNS}
    return values | {
        "time": iso(entry.time),
        "time_unix": entry.time,
        "outcome": entry.outcome.value,
        "source": entry.source.value,
        "input_tokens": tokens.input,
        "cached_input_tokens": tokens.cached_input,
        "output_tokens": tokens.output,
        "reasoning_tokens": tokens.reasoning,
        "audio_input_tokens": tokens.audio_input,
        "audio_output_tokens": tokens.audio_output,
        "cost": decimal_of(entry.cost_nano),
        "redactions": dict(entry.redactions),
    }


def sum_columns(by: Sequence[str]) -> tuple[str, ...]:
    """The columns of a report that sums by these."""
    groups = [name for name in by if name != "currency"]
    return (*groups, *SUMS, "cost", "currency")


def sum_row(groups: Mapping[str, Any], sums: Mapping[str, int]) -> Row:
    """One row of a report, with the columns that `sum_columns` says."""
    row = {name: value for name, value in groups.items() if name != "currency"}
    return row | {
        **sums,
        "cost": decimal_of(sums["cost_nano"]),
        "currency": groups["currency"],
    }


def with_currency(rows: Sequence[Row], by: Sequence[str]) -> list[Row]:
    """One row less where a row without a currency stands beside one that has it: what was refused
    before its model was known costs nothing in any. `rows` are in order of their groups, and in a
    group in order of the currency."""
    found: list[Row] = []
    for row in rows:
        if found and not found[-1]["currency"] and all(found[-1][one] == row[one] for one in by):
            before = found.pop()
            groups = {name: row[name] for name in (*by, "currency")}
            row = sum_row(groups, {name: before[name] + row[name] for name in SUMS})
        found.append(row)
    return found


def csv_line(values: Sequence[Any]) -> str:
    """One line of CSV (RFC 4180). A text that a spreadsheet would run as a formula gets a leading
    apostrophe (OWASP, "CSV Injection"); numbers stay as they are."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([_cell(value) for value in values])
    return line.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Mapping):
        value = " ".join(f"{name}={count}" for name, count in sorted(value.items()))
    text = str(value).replace("\0", "\ufffd")
    risky = text.lstrip().startswith(_FORMULA_STARTS) or text.startswith(("\t", "\r", "\n"))
    return "'" + text if risky else text
