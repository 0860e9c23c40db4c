"""Many rows in one statement: arrays on Postgres, one prepared statement on SQLite.

A group of a thousand entries moves some thousands of rows. A statement for each would be most of
what a commit costs, and on Postgres a lock held over as many answers.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import JSON, Boolean, Integer, Table

from gateway.backends.database import Statements
from gateway.json_text import write

Values = Sequence[Any]
"""Of one row, in the order of the columns."""


def insert(connection: Statements, table: Table, rows: Sequence[Values]) -> None:
    """Insert the rows, which have all columns. One whose key is there already is refused."""
    if is_postgres(connection):
        connection.exec_driver_sql(_from_arrays(table, _names(table)), _arrays(rows))
    else:
        connection.exec_driver_sql(_from_values(table, _names(table)), list(map(tuple, rows)))


def insert_new(connection: Statements, table: Table, rows: Sequence[Values]) -> list[Any]:
    """Insert the rows, each once, but for those whose first column, the key, is there already; the
    keys of those that were inserted. `rows` have all columns, and no key twice."""
    names = _names(table)
    if is_postgres(connection):
        statement = f"{_from_arrays(table, names)} ON CONFLICT DO NOTHING RETURNING {names[0]}"
        found = connection.exec_driver_sql(statement, _arrays(rows)).fetchall()
        return [row[0] for row in found]
    statement = f"{_from_values(table, names)} ON CONFLICT DO NOTHING"
    values = list(map(tuple, rows))
    connection.exec_driver_sql("SAVEPOINT rows")
    if connection.exec_driver_sql(statement, values).rowcount < len(values):
        connection.exec_driver_sql("ROLLBACK TO rows")
        # Nobody else writes until this transaction ends, so that what is told now stays so.
        known = _known(connection, table, [row[0] for row in values])
        values = [row for row in values if row[0] not in known]
        if values:
            connection.exec_driver_sql(statement, values)
    connection.exec_driver_sql("RELEASE rows")
    return [row[0] for row in values]


def drop(connection: Statements, table: Table, keys: Sequence[Any]) -> None:
    """Delete the rows that have one of these keys, which are texts."""
    name = _names(table)[0]
    if is_postgres(connection):
        statement, given = f"DELETE FROM {table.name} WHERE {name} = ANY(%s::text[])", list(keys)
        connection.exec_driver_sql(statement, (given,))
    elif len(keys) == 1:
        connection.exec_driver_sql(f"DELETE FROM {table.name} WHERE {name} = ?", (keys[0],))
    else:
        connection.exec_driver_sql(
            f"DELETE FROM {table.name} WHERE {name} IN (SELECT value FROM json_each(?))",
            (json.dumps(keys),),
        )


def is_postgres(connection: Statements) -> bool:
    return bool(connection.dialect.name == "postgresql")


def add(
    connection: Statements, table: Table, key: Sequence[str], sums: Sequence[str],
    rows: Sequence[Values],
) -> None:  # fmt: skip
    """Add the `sums` of each row to those of the row that has the same `key`, or insert it. A row
    has the values of `key`, then those of `sums`. No key is there twice."""
    names = (*key, *sums)
    if is_postgres(connection):
        statement = _from_arrays(table, names) + _moving(table, key, sums)
        connection.exec_driver_sql(statement, _arrays(rows))
    else:
        statement = _from_values(table, names) + _moving(table, key, sums)
        connection.exec_driver_sql(statement, list(map(tuple, rows)))


@lru_cache(maxsize=64)
def _moving(table: Table, key: Sequence[str], sums: Sequence[str]) -> str:
    moved = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in sums)
    return f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {moved}"


@lru_cache(maxsize=64)
def _names(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns)


def as_json(value: Any) -> str:
    """As a column of type JSON keeps it."""
    return write(value).decode() if value else "{}"


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


def _known(connection: Statements, table: Table, keys: Collection[Any]) -> set[Any]:
    name = _names(table)[0]
    statement = f"SELECT {name} FROM {table.name} WHERE {name} IN (SELECT value FROM json_each(?))"
    found = connection.exec_driver_sql(statement, (json.dumps(list(keys)),)).fetchall()
    return {row[0] for row in found}
