"""Many rows in one statement: arrays on Postgres, one prepared statement on SQLite.

A group of a thousand entries moves some thousands of rows. A statement for each would be most of
what a commit costs, and on Postgres a lock held over as many answers.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import JSON, Boolean, Connection, Integer, Table

Values = Sequence[Any]
"""Of one row, in the order of the columns."""


def insert_new(connection: Connection, table: Table, rows: Sequence[Values]) -> list[Any]:
    """Insert the rows, each once, but for those whose first column, the key, is there already; the
    keys of those that were inserted. `rows` have all columns, and no key twice."""
    names = tuple(column.name for column in table.columns)
    if connection.dialect.name == "postgresql":
        key = names[0]
        statement = f"{_from_arrays(table, names)} ON CONFLICT DO NOTHING RETURNING {key}"
        return list(connection.exec_driver_sql(statement, _arrays(rows)).scalars())
    statement = f"{_from_values(table, names)} ON CONFLICT DO NOTHING"
    with connection.begin_nested() as tried:
        done = connection.exec_driver_sql(statement, [tuple(row) for row in rows])
        if done.rowcount == len(rows):
            return [row[0] for row in rows]
        tried.rollback()
    # Nobody else writes until this transaction ends, so that what is told now stays so.
    known = _known(connection, table, [row[0] for row in rows])
    new = [tuple(row) for row in rows if row[0] not in known]
    if new:
        connection.exec_driver_sql(statement, new)
    return [row[0] for row in new]


def add(
    connection: Connection, table: Table, key: Sequence[str], sums: Sequence[str],
    rows: Sequence[Values],
) -> None:  # fmt: skip
    """Add the `sums` of each row to those of the row that has the same `key`, or insert it. A row
    has the values of `key`, then those of `sums`. No key is there twice."""
    moved = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in sums)
    rest = f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {moved}"
    names = (*key, *sums)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_from_arrays(table, names) + rest, _arrays(rows))
    else:
        values = [tuple(row) for row in rows]
        connection.exec_driver_sql(_from_values(table, names) + rest, values)


def as_json(value: Any) -> str:
    """As a column of type JSON keeps it."""
    return json.dumps(value) if value else "{}"


@lru_cache(maxsize=64)
def _from_values(table: Table, names: Sequence[str]) -> str:
    marks = ", ".join("?" * len(names))
    return f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})"


@lru_cache(maxsize=64)
def _from_arrays(table: Table, names: Sequence[str]) -> str:
    kinds = [_kind(table, name) for name in names]
    arrays = ", ".join(f"%s::{'text' if kind == 'json' else kind}[]" for kind in kinds)
    shown = ", ".join(
        f"r.{name}::json" if kind == "json" else f"r.{name}"
        for name, kind in zip(names, kinds, strict=True)
    )
    return (
        f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {shown} "
        f"FROM unnest({arrays}) AS r ({', '.join(names)})"
    )


def _kind(table: Table, name: str) -> str:
    kind = table.c[name].type
    known = ((Boolean, "boolean"), (Integer, "bigint"), (JSON, "json"))
    return next((word for one, word in known if isinstance(kind, one)), "text")


def _arrays(rows: Sequence[Values]) -> tuple[list[Any], ...]:
    return tuple(map(list, zip(*rows, strict=True)))


def _known(connection: Connection, table: Table, keys: Collection[Any]) -> set[Any]:
    column = next(iter(table.columns)).name
    statement = (
        f"SELECT {column} FROM {table.name} WHERE {column} IN (SELECT value FROM json_each(?))"
    )
    return set(connection.exec_driver_sql(statement, (json.dumps(list(keys)),)).scalars())
