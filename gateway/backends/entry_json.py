"""Entries as JSON, for where they wait before they are rows. The columns of the table are its
fields, so that both can hold the same."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Column

from gateway.backends.sql_entries import entry_of_columns, row_of, storable
from gateway.backends.tables import entries
from gateway.json_text import read, write
from gateway.usage.entry import Entry


def encode(entry: Entry) -> str:
    """One line of JSON: an object of the table's columns, `time` in whole microseconds.

    Figures are below 2⁵³, so that every reader of JSON has them exactly."""
    return write(row_of(storable(entry))).decode()


def decode(text: str | bytes) -> Entry:
    """Raises ValueError where the text is no entry; a field that it does not have is as in a new
    Entry, since it may have been written by an older version. Every database takes the entry."""
    columns: Any = read(text)
    if not isinstance(columns, dict) or not {"id", "time"} <= columns.keys():
        raise ValueError("not an entry")
    for name, kind, is_nullable in _KINDS:
        value = columns.get(name)
        if type(value) is not kind:
            if name in columns and not (value is None and is_nullable):
                raise ValueError(f"{name} of an entry cannot be {type(value).__name__}")
        elif isinstance(value, dict) and not all(type(count) is int for count in value.values()):
            raise ValueError(f"{name} of an entry cannot have anything but whole numbers")
    return storable(entry_of_columns(columns))


def _kind(column: Column[Any]) -> type:
    return dict if isinstance(column.type, JSON) else column.type.python_type


_KINDS = tuple((str(one.name), _kind(one), bool(one.nullable)) for one in entries.columns)
