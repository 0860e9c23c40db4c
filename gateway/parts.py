"""What an exchange works with: the six ports, the policy, the meters, and what is random or timed.

Built by `app.py`, passed as one value, so that nothing is a module global.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.access import Access
from gateway.circuit import Circuits
from gateway.forward import PATIENCE, Patience, Target, Upstream
from gateway.meters.metrics import Meters
from gateway.policy.live import Live
from gateway.policy.matches import Matches
from gateway.policy.policy import UpstreamPolicy
from gateway.privacy.pictures import Reader
from gateway.privacy.profile import Images, Ner
from gateway.privacy.redact import Detector
from gateway.quota.ledger import Ledger
from gateway.seats import Seats
from gateway.settings import Settings
from gateway.tracing.traces import Traces, Untraced
from gateway.usage.record import Journal

SECRETS_MAX = 10_000
"""Kept; all are made anew when there are more."""

Wanted = Ner | Images
"""What of a policy needs models."""


class Log(Protocol):
    """One JSON object a line. Fields never hold a text, a key or an exception's message."""

    def info(self, event: str, **fields: Any) -> Any: ...
    def warning(self, event: str, **fields: Any) -> Any: ...
    def error(self, event: str, **fields: Any) -> Any: ...


@dataclass(slots=True)
class State:
    """What changes while the process runs. `inflight` requests are in work, and `reserved` of them
    hold a reservation; `seats`: requests in work, by key. `ended`: work beside requests that ended
    by itself, and how; `not_loaded`: what is wrong with the policy's models that are not loaded."""

    inflight: int = 0
    reserved: int = 0
    seats: Seats = field(default_factory=Seats)
    draining: bool = False
    ended: dict[str, str] = field(default_factory=dict)
    not_loaded: dict[Wanted, str] = field(default_factory=dict)
    later: set[asyncio.Task[None]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Parts:
    """`clock` is unix seconds, `stopwatch` monotonic seconds, `resolve` names a policy's upstream
    as a Target or raises Unavailable (upstream_key_missing). `detector` remembers what it found in
    a text; `watching`, for texts that come in pieces, does not. `reader` reads pictures.
    `id_bytes` are random, for ids and not for secrets (drawn_ahead.py)."""

    settings: Settings
    policies: Live
    access: Access
    ledger: Ledger
    journal: Journal
    detector: Detector
    watching: Detector
    reader: Reader
    upstream: Upstream
    resolve: Callable[[UpstreamPolicy], Target]
    pepper: bytes
    meters: Meters
    log: Log
    clock: Callable[[], float]
    stopwatch: Callable[[], float]
    id_bytes: Callable[[int], bytes]
    workbench: Executor  # for pure work that is too long for the event loop
    checks: dict[str, Callable[[], Awaitable[str | None]]] = field(default_factory=dict)
    state: State = field(default_factory=State)
    circuits: Circuits = field(default_factory=Circuits)
    traces: Traces = field(default_factory=Untraced)
    matches: Matches = field(default_factory=Matches)
    patience: Patience = PATIENCE
    secrets: dict[tuple[str, ...], bytes] = field(default_factory=dict, repr=False)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what nobody waits for, and what may be left undone at the end."""
        task = asyncio.create_task(work)
        self.state.later.add(task)
        task.add_done_callback(self.state.later.discard)

    def secret(self, purpose: str, *names: str) -> bytes:
        """A secret of its own for each purpose and scope, derived from the pepper. It is kept: a
        request needs some, and they are always the same."""
        asked = (purpose, *names)
        secret = self.secrets.get(asked)
        if secret is None:
            if len(self.secrets) >= SECRETS_MAX:
                self.secrets.clear()
            secret = self.secrets[asked] = secret_of(self.pepper, purpose, *names)
        return secret


def secret_of(pepper: bytes, purpose: str, *names: str) -> bytes:
    """See `Parts.secret`."""
    return hmac.new(pepper, "\0".join((purpose, *names)).encode(), hashlib.sha256).digest()
