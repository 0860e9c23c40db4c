"""What the book says of a counter's window, of meters, and of a provider's buckets of costs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select

from gateway.backends.database import Database
from gateway.backends.sql_entries import entry_of_columns
from gateway.backends.sql_spent import sums_within
from gateway.backends.tables import entries, micros
from gateway.quota.limit import Amounts, Measure
from gateway.usage.entry import Outcome, Source
from gateway.usage.metered import KINDS, Series, metered
from gateway.usage.reconcile import BORDER_SECONDS, Bucket, Counter, Ours, Spent, plain_name

COUNTERS_PER_READ = 100


FIGURES = frozenset(Measure) - {Measure.CONCURRENCY}
"""Measures that entries have."""


class SqlReconcile:
    """Raises DatabaseProblem."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def spent(self, counters: Sequence[Counter]) -> list[Spent]:
        """Σ of the entries of each counter, in their order."""
        found: list[Spent] = []
        for start in range(0, len(counters), COUNTERS_PER_READ):
            some = counters[start : start + COUNTERS_PER_READ]
            found += await self._database.read(partial(_all_spent, some))
        return found

    async def metered(self, since: float) -> dict[Series, int]:
        """What the entries with since ≤ time count for in the meters; corrections in none."""
        return await self._database.read(partial(_metered, since))

    async def costs(
        self, spans: Collection[tuple[float, float]], projects: Collection[str]
    ) -> dict[Bucket, Ours]:
        """What the book has of each span, by model (plain name), currency, and project: those of
        `projects`, and all others together. Only what used something."""
        found: dict[Bucket, Ours] = {}
        for start, end in sorted(spans):
            for where, ours in (await self._database.read(partial(_costs, start, end))).items():
                project = where.project if where.project in projects else ""
                bucket = Bucket(start, end, where.model, project, where.currency)
                found[bucket] = found.get(bucket, Ours()).plus(ours)
        return found


def _all_spent(counters: Sequence[Counter], connection: Connection) -> list[Spent]:
    return [_spent(connection, counter) for counter in counters]


def _spent(connection: Connection, counter: Counter) -> Spent:
    fields = dict(counter.subject)
    corrections = fields | {"outcome": Outcome.CORRECTION.value}
    measure = Measure(counter.measure)
    used, corrected = (
        Amounts(*sums_within(connection, one, counter.since, counter.until)).of(measure)
        for one in (fields, corrections)
    )
    return Spent(used, corrected)


def _metered(since: float, connection: Connection) -> dict[Series, int]:
    alike = ("organization", "project", "upstream", "endpoint", "status", "outcome", "source",
             "currency")  # fmt: skip
    figures = ("cost_nano", *(f"{kind}_tokens" for kind in KINDS))
    named = case((entries.c.upstream != "", entries.c.model), else_="")  # others are callers' texts
    groups = [*(entries.c[name] for name in alike), named.label("model")]
    sums = (func.sum(entries.c[name]).label(name) for name in figures)
    statement = (
        select(*groups, func.count().label("times"), *sums)
        .where(entries.c.time >= micros(since), entries.c.outcome != Outcome.CORRECTION.value)
        .group_by(*groups)
    )
    found: dict[Series, int] = {}
    for row in connection.execute(statement).mappings():
        whole = {name: int(row[name]) for name in figures}
        alike_ones = entry_of_columns({**row, **whole, "id": "", "time": 0})
        for series, count in metered(alike_ones, row["times"]):
            found[series] = found.get(series, 0) + count
    return found


def _costs(start: float, end: float, connection: Connection) -> Mapping[Bucket, Ours]:
    near = or_(
        entries.c.time < micros(start + BORDER_SECONDS),
        entries.c.time >= micros(end - BORDER_SECONDS),
    )
    groups = (entries.c.served_model, entries.c.model, entries.c.project, entries.c.currency)
    statement = (
        select(
            *groups,
            func.sum(entries.c.cost_nano),
            func.sum(entries.c.requests),
            _count(entries.c.source == Source.ESTIMATED.value),
            _count(entries.c.source == Source.COUNTED.value),
            _count(entries.c.outcome == Outcome.ABANDONED.value),
            _count(and_(entries.c.requests > 0, near)),
            _count(entries.c.outcome == Outcome.CORRECTION.value),
            func.sum(entries.c.input_tokens),
            func.sum(entries.c.cached_input_tokens),
            func.sum(entries.c.output_tokens),
            func.sum(entries.c.reasoning_tokens),
        )
        .where(
            entries.c.time >= micros(start),
            entries.c.time < micros(end),
            or_(entries.c.requests > 0, entries.c.cost_nano != 0),
        )
        .group_by(*groups)
    )
    found: dict[Bucket, Ours] = {}
    for served, model, project, currency, *figures in connection.execute(statement):
        bucket = Bucket(start, end, plain_name(served or model), project, currency)
        found[bucket] = found.get(bucket, Ours()).plus(Ours(*map(int, figures)))
    return found


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))
