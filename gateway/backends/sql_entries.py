"""Entries as rows of the table `entries`, and back.

What a caller or an upstream wrote into an entry may be anything; a table cannot hold all of it
(Postgres no NUL and no index entry above 2.7 kB, no database half a surrogate pair or an integer
above 64 bits). `storable` makes an entry that every database takes, always the same one for the
same entry, so that what is asked for later is found again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any

from sqlalchemy import Row

from gateway.backends.sql_bulk import as_json
from gateway.backends.tables import entries, micros, seconds
from gateway.usage.entry import Entry, Outcome, Source, Tokens

TEXT_BYTES_MAX = 250  # in UTF-8; the nine of a rollup's key fit into an index of Postgres
FIGURE_MAX = 2**53 - 1  # exact in JSON too; a thousand of them can be summed in 64 bits
_TEXTS = tuple(f.name for f in fields(Entry) if f.type == "str")
_FIGURES = tuple(f.name for f in fields(Entry) if f.type == "int")
_TOKENS = Tokens._fields
_TOKEN_COLUMNS = tuple(f"{name}_tokens" for name in _TOKENS)
_SAME = tuple(
    f.name
    for f in fields(Entry)
    if f.name not in ("time", "tokens", "outcome", "source", "redactions")
)
_texts, _figures = attrgetter(*_TEXTS), attrgetter(*_FIGURES)
_TIME_MAX = 253402300799.0  # the end of the year 9999


def storable_text(text: str) -> str:
    """The text without NUL and lone surrogates (each becomes U+FFFD), and if it is over
    TEXT_BYTES_MAX, its beginning and a hash of the whole."""
    if text.isascii() and len(text) <= TEXT_BYTES_MAX and "\0" not in text:
        return text
    clean = "".join("\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in text)
    encoded = clean.encode()
    if len(encoded) <= TEXT_BYTES_MAX:
        return clean
    mark = "…" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return encoded[: TEXT_BYTES_MAX - len(mark.encode())].decode(errors="ignore") + mark


def storable(entry: Entry) -> Entry:
    """The entry as every database can hold it; mostly that is the entry itself."""
    return entry if _is_plain(entry) else _made_storable(entry)


def _is_plain(entry: Entry) -> bool:
    """Whether nothing can be wrong with it: short ASCII and small figures. Seen at a glance, as
    each request asks it twice."""
    redactions = entry.redactions
    texts = "".join((*_texts(entry), *redactions))
    first_token_ms = entry.first_token_ms or 0
    figures = (*_figures(entry), *entry.tokens, first_token_ms, *redactions.values())
    return (
        texts.isascii()
        and len(texts) <= TEXT_BYTES_MAX
        and "\0" not in texts
        and min(figures) >= -FIGURE_MAX
        and max(figures) <= FIGURE_MAX
        and 0 <= entry.time <= _TIME_MAX
    )


def _made_storable(entry: Entry) -> Entry:
    changes: dict[str, Any] = {}
    for name in _TEXTS:
        text = getattr(entry, name)
        if (clean := storable_text(text)) != text:
            changes[name] = clean
    for name in _FIGURES:
        figure = getattr(entry, name)
        if (bounded := _bounded(figure)) != figure:
            changes[name] = bounded
    if entry.first_token_ms is not None:
        changes["first_token_ms"] = _bounded(entry.first_token_ms)
    if any(abs(figure) > FIGURE_MAX for figure in entry.tokens):
        changes["tokens"] = Tokens(*map(_bounded, entry.tokens))
    if not 0 <= entry.time <= _TIME_MAX:
        changes["time"] = _TIME_MAX if entry.time > _TIME_MAX else 0.0
    if entry.redactions:
        changes["redactions"] = {
            storable_text(name): _bounded(count) for name, count in entry.redactions.items()
        }
    return replace(entry, **changes) if changes else entry


def _bounded(figure: int) -> int:
    return max(-FIGURE_MAX, min(FIGURE_MAX, figure))


def values_of(entry: Entry) -> list[Any]:
    """The entry's columns as the driver takes them, in the table's order: all in two calls, as the
    columns of tokens stand together."""
    values = [*_before_tokens(entry), *entry.tokens, *_behind_tokens(entry)]
    values[_TIME] = micros(entry.time)
    values[_REDACTIONS] = as_json(entry.redactions)
    return values


def place_of(column: str) -> str:
    """Where an entry has what a column has."""
    if column in ("outcome", "source"):
        return f"{column}._value_"  # as `value`, which is Python's code and called for each entry
    return column


_COLUMNS = tuple(str(column.name) for column in entries.columns)
_TIME, _REDACTIONS = _COLUMNS.index("time"), _COLUMNS.index("redactions")
_TOKENS_AT = _COLUMNS.index(_TOKEN_COLUMNS[0])
_TOKENS_END = _TOKENS_AT + len(_TOKEN_COLUMNS)
_before_tokens = attrgetter(*map(place_of, _COLUMNS[:_TOKENS_AT]))
_behind_tokens = attrgetter(*map(place_of, _COLUMNS[_TOKENS_END:]))


def entry_of(row: Row[Any]) -> Entry:
    """The entry of a whole row of the table."""
    return entry_of_columns(dict(row._mapping))


def entry_of_columns(columns: Mapping[str, Any]) -> Entry:
    """The entry of its columns by name; one that is not there has its default."""
    return Entry(
        **{name: columns[name] for name in _SAME if name in columns},
        time=seconds(columns["time"]),
        tokens=Tokens(**{name: columns.get(f"{name}_tokens", 0) for name in _TOKENS}),
        outcome=Outcome(columns.get("outcome", Outcome.OK)),
        source=Source(columns.get("source", Source.NONE)),
        redactions=columns.get("redactions", {}),
    )
