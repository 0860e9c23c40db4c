"""The port Journal: the book of all entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.usage.entry import Entry


@dataclass(frozen=True, slots=True)
class JournalState:
    """What readiness and meters look at. `lag_seconds` is the age of the oldest entry that is not
    written yet; `errors` counts failed writes since the start (each is tried again);
    `set_aside` are entries that the database refused, and that are kept elsewhere."""

    pending: int
    lag_seconds: float
    errors: int
    full: bool
    set_aside: int = 0


class Journal(Protocol):
    """Entries are appended off the request's path and written in batches, idempotent by id."""

    def append(self, entry: Entry, /) -> None:
        """Take the entry; never blocks, never drops. A full journal says so in `state`."""
        ...

    async def flush(self) -> None:
        """Return when everything appended before is committed."""
        ...

    def state(self, now: float) -> JournalState: ...

    def is_full(self) -> bool:
        """As `state` says: no more can be taken."""
        ...
