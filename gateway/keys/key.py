"""API keys: mint, hash, compare. Pure.

A key's text is `sk-` + look-up prefix + `-` + 256 random bits in base64url. Only the prefix and an
HMAC-SHA-256 of the whole text under the server's pepper are stored; the text is shown once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    MEMBER = "member"  # may use the completion API
    ADMIN = "admin"  # for the admin API; may not use the completion API


@dataclass(frozen=True, slots=True)
class Key:
    """Who calls. Times are unix seconds. `models` and `endpoints` None: all that the project may.

    A key keeps its id over rotations, so that its limits and usage go on."""

    id: str
    organization: str
    project: str
    name: str
    role: Role = Role.MEMBER
    models: tuple[str, ...] | None = None
    endpoints: tuple[str, ...] | None = None
    created_at: float = 0.0
    expires_at: float | None = None
    revoked_at: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Secret:
    """One text of a key, as stored. A rotated key has two until the grace period ends."""

    prefix: str
    digest: bytes  # 32 bytes
    key: Key
    expires_at: float | None = None  # end of the grace period
