"""The book of the ledger in Redis: what was posted to SQL, without what still waits in a stream."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from sqlalchemy import Connection

from gateway.backends.database import Database
from gateway.backends.database_problem import DatabaseProblem, unavailable
from gateway.backends.sql_book import known_of, read_generations
from gateway.backends.sql_spent import sum_spent
from gateway.quota.ledger import Generations, Subject
from gateway.quota.limit import Amounts

T = TypeVar("T")


class PostedBook:
    """Implements gateway.backends.redis_rebuild.Book. Raises `errors.Unavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def spent(
        self, subject: Subject, since: float, until: float | None, but: Collection[str]
    ) -> Amounts:
        return await self._read(lambda c: sum_spent(c, subject, since, until, but))

    async def knows(self, id: str) -> bool:
        return bool(await self._read(lambda c: known_of(c, [id])))

    async def generations(self) -> Generations:
        return await self._read(read_generations)

    async def _read(self, query: Callable[[Connection], T]) -> T:
        try:
            return await self._database.read(query)
        except DatabaseProblem as problem:
            raise unavailable() from problem
