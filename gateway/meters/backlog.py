"""What is to be counted, and is before anybody looks.

Counting is a little of much code and many cells. By itself, in the middle of a request, all of that
has to be fetched from memory; many at once cost less.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from prometheus_client import Metric
from prometheus_client.registry import Collector

T = TypeVar("T")
WAITING_MAX = 64
"""Some three for each request; what is counted then takes less than half a millisecond."""


class Backlog(Collector):
    """Registered before all meters, it is asked first at a scrape, and so whatever is told to it is
    counted then. It belongs to one event loop, as its meters do.

    What is told of one and the same object (`of`, which is kept until then) is counted once."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._last: dict[int, tuple[Any, Callable[[Any], object], Callable[[], Any]]] = {}
        self._often: dict[int, list[Any]] = {}

    def later(self, count: Callable[..., object], *given: Any) -> None:
        """`count(*given)` soon, in order; nothing of what is given may change meanwhile."""
        self._waiting.append((count, given))
        if len(self._waiting) >= WAITING_MAX:
            self.settle()

    def last(self, of: Any, count: Callable[[T], object], made: Callable[[], T]) -> None:
        """`count(made())` soon, of what is told last."""
        self._last[id(of)] = (of, count, made)
        if len(self._last) >= WAITING_MAX:
            self.settle()

    def often(self, of: T, count: Callable[[T, int], object]) -> None:
        """`count(of, times)` soon, with how often this was told."""
        told = self._often.get(id(of))
        if told is not None:
            told[2] += 1
            return
        self._often[id(of)] = [of, count, 1]
        if len(self._often) >= WAITING_MAX:
            self.settle()

    def settle(self) -> None:
        """Count all that waits. Should a count fail, the rest of them wait on."""
        while self._waiting:
            count, given = self._waiting.popleft()
            count(*given)
        while self._last:
            of, of_last, made = self._last.popitem()[1]
            of_last(made())
        while self._often:
            of, of_many, times = self._often.popitem()[1]
            of_many(of, times)

    def collect(self) -> Iterable[Metric]:
        self.settle()
        return ()
