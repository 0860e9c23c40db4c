"""The Keyring in SQL: look a key up for each request, and manage keys for the CLI.

A key's text is never here: it is minted, its prefix and digest are stored, and it goes back to the
caller once. What changes a key that somebody may have read moves the generation `access` in the
same transaction; a new key is not such a change, as what is not found is kept nowhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    update,
)

from gateway.backends.database import Database
from gateway.backends.database_problem import DatabaseProblem, unavailable
from gateway.backends.sql_book import bump
from gateway.backends.tables import entries, key_secrets, keys, micros, seconds
from gateway.keys.key import Key, Minted, RandomBytes, Role, Secret, digest, mint, mint_id


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as people see it. `last_used` is the time of its newest entry, in unix seconds."""

    key: Key
    prefixes: tuple[str, ...]
    last_used: float | None


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key and its text, to be shown this once."""

    key: Key
    text: str = field(repr=False)


class UnknownKey(Exception):
    """There is no key of this id."""


class EndedKey(Exception):
    """The key was revoked or has expired; it cannot be rotated."""


class SqlKeyring:
    """`find` raises `errors.Unavailable`; the others, which no request waits for, DatabaseProblem.
    Times are unix seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._find = (
            select(keys, key_secrets.c.prefix, key_secrets.c.digest,
                   key_secrets.c.expires_at.label("secret_expires_at"))
            .select_from(key_secrets.join(keys, key_secrets.c.key_id == keys.c.id))
            .where(key_secrets.c.prefix == bindparam("wanted"))
        )  # fmt: skip

    async def find(self, prefix: str) -> Secret | None:
        wanted = {"wanted": prefix}
        try:
            row = await self._database.read(lambda c: c.execute(self._find, wanted).one_or_none())
        except DatabaseProblem as problem:
            raise unavailable() from problem
        if row is None:
            return None
        return Secret(row.prefix, row.digest, _key_of(row), _seconds(row.secret_expires_at))

    async def create(
        self,
        pepper: bytes,
        organization: str,
        project: str,
        name: str,
        *,
        now: float,
        random_bytes: RandomBytes,
        role: Role = Role.MEMBER,
        models: Sequence[str] | None = None,
        endpoints: Sequence[str] | None = None,
        expires_at: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> IssuedKey:
        """A new key, and its text, which is told only here."""
        key = Key(
            id=mint_id(random_bytes),
            organization=organization,
            project=project,
            name=name,
            role=role,
            models=None if models is None else tuple(models),
            endpoints=None if endpoints is None else tuple(endpoints),
            created_at=seconds(micros(now)),
            expires_at=expires_at,
            metadata=metadata or {},
        )
        minted = mint(random_bytes)

        def change(connection: Connection) -> None:
            connection.execute(insert(keys).values(_row_of(key)))
            _add_secret(connection, key.id, minted, pepper, now)

        await self._database.write(change)
        return IssuedKey(key, minted.text)

    async def count(self) -> int:
        """How many keys there are, ended ones included."""
        statement = select(func.count()).select_from(keys)
        return int(await self._database.read(lambda c: c.execute(statement).scalar_one()))

    async def all(
        self, organization: str | None = None, project: str | None = None
    ) -> Sequence[KeyRecord]:
        """All keys, or those of one organization or project, in the order they were made."""
        wanted: list[ColumnElement[bool]] = []
        if organization is not None:
            wanted.append(keys.c.organization == organization)
        if project is not None:
            wanted.append(keys.c.project == project)
        return await self._database.read(lambda c: _records(c, *wanted))

    async def show(self, id: str) -> KeyRecord:
        """One key. Raises UnknownKey."""
        found = await self._database.read(lambda c: _records(c, keys.c.id == id))
        if not found:
            raise UnknownKey(id)
        return found[0]

    async def revoke(self, id: str, now: float) -> Key:
        """End the key at once; if it was revoked before, that moment stays. Raises UnknownKey."""

        def change(connection: Connection) -> Key:
            key = _key_of(_one(connection, id, lock=True))
            if key.revoked_at is not None:
                return key
            connection.execute(update(keys).where(keys.c.id == id).values(revoked_at=micros(now)))
            bump(connection, "access")
            return dataclasses.replace(key, revoked_at=now)

        return await self._database.write(change)

    async def rotate(
        self, id: str, grace_seconds: float, pepper: bytes, random_bytes: RandomBytes, now: float
    ) -> IssuedKey:
        """A new text for the key; the old ones work for `grace_seconds` more, or less if they
        were to end before. Raises UnknownKey and EndedKey."""
        minted = mint(random_bytes)
        end = micros(now + grace_seconds)

        def change(connection: Connection) -> Key:
            key = _key_of(_one(connection, id, lock=True))
            if key.revoked_at is not None or (key.expires_at or now + 1) <= now:
                raise EndedKey(id)
            mine = key_secrets.c.key_id == id
            connection.execute(
                delete(key_secrets).where(mine, key_secrets.c.expires_at <= micros(now))
            )
            sooner = case((key_secrets.c.expires_at < end, key_secrets.c.expires_at), else_=end)
            connection.execute(update(key_secrets).where(mine).values(expires_at=sooner))
            _add_secret(connection, id, minted, pepper, now)
            bump(connection, "access")
            return key

        return IssuedKey(await self._database.write(change), minted.text)


def _add_secret(
    connection: Connection, key_id: str, minted: Minted, pepper: bytes, now: float
) -> None:
    connection.execute(
        insert(key_secrets).values(
            prefix=minted.prefix,
            digest=digest(minted.text, pepper),
            key_id=key_id,
            created_at=micros(now),
        )
    )


def _one(connection: Connection, id: str, *, lock: bool = False) -> Row[Any]:
    statement = select(keys).where(keys.c.id == id)
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    if row is None:
        raise UnknownKey(id)
    return row


def _records(connection: Connection, *wanted: ColumnElement[bool]) -> list[KeyRecord]:
    prefixes: dict[str, list[str]] = {}
    for secret in connection.execute(
        select(key_secrets.c.key_id, key_secrets.c.prefix)
        .join(keys, keys.c.id == key_secrets.c.key_id)
        .where(*wanted)
        .order_by(key_secrets.c.created_at, key_secrets.c.prefix)
    ):
        prefixes.setdefault(secret.key_id, []).append(secret.prefix)
    newest = select(func.max(entries.c.time)).where(entries.c.key_id == keys.c.id)
    return [
        KeyRecord(_key_of(row), tuple(prefixes.get(row.id, ())), _seconds(row.last_used))
        for row in connection.execute(
            select(keys, newest.scalar_subquery().label("last_used"))
            .where(*wanted)
            .order_by(keys.c.created_at, keys.c.id)
        )
    ]


def _row_of(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "organization": key.organization,
        "project": key.project,
        "name": key.name,
        "role": key.role.value,
        "models": None if key.models is None else list(key.models),
        "endpoints": None if key.endpoints is None else list(key.endpoints),
        "created_at": micros(key.created_at),
        "expires_at": None if key.expires_at is None else micros(key.expires_at),
        "revoked_at": None if key.revoked_at is None else micros(key.revoked_at),
        "metadata": dict(key.metadata),
    }


def _key_of(row: Row[Any]) -> Key:
    columns = row._mapping
    return Key(
        id=columns["id"],
        organization=columns["organization"],
        project=columns["project"],
        name=columns["name"],
        role=Role(columns["role"]),
        models=None if columns["models"] is None else tuple(columns["models"]),
        endpoints=None if columns["endpoints"] is None else tuple(columns["endpoints"]),
        created_at=seconds(columns["created_at"]),
        expires_at=_seconds(columns["expires_at"]),
        revoked_at=_seconds(columns["revoked_at"]),
        metadata=columns["metadata"],
    )


def _seconds(micros: int | None) -> float | None:
    return None if micros is None else seconds(micros)
