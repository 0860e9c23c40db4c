"""What reserve.lua and look.lua are asked about claims, made once and kept while it stays the same.

The claims of a key and model are the same objects from request to request (policy/matches.py), and
so are their counters until a calendar window ends: their JSON is written once, and only what is
asked for is new.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, NamedTuple

from gateway.backends.redis_counters import (
    Place,
    budget_standing,
    place_before,
    place_of,
    rate_standing,
)
from gateway.backends.tables import micros
from gateway.json_text import write
from gateway.quota.ledger import Claim, Standing
from gateway.quota.limit import ORDER, Amounts, Mode
from gateway.quota.window import Span

KEPT_MAX = 4_000
"""Questions of an organization's claims; some three kilobytes each. Those of end users, and those
that a grant raised, are made anew for each request, and only pass through."""


class Question(NamedTuple):
    """`claims` are held, so that no others can have their identity. `text` is the JSON of the
    claims; `span` the begin of it that says when they are the right ones: for every `now` in
    since ≤ now < until. `seats` are what standings need of each claim: itself, the ticks of its
    bucket's unit (0: no bucket), the end of its window, and its measure's place in ORDER. `named`
    are all places by their keys, each with the amount of the first claim on it."""

    claims: Sequence[Claim]
    text: bytes
    span: str
    since: float
    until: float
    seats: Sequence[tuple[Claim, int, float | None, int]]
    named: Mapping[str, tuple[Place, int]]

    def standings(self, answer: Any, asked: Amounts, held: bool) -> tuple[Standing, ...]:
        """None where the answer has no states. `held`: these hold already what was asked."""
        states = answer.get("states")
        if not states:
            return ()
        by_order = asked.in_order()
        return tuple(
            [
                rate_standing(claim, unit, state, by_order[at], held)
                if unit
                else budget_standing(claim, end, state, by_order[at], held)
                for (claim, unit, end, at), state in zip(self.seats, states, strict=True)
            ]
        )


class Questions:
    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int], Question] = OrderedDict()

    def about(self, organization: str, claims: Sequence[Claim], now: float) -> Question:
        name = organization, id(claims)
        known = self._kept.get(name)
        if known is not None and known.since <= now < known.until:
            self._kept.move_to_end(name)
            return known
        known = self._kept[name] = _question(organization, claims, now)
        self._kept.move_to_end(name)
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return known


def _question(organization: str, claims: Sequence[Claim], now: float) -> Question:
    lines: list[dict[str, Any]] = []
    seats: list[tuple[Claim, int, float | None, int]] = []
    spans: list[Span] = []
    named: dict[str, tuple[Place, int]] = {}
    for claim in claims:
        place = place_of(claim, now)
        last = place_before(claim, place)
        for one in filter(None, (place, last)):
            named.setdefault(one.key(organization), (one, claim.limit.amount))
        line: dict[str, Any] = {
            "key": place.key(organization),
            "kind": place.kind,
            "measure": place.measure.value,
            "amount": str(claim.limit.amount),
            "unit": str(place.unit),
            "enforced": claim.limit.mode is Mode.ENFORCE,
        }
        if last is not None:
            line |= {"previous": last.key(organization), "rollover": str(claim.limit.rollover)}
        seats.append((claim, place.unit, place.span.end, ORDER[place.measure]))
        spans.append(place.span)
        lines.append(line)
    since = max((one.start for one in spans), default=0.0)
    ends = [one.end for one in spans if one.end is not None]
    until = min(ends, default=inf)
    span = f'"since":"{micros(since)}"'
    if ends:
        span += f',"until":"{micros(until)}"'
    return Question(claims, write(lines), span, since, until, seats, named)
