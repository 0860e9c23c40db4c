"""Use that Redis has no reservation of, booked once: its data were lost, or it was away when the
request was admitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.backends.redis_client import Client
from gateway.backends.redis_counters import by_measure, place_of
from gateway.backends.redis_debts import Debt
from gateway.backends.redis_keys import ORGANIZATIONS, key_of
from gateway.backends.redis_rebuild import Book, Rebuild, counter_line, entries_of, needs_book
from gateway.backends.redis_scripts import Scripts
from gateway.backends.tables import micros
from gateway.quota.ledger import Reservation


class Charges:
    """All raise one of AWAY and errors.Unavailable."""

    def __init__(
        self,
        client: Client,
        scripts: Scripts,
        rebuild: Rebuild,
        book: Book,
        encode: Callable[[Any], str],
    ) -> None:
        self._client = client
        self._scripts = scripts
        self._rebuild = rebuild
        self._book = book
        self._encode = encode

    async def is_posted(self, reservation: Reservation) -> bool:
        """The stream first: what leaves it meanwhile, the book knows then."""
        async for _, row in entries_of(self._client, organization_of(reservation)):
            if row["id"] == reservation.id:
                return True
        return await self._book.knows(reservation.id)

    async def charge(self, debt: Debt, now: float, use_now: bool) -> None:
        """Into the counters that there are; those that are read later find the entry. `now` is what
        Redis' clock shows, or, with `use_now`, what rules instead. A debt without a record is
        none."""
        record, claims = debt.record, debt.reservation.claims
        if record is None:
            return
        organization = organization_of(debt.reservation)
        timed = {"now": str(micros(now))} if use_now else {}
        await self._client.sadd(ORGANIZATIONS, organization)
        await self._make_full_buckets(debt, micros(now), timed.get("now"))
        places = {place_of(claim, record.time) for claim in claims}
        request = timed | {
            "id": record.id,
            "used": by_measure(debt.used),
            "entry": self._encode(record),
            "time": str(micros(record.time)),
            "counters": [counter_line(organization, place, 0) for place in places],
        }
        await self._scripts.run("charge", organization, request)

    async def _make_full_buckets(self, debt: Debt, at: int, now: str | None) -> None:
        """Those that nobody would look for in the book any more."""
        organization = organization_of(debt.reservation)
        born = await self._client.get(key_of(organization, "born"))
        claims = [(claim, place_of(claim, debt.now)) for claim in debt.reservation.claims]
        full = {
            place: claim.limit.amount
            for claim, place in claims
            if place.kind == "rate" and born and not needs_book(place, at, int(born))
        }
        if full:
            lines = [
                counter_line(organization, place, amount) | {"from_book": False}
                for place, amount in full.items()
            ]
            await self._rebuild.read(organization, list(full), lines, now)


def organization_of(reservation: Reservation) -> str:
    return dict(reservation.whose)["organization"]
