"""The verb forward, and its port Upstream: one request to a provider, one reply in pieces."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

Headers = Sequence[tuple[str, str]]
"""Names in lower case, in order, repeats kept."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. Times in seconds. `api_key` never shows in a repr."""

    name: str
    base_url: str
    api_key: str | None
    connect_timeout_seconds: float
    idle_timeout_seconds: float  # between two pieces
    total_timeout_seconds: float

    def __repr__(self) -> str:
        return f"Target({self.name!r}, {self.base_url!r})"


@dataclass(frozen=True, slots=True)
class Reply:
    """A status line and headers, then pieces of the body as they arrive, decoded."""

    status: int
    headers: Headers
    pieces: AsyncIterator[bytes]


class Upstream(Protocol):
    """Leaving the context closes the exchange, and cancels the upstream if it is not at its end.

    Raises `errors.UpstreamFailed` (upstream_unreachable) and `errors.UpstreamTooSlow`
    (upstream_timeout), from entering as from iterating."""

    def send(
        self, target: Target, path: str, headers: Headers, body: bytes
    ) -> AbstractAsyncContextManager[Reply]: ...
