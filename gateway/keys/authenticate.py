"""The verb authenticate, and its port Keyring."""

from __future__ import annotations

from typing import Protocol

from gateway.keys.key import Secret


class Keyring(Protocol):
    """Raises `errors.Unavailable` (code database_unavailable) where the store cannot be reached:
    trouble with the store is never a 401."""

    async def find(self, prefix: str) -> Secret | None: ...
