"""Who is connected to a port: counted in all and by address, so that nobody takes every place."""

from __future__ import annotations

from collections.abc import Callable

from gateway.edge.addresses import Proxies, holder
from gateway.seats import Seats
from gateway.settings import Settings


def nobody(reason: str) -> None:
    """Hears of nothing."""


class Peers:
    """The open connections of one port. `turned_away` hears of each that is refused, and why:
    `connections`, or `connections_per_address`."""

    def __init__(self, settings: Settings, turned_away: Callable[[str], None] = nobody) -> None:
        self.count = 0
        self._most = settings.connections_max
        self._each_most = settings.connections_per_address_max
        self._proxies = Proxies(settings)
        self._seats = Seats()
        self._turned_away = turned_away

    def enter(self, address: str) -> str | None:
        """Whom to tell `leave` once the connection is closed; None where it is one too many."""
        if self.count >= self._most:
            self._turned_away("connections")
            return None
        seat = "" if self._proxies.trusts(address) else holder(address)
        if seat and not self._seats.take(seat, self._each_most):
            self._turned_away("connections_per_address")
            return None
        self.count += 1
        return seat

    def leave(self, seat: str) -> None:
        self.count -= 1
        if seat:
            self._seats.leave(seat)
