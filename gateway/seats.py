"""How many things each holder has at once, up to a bound: requests of a key, connections of an
address.

A bound per holder keeps one of them from taking all there is. It is counted in this process only.
"""

from __future__ import annotations


class Seats:
    """Counts by holder; a holder that has none takes no memory."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def take(self, holder: str, most: int) -> bool:
        """One more for this holder, or False where it has as many as it may."""
        taken = self._taken.get(holder, 0)
        if taken >= most:
            return False
        self._taken[holder] = taken + 1
        return True

    def leave(self, holder: str) -> None:
        """Give one back that was taken."""
        taken = self._taken[holder]
        if taken == 1:
            del self._taken[holder]
        else:
            self._taken[holder] = taken - 1
