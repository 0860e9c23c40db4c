"""From which address a request comes: that of the connection, or what a trusted proxy says.

Only the proxies that the settings name are believed. Each appends to its header the address that it
saw, so the list is read from its end, over the proxies that are trusted, to the first address that
is none of theirs: whatever stands before that one, its caller may have made up.
Sources: RFC 7239 for `Forwarded`; `X-Forwarded-For` as proxies write it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address

from starlette.types import Scope

from gateway.errors import LimitReached
from gateway.seats import Seats
from gateway.settings import Settings

HOPS_MAX = 16  # so many proxies in a row are looked past
_PAIR = re.compile(r'\s*+(?:([\w!#$%&\'*+.^`|~-]+)=("(?:[^"\\]|\\.)*"|[^\s;,"]*))?\s*+([;,]|$)')
_PORT = re.compile(r":\d{1,5}$")

Address = IPv4Address | IPv6Address


def parsed(text: str) -> Address | None:
    """An address, with or without brackets and port; None where it is none, like `unknown`."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = _PORT.sub("", text)
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def holder(address: str) -> str:
    """What counts as one address: of IPv6 whoever has one has its whole /64."""
    found = parsed(address)
    if isinstance(found, IPv6Address):
        return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
    return str(found) if found else address


def forwarded_for(line: str) -> Iterator[str]:
    """The `for` of each element of a `Forwarded` header; "" where there is none. What cannot be
    read ends in "", so that nothing of it is believed."""
    position, found = 0, ""
    while position < len(line):
        pair = _PAIR.match(line, position)
        if pair is None:
            yield ""
            return
        name, value, end = pair.groups()
        if name and name.lower() == "for":
            found = value.strip('"')
        if end != ";":
            yield found
            found = ""
        position = pair.end()


class Proxies:
    """The proxies that are trusted, and what they say."""

    def __init__(self, settings: Settings) -> None:
        listed = (settings.trusted_proxies or "").split(",")
        self._networks = [ipaddress.ip_network(part) for part in listed if part]
        self._header = settings.forwarded_header.encode()

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trusts(self, address: str) -> bool:
        found = parsed(address)
        return found is not None and self._is_ours(found)

    def caller_of(self, peer: str, headers: Sequence[tuple[bytes, bytes]]) -> str:
        """The address of whoever asked, seen from a connection that `peer` made."""
        found = parsed(peer)
        if found is None or not self._is_ours(found):
            return peer
        told = [value.decode("latin-1") for name, value in headers if name == self._header]
        for text in list(self._listed(told))[: -HOPS_MAX - 1 : -1]:
            before = parsed(text)
            if before is None:
                break
            found = before
            if not self._is_ours(found):
                break
        return str(found)

    def _listed(self, told: Iterable[str]) -> Iterator[str]:
        for line in told:
            yield from forwarded_for(line) if self._header == b"forwarded" else line.split(",")

    def _is_ours(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


class Clients:
    """Whose requests are in work, by address, where they come through trusted proxies. Those that
    come directly are counted as connections."""

    def __init__(self, settings: Settings) -> None:
        self._proxies = Proxies(settings)
        self._is_logged = settings.log_addresses == "on"
        self._is_asked = bool(self._proxies) or self._is_logged
        self._most = settings.connections_per_address_max
        self._seats = Seats()

    def enter(self, scope: Scope) -> str:
        """Whom to tell `leave` at the end; "" for nobody. Sets `client` in the scope's state, where
        it may be logged. Raises LimitReached."""
        if not self._is_asked:
            return ""
        peer = (scope.get("client") or ("",))[0]
        address = self._proxies.caller_of(peer, scope["headers"])
        if self._is_logged:
            scope["state"]["client"] = address
        if not self._proxies.trusts(peer):
            return ""
        seat = holder(address)
        if not self._seats.take(seat, self._most):
            raise LimitReached(
                f"{self._most} requests from your address are in work, as many as this gateway "
                "takes of one address at once. Wait for some to end, or have "
                "GATEWAY_CONNECTIONS_PER_ADDRESS_MAX raised.",
                code="rate_limit_exceeded",
                type="requests",
                retry_after_seconds=1,
            )
        return seat

    def leave(self, seat: str) -> None:
        self._seats.leave(seat)
