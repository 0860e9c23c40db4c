"""A large book: keys, and entries by SQL alone, whose sums the product then makes itself. On
Postgres it lies in the partitions of its months.

Owners are skewed as they are in life: of n keys, number n·r³ for an even r, so that a tenth of the
keys has nearly half of the entries. Times are even over the days. Indexes are dropped while it is
filled, and made anew, which is many times faster.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Index, text

from gateway.backends.database import Database
from gateway.backends.sql_partitions import make_months
from gateway.backends.tables import entries, key_secrets, keys, micros
from gateway.keys.key import RandomBytes, digest, mint
from gateway.usage.rollup import Span

MODELS = 8
ORGANIZATIONS = 100
SLICE = 250_000  # entries in one transaction
CONSTANTS = {
    "upstream": "'openai'", "endpoint": "'chat'", "requests": "1", "cached_input_tokens": "0",
    "reasoning_tokens": "0", "audio_input_tokens": "0", "audio_output_tokens": "0",
    "source": "'provider'", "currency": "'USD'", "first_token_ms": "200", "redactions": "'{}'",
    "policy_digest": "'0123456789ab'", "corrects": "''",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Size:
    entries: int
    keys: int
    projects: int
    days: int
    until: int  # unix seconds


async def fill_keys(
    database: Database, size: Size, pepper: bytes, random_bytes: RandomBytes
) -> list[str]:
    """So many keys; the texts of a hundred of them."""
    minted = [mint(random_bytes) for _ in range(size.keys)]

    def fill(connection: Connection) -> None:
        rows = [
            {
                "id": f"key_{n}", "organization": f"org{n % size.projects % ORGANIZATIONS}",
                "project": f"p{n % size.projects}", "name": "bench", "role": "member",
                "created_at": 1, "metadata": {},
            }
            for n in range(size.keys)
        ]  # fmt: skip
        connection.execute(keys.insert(), rows)
        secrets = [
            {
                "prefix": one.prefix, "digest": digest(one.text, pepper), "key_id": f"key_{n}",
                "created_at": 1,
            }
            for n, one in enumerate(minted)
        ]  # fmt: skip
        connection.execute(key_secrets.insert(), secrets)

    await database.write(fill)
    return [one.text for one in minted[:: max(1, size.keys // 100)]]


async def fill_entries(database: Database, size: Size) -> None:
    """Without their sums."""
    await database.write(lambda c: _make_months(c, size))
    await database.write(_without_indexes)
    for begin in range(0, size.entries, SLICE):
        end = min(begin + SLICE, size.entries)
        await database.write(lambda c, begin=begin, end=end: _fill(c, size, begin, end))
    await database.write(lambda c: [index.create(c) for index in sorted_indexes()])
    await database.write(lambda c: c.execute(text("ANALYZE")))


def sorted_indexes() -> list[Index]:
    return sorted(entries.indexes, key=lambda index: str(index.name))


def _make_months(connection: Connection, size: Size) -> None:
    """As the gateway would have made them in their time."""
    starts = [Span.MONTH.start(micros(size.until - size.days * 86_400))]
    while starts[-1] < micros(size.until):
        starts.append(Span.MONTH.next(starts[-1]))
    make_months(connection, starts)


def _without_indexes(connection: Connection) -> None:
    for index in sorted_indexes():
        index.drop(connection)


def _fill(connection: Connection, size: Size, begin: int, end: int) -> None:
    is_postgres = connection.dialect.name == "postgresql"
    even = "random()" if is_postgres else "(abs(random()) % 1000000007 / 1000000007.0)"
    numbers = (
        f"SELECT CAST(n AS BIGINT) AS n FROM generate_series({begin}, {end - 1}) AS g(n)"
        if is_postgres
        else f"WITH RECURSIVE g(n) AS (SELECT {begin} UNION ALL SELECT n + 1 FROM g"
        f" WHERE n < {end - 1}) SELECT n FROM g"
    )
    # A table, as SQLite would throw the dice again for each mention of one.
    connection.execute(text("DROP TABLE IF EXISTS dice"))
    connection.execute(
        text(
            f"CREATE TEMPORARY TABLE dice AS SELECT n, {even} AS a, {even} AS b, {even} AS c"
            f" FROM ({numbers}) AS numbers"
        )
    )
    whole = "CAST(floor({0}) AS BIGINT)" if is_postgres else "CAST({0} AS INTEGER)"
    key = whole.format(f"{size.keys} * a * a * a")
    step = size.days * 86_400_000_000 // size.entries
    first = (size.until - size.days * 86_400) * 1_000_000
    is_refused = "c < 0.03"
    tokens = whole.format("20 + 4000 * c * c")
    time = f"{first} + n * {step}"
    digits = (
        f"lpad(to_hex(({time}) / 1000), 12, '0') || lpad(to_hex(n), 20, '0')"
        if is_postgres
        else f"printf('%012x%020x', ({time}) / 1000, n)"
    )
    values = CONSTANTS | {
        "id": f"'req_t' || {digits}",
        "time": time,
        "organization": f"'org' || ({key} % {size.projects} % {ORGANIZATIONS})",
        "project": f"'p' || ({key} % {size.projects})",
        "key_id": f"'key_' || {key}",
        "end_user": f"'user' || {whole.format('1000000 * b')}",
        "model": f"'model-' || {whole.format(f'{MODELS} * b * b')}",
        "served_model": f"'model-' || {whole.format(f'{MODELS} * b * b')} || '-2026-01-01'",
        "stream": "(b < 0.5)",
        "status": f"CASE WHEN {is_refused} THEN 429 ELSE 200 END",
        "outcome": f"CASE WHEN {is_refused} THEN 'refused' ELSE 'ok' END",
        "code": f"CASE WHEN {is_refused} THEN 'rate_limit_exceeded' ELSE '' END",
        "input_tokens": tokens, "output_tokens": tokens, "cost_nano": f"1250 * {tokens}",
        "duration_ms": whole.format("3000 * c"),
    }  # fmt: skip
    names = [column.name for column in entries.columns]
    shown = ", ".join(
        f"CAST({values[name]} AS JSON)" if is_postgres and name == "redactions" else values[name]
        for name in names
    )
    columns = ", ".join(names)
    connection.execute(text(f"INSERT INTO entries ({columns}) SELECT {shown} FROM dice ORDER BY n"))
