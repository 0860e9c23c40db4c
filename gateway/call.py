"""What came over the wire, as the edge hands it to an exchange."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.forward import CALLERS, Headers
from gateway.policy.policy import Endpoint

READ = {name.encode(): name for name in ("authorization", *CALLERS)}
"""The headers that an exchange looks at, as they come and as it reads them: others need not be
read."""


@dataclass(slots=True)
class Call:
    """One request of a caller. `now` is when its head was complete, in unix seconds; `headers` are
    those that are READ.

    `read_body` raises TooLarge, TooSlow or ClientLeft. `engine` is the model of the old
    `/v1/engines/{engine}/…` URLs. `caller_left` tells a caller's leaving from our own stopping.
    From `keep_on` on, a caller's leaving ends nothing: the answer goes on, unheard. `client` is the
    address of the caller, where it may be logged."""

    id: str
    now: float
    endpoint: Endpoint
    engine: str | None
    headers: Headers
    read_body: Callable[[], Awaitable[bytes]]
    caller_left: Callable[[], bool]
    keep_on: Callable[[], None] = lambda: None
    client: str = ""

    @property
    def authorization(self) -> str | None:
        for name, value in self.headers:
            if name == "authorization":
                return value
        return None


class Outlet(Protocol):
    """Where an answer goes, as far as it takes at once what it is given."""

    def is_ready(self) -> bool: ...

    def give(self, piece: bytes) -> None:
        """Only where it `is_ready`. It does not raise."""
        ...
