"""A provider's export of costs, as OpenAI's `GET /v1/organization/costs` answers: pages of JSON, or
CSV with a header. Pure.

https://platform.openai.com/docs/api-reference/usage/costs: a bucket is a day (UTC); a line item
names a model and a kind of tokens, as "gpt-4o-2024-08-06, input". Amounts are exact decimals.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

KINDS = ("input", "cached input", "output", "reasoning", "audio input", "audio output")
DAY_SECONDS = 86_400

_COLUMNS = {
    "start": ("start_time", "start_time_iso", "date"),
    "end": ("end_time", "end_time_iso"),
    "amount": ("amount_value", "amount", "value", "cost"),
    "currency": ("amount_currency", "currency"),
    "line_item": ("line_item",),
    "project": ("project_id",),
}
"""What a column of a CSV can be called; the first that is there counts."""


class CostsError(ValueError):
    """The export cannot be read; the message says where, and what would be right."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One line: `start` ≤ time < `end` (unix seconds), in units of the currency (upper case).
    `model` is empty where the line names none, `kind` where it is none of KINDS, `project` where
    the export is not by project."""

    start: float
    end: float
    model: str
    kind: str
    project: str
    amount: Decimal
    currency: str


def read_costs(text: str) -> list[Cost]:
    """Every line of an export. Raises CostsError."""
    text = text.removeprefix("\ufeff")
    if text.lstrip()[:1] in ("{", "["):
        return list(_of_pages(text))
    return list(_of_csv(text))


def model_and_kind(line_item: str) -> tuple[str, str]:
    """`gpt-4o, input` → gpt-4o and input; what names no kind is all model."""
    model, comma, kind = line_item.rpartition(",")
    kind = kind.strip().lower()
    if comma and kind in KINDS:
        return model.strip(), kind
    return line_item.strip(), ""


def _of_pages(text: str) -> Iterator[Cost]:
    for number, page in enumerate(_pages(text), 1):
        buckets = page.get("data") if isinstance(page, dict) else None
        if not isinstance(buckets, list):
            raise CostsError(f"page {number} has no list `data`; expected pages of costs")
        for index, bucket in enumerate(buckets):
            where = f"page {number}, data[{index}]"
            if not isinstance(bucket, dict) or not isinstance(bucket.get("results"), list):
                raise CostsError(f"{where} has no list `results`; expected a bucket of costs")
            for result in bucket["results"]:
                yield _of_result(bucket, result, where)


def _pages(text: str) -> Iterator[Any]:
    """One page, a list of pages, or one page after another."""
    decoder = json.JSONDecoder(parse_float=Decimal, parse_int=int)
    at = 0
    while at < len(text):
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise CostsError(f"it is no JSON: {error}") from None
        yield from value if isinstance(value, list) else [value]
        while at < len(text) and text[at].isspace():
            at += 1


def _of_result(bucket: Mapping[str, Any], result: Any, where: str) -> Cost:
    amount = result.get("amount") if isinstance(result, dict) else None
    if not isinstance(amount, dict):
        raise CostsError(f"{where} has a result without an object `amount`")
    line = {
        "start": bucket.get("start_time"),
        "end": bucket.get("end_time"),
        "amount": amount.get("value"),
        "currency": amount.get("currency"),
        "line_item": result.get("line_item"),
        "project": result.get("project_id"),
    }
    return _cost({name: "" if v is None else str(v) for name, v in line.items()}, where)


def _of_csv(text: str) -> Iterator[Cost]:
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = _columns(rows.fieldnames or ())
        for row in rows:
            line = {name: (row.get(column) or "").strip() for name, column in columns.items()}
            if any(line.values()):
                yield _cost(line, f"line {rows.line_num}")
    except csv.Error as error:
        raise CostsError(f"line {rows.line_num} is no CSV: {error}") from None


def _columns(header: Iterable[str]) -> dict[str, str]:
    shown = {name.strip().lower(): name for name in header}
    found = {
        what: next((shown[name] for name in names if name in shown), "")
        for what, names in _COLUMNS.items()
    }
    missing = [_COLUMNS[what][0] for what in ("start", "amount", "currency") if not found[what]]
    if missing:
        raise CostsError(
            f"the first line has no column {', '.join(missing)}; expected JSON as of "
            "/v1/organization/costs, or CSV with start_time, amount_value and amount_currency"
        )
    return {what: name for what, name in found.items() if name}


def _cost(line: Mapping[str, str], where: str) -> Cost:
    start = _time(line["start"], f"{where}: start_time")
    end = line.get("end") or ""
    model, kind = model_and_kind(line.get("line_item") or "")
    if not line["currency"]:
        raise CostsError(f"{where}: there is no currency")
    return Cost(
        start=start,
        end=_time(end, f"{where}: end_time") if end else start + DAY_SECONDS,
        model=model,
        kind=kind,
        project=line.get("project") or "",
        amount=_amount(line["amount"], f"{where}: amount"),
        currency=line["currency"].upper(),
    )


def _time(text: str, where: str) -> float:
    try:
        if text.isascii() and text.isdecimal():
            return float(datetime.fromtimestamp(int(text), UTC).timestamp())
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        raise CostsError(f"{where} is {text!r}; expected unix seconds or an ISO date") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _amount(text: str, where: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or abs(amount) > 10**15:
        raise CostsError(f"{where} is {text!r}; expected a decimal number")
    return amount
