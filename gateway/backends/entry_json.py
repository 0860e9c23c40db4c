"""Entries as JSON, for where they wait before they are rows. The columns of the table are its
fields, so that both can hold the same."""

from __future__ import annotations

from functools import lru_cache
from json.encoder import encode_basestring_ascii
from operator import attrgetter
from typing import Any

from sqlalchemy import JSON, Column

from gateway.backends.sql_bulk import as_json
from gateway.backends.sql_entries import entry_of_columns, place_of, storable
from gateway.backends.tables import entries, micros
from gateway.json_text import read, write
from gateway.usage.entry import Entry, Tokens


def encode(entry: Entry) -> str:
    """One line of JSON: an object of the table's columns, `time` in whole microseconds; texts that
    are empty are left out.

    Figures are below 2⁵³, so that every reader of JSON has them exactly."""
    entry = storable(entry)
    first_token = "null" if entry.first_token_ms is None else entry.first_token_ms
    id, redactions = encode_basestring_ascii(entry.id), as_json(entry.redactions)
    return (
        f'{_alike_json(_alike(entry))},"id":{id},"time":{micros(entry.time)},'
        f"{_TOKENS % entry.tokens}"
        f'"cost_nano":{entry.cost_nano},"duration_ms":{entry.duration_ms},'
        f'"first_token_ms":{first_token},"redactions":{redactions}}}'
    )


@lru_cache(1024)
def _alike_json(values: tuple[Any, ...]) -> str:
    """What is alike in most entries of a moment, in JSON but for the closing brace; kept, as it is
    most of one."""
    shown = {name: value for name, value in zip(_ALIKE, values, strict=True) if value != ""}
    return write(shown).decode()[:-1]


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


_ALIKE = (
    "organization", "project", "key_id", "end_user", "model", "served_model", "upstream",
    "endpoint", "stream", "status", "outcome", "code", "requests", "source", "currency",
    "policy_digest", "corrects",
)  # fmt: skip
_alike = attrgetter(*map(place_of, _ALIKE))
_TOKENS = "".join(f'"{name}_tokens":%d,' for name in Tokens._fields)


def _kind(column: Column[Any]) -> type:
    return dict if isinstance(column.type, JSON) else column.type.python_type


_KINDS = tuple((str(one.name), _kind(one), bool(one.nullable)) for one in entries.columns)
