"""The kept sums held against the entries, a transaction a day, and made anew where wanted."""

from __future__ import annotations

from functools import partial

from gateway.backends.database import Database
from gateway.backends.sql_rollups import (
    Wrong,
    days_of,
    make_day,
    make_month,
    wrong_of_day,
    wrong_of_month,
)
from gateway.usage.rollup import Span


class SqlAudit:
    """Times in microseconds. Works while requests go on. Raises DatabaseProblem."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def days(self, since: int, until: int | None) -> list[int]:
        """Starts of the days (UTC) that have entries or sums: since ≤ start < until."""
        return await self._database.read(partial(days_of, since=since, until=until))

    async def wrong(self, day: int) -> list[Wrong]:
        """Sums of a day, and of its hours, that are not what its entries say."""
        return await self._database.read(partial(wrong_of_day, day=day))

    async def wrong_months(self, days: list[int]) -> list[Wrong]:
        """Sums of the months of these days that are not what their days' sums say."""
        found: list[Wrong] = []
        for month in _months(days):
            found += await self._database.read(partial(wrong_of_month, month=month))
        return found

    async def make(self, day: int) -> None:
        """Sum the entries of a day up anew. Writers wait meanwhile."""
        await self._database.write(partial(make_day, day=day))

    async def make_months(self, days: list[int]) -> None:
        """Sum the days of these days' months up anew."""
        for month in _months(days):
            await self._database.write(partial(make_month, month=month))


def _months(days: list[int]) -> list[int]:
    return sorted({Span.MONTH.start(day) for day in days})
