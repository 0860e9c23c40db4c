"""Entries as JSON, for where they wait before they are rows. The columns of the table are its
fields, so that both can hold the same."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import JSON, Column

from gateway.backends.sql_entries import entry_of_columns, row_of, storable
from gateway.backends.tables import entries
from gateway.json_text import write
from gateway.usage.entry import Entry


def encode(entry: Entry) -> str:
    """One line of JSON: an object of the table's columns, `time` in whole microseconds.

    Figures are below 2⁵³, so that every reader of JSON has them exactly."""
    return write(row_of(storable(entry))).decode()


def decode(text: str | bytes) -> Entry:
    """Raises ValueError where the text is no entry; a field that it does not have is as in a new
    Entry, since it may have been written by an older version. Every database takes the entry."""
    columns: Any = json.loads(text)
    if not isinstance(columns, dict) or not {"id", "time"} <= columns.keys():
        raise ValueError("not an entry")
    for column in entries.columns:
        value = columns.get(column.name)
        if column.name in columns and not _fits(value, column):
            raise ValueError(f"{column.name} of an entry cannot be {type(value).__name__}")
    return storable(entry_of_columns(columns))


def _fits(value: Any, column: Column[Any]) -> bool:
    if value is None:
        return bool(column.nullable)
    if isinstance(column.type, JSON):
        return isinstance(value, dict) and all(type(count) is int for count in value.values())
    return type(value) is column.type.python_type
