"""The GrantStore in SQL: what is granted, for requests; and all grants, for the CLI.

A row is never changed but to end it. Each change moves the generation `access` in its transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select, update

from gateway.backends.database import Database
from gateway.backends.database_problem import DatabaseProblem, unavailable
from gateway.backends.sql_book import bump
from gateway.backends.tables import grants, micros, seconds
from gateway.quota.grant import Grant

_SUBJECT = ("organization", "project", "key_id", "end_user")


@dataclass(frozen=True, slots=True)
class GrantRecord:
    """A grant as people see it. Times are unix seconds; `ended_at`: taken back before its end."""

    grant: Grant
    created_at: float
    ended_at: float | None
    ended_by: str | None


class UnknownGrant(Exception):
    """There is no grant of this id."""


class SqlGrants:
    """`grants` raises `errors.Unavailable`; the others, which no request waits for,
    DatabaseProblem. `clock` is unix seconds."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def grants(self) -> tuple[Grant, ...]:
        lasts = or_(grants.c.ends_at.is_(None), grants.c.ends_at > micros(self._clock()))
        wanted = select(grants).where(grants.c.ended_at.is_(None), lasts)
        try:
            rows = await self._database.read(lambda c: c.execute(wanted).all())
        except DatabaseProblem as problem:
            raise unavailable() from problem
        return tuple(_grant_of(row) for row in rows)

    async def add(self, grant: Grant) -> None:
        """Raises ValueError for a subject that no limit counts."""
        row = _row_of(grant) | {"created_at": micros(self._clock())}

        def change(connection: Connection) -> None:
            connection.execute(insert(grants).values(row))
            bump(connection, "access")

        await self._database.write(change)

    async def end(self, id: str, by: str) -> GrantRecord:
        """Take the grant back at once; if it was before, who did and when stays. Raises
        UnknownGrant."""

        def change(connection: Connection) -> GrantRecord:
            found = select(grants).where(grants.c.id == id)
            row = connection.execute(found.with_for_update()).one_or_none()
            if row is None:
                raise UnknownGrant(id)
            if row.ended_at is None:
                ended = {"ended_at": micros(self._clock()), "ended_by": by}
                connection.execute(update(grants).where(grants.c.id == id).values(ended))
                bump(connection, "access")
                row = connection.execute(found).one()
            return _record_of(row)

        return await self._database.write(change)

    async def all(self, organization: str | None = None) -> Sequence[GrantRecord]:
        """All grants ever made, or those of one organization, the oldest first."""
        wanted = select(grants).order_by(grants.c.created_at, grants.c.id)
        if organization is not None:
            wanted = wanted.where(grants.c.organization == organization)
        rows = await self._database.read(lambda c: c.execute(wanted).all())
        return [_record_of(row) for row in rows]


def _row_of(grant: Grant) -> dict[str, Any]:
    whom = dict(grant.subject)
    if "organization" not in whom or not whom.keys() <= set(_SUBJECT):
        raise ValueError(f"no limit counts {', '.join(whom) or 'nobody'}")
    return {
        **{field: whom.get(field, "") for field in _SUBJECT},
        "id": grant.id,
        "limit": grant.limit,
        "amount": grant.amount,
        "starts_at": micros(grant.starts_at),
        "ends_at": None if grant.ends_at is None else micros(grant.ends_at),
        "approved_by": grant.approved_by,
        "note": grant.note,
    }


def _record_of(row: Row[Any]) -> GrantRecord:
    return GrantRecord(_grant_of(row), seconds(row.created_at), _seconds(row.ended_at),
                       row.ended_by)  # fmt: skip


def _grant_of(row: Row[Any]) -> Grant:
    columns = row._mapping
    return Grant(
        id=columns["id"],
        limit=columns["limit"],
        subject=tuple((field, columns[field]) for field in _SUBJECT if columns[field]),
        amount=columns["amount"],
        starts_at=seconds(columns["starts_at"]),
        ends_at=_seconds(columns["ends_at"]),
        approved_by=columns["approved_by"],
        note=columns["note"],
    )


def _seconds(micros: int | None) -> float | None:
    return None if micros is None else seconds(micros)
