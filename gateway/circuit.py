"""Whether an upstream is asked at all: one that failed too often in a row has a rest.

    closed ──failures_max failures in a row──▶ open ──open_seconds──▶ half open
      ▲                                         ▲                       │ one request tries
      └─────────────── it is answered ──────────┼───────────────────────┤
                                                └──────── it fails ─────┘

A failure is no connection, none that lasts, nothing in time, no HTTP, or a status of 500 and above;
every other answer ends the row, also one that refuses a caller. So while all is well there is
nothing to remember, and a request pays for one look into an empty dict.

Each organization has a circuit of its own to an upstream: who asks for what makes a healthy one
fail shuts nobody else out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from gateway.errors import Unavailable

FAILED_STATUS_MIN = 500


class State(IntEnum):
    """As the meter says it."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


@dataclass(frozen=True, slots=True)
class Bounds:
    """Failures that are further apart than `window_seconds` are in no row. 0 failures: never
    open."""

    failures_max: int = 20
    window_seconds: float = 30.0
    open_seconds: float = 10.0


@dataclass(slots=True)
class Circuit:
    """Of one upstream that failed for one organization. `tried_until`: a request tries it, and
    counts for one that nobody came back from after that."""

    failures: int = 0
    failed_at: float = 0.0
    open_until: float | None = None
    tried_until: float = 0.0


class Circuits:
    """Of all upstreams. Times are seconds of any clock that only goes forward; `changed` is told
    of an upstream's name, the organization and the new state."""

    def __init__(
        self, bounds: Bounds = Bounds(), changed: Callable[[str, str, State], None] | None = None
    ) -> None:
        self._bounds = bounds
        self._changed = changed
        self._failing: dict[tuple[str, str], Circuit] = {}

    @property
    def is_all_well(self) -> bool:
        """Nothing failed of late, so that `look` would raise for nobody."""
        return not self._failing

    def look(self, upstream: str, now: float, organization: str = "") -> None:
        """Raises Unavailable (upstream_circuit_open) where a request would not be sent."""
        circuit = self._failing.get((upstream, organization))
        if circuit is None or circuit.open_until is None:
            return
        wait = max(circuit.open_until, circuit.tried_until) - now
        if wait > 0:
            raise Unavailable(
                f"The upstream {upstream} failed too often in a row, so it is not asked for a "
                "moment. Try again later.",
                code="upstream_circuit_open",
                retry_after_seconds=max(1.0, min(wait, self._bounds.open_seconds)),
            )

    def enter(self, upstream: str, now: float, organization: str = "") -> bool:
        """Before a request is sent; whether it is the one that tries. Raises as of `look`."""
        if not self._failing:
            return False
        self.look(upstream, now, organization)
        circuit = self._failing.get((upstream, organization))
        if circuit is None or circuit.open_until is None:
            return False
        circuit.tried_until = now + self._bounds.open_seconds
        return True

    def answered(
        self, upstream: str, status: int, now: float, tries: bool, organization: str = ""
    ) -> None:
        """It answered. `tries` is what `enter` said."""
        if status >= FAILED_STATUS_MIN:
            self.failed(upstream, now, tries, organization)
        elif self._failing:
            of = upstream, organization
            circuit = self._failing.get(of)
            if circuit is not None and (tries or circuit.open_until is None):
                del self._failing[of]
                if tries:
                    self._tell(*of, State.CLOSED)

    def failed(self, upstream: str, now: float, tries: bool, organization: str = "") -> None:
        """It did not answer. Of one that is open, only the request that tries says something."""
        if not self._bounds.failures_max:
            return
        circuit = self._failing.setdefault((upstream, organization), Circuit())
        if circuit.open_until is not None and not tries:
            return
        if now - circuit.failed_at > self._bounds.window_seconds:
            circuit.failures = 0
        circuit.failures += 1
        circuit.failed_at, circuit.tried_until = now, 0.0
        if tries or circuit.failures >= self._bounds.failures_max:
            circuit.open_until = now + self._bounds.open_seconds
            self._tell(upstream, organization, State.OPEN)

    def left(self, upstream: str, tries: bool, organization: str = "") -> None:
        """The request ended before anybody knew: another one may try."""
        if tries and (circuit := self._failing.get((upstream, organization))):
            circuit.tried_until = 0.0

    def state(self, upstream: str, now: float) -> State:
        """The worst that it is for any organization."""
        until = [
            circuit.open_until
            for (name, _), circuit in self._failing.items()
            if name == upstream and circuit.open_until is not None
        ]
        if not until:
            return State.CLOSED
        return State.OPEN if now < max(until) else State.HALF_OPEN

    def _tell(self, upstream: str, organization: str, state: State) -> None:
        if self._changed is not None:
            self._changed(upstream, organization, state)
