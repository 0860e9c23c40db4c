"""What is to be counted, and is before anybody looks.

Counting is a little of much code and many cells. By itself, in the middle of a request, all of that
has to be fetched from memory; many at once cost less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import Metric
from prometheus_client.registry import Collector

WAITING_MAX = 64
"""Some three for each request; what is counted then takes less than half a millisecond."""


class Backlog(Collector):
    """Registered before all meters, it is asked first at a scrape, and so whatever is told to it is
    counted then. It belongs to one event loop, as its meters do."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    def later(self, count: Callable[..., object], *given: Any) -> None:
        """`count(*given)` soon, in order; nothing of what is given may change meanwhile."""
        self._waiting.append((count, given))
        if len(self._waiting) >= WAITING_MAX:
            self.settle()

    def settle(self) -> None:
        """Count all that waits."""
        waiting, self._waiting = self._waiting, []
        for count, given in waiting:
            count(*given)

    def collect(self) -> Iterable[Metric]:
        self.settle()
        return ()
