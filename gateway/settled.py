"""The end of every exchange: the reservation resolved, the entry posted, counted and logged.

Exactly once, and not to be cancelled: a caller that leaves, or a shutdown, does not lose an entry.
"""

from __future__ import annotations

from gateway.draft import Draft
from gateway.errors import TextBlocked, Unauthenticated
from gateway.forward import Headers
from gateway.logs.log import request_fields
from gateway.parts import Parts
from gateway.quota.admit import Refusal, warnings_of
from gateway.quota.ledger import AlreadyResolved, Claim, Standings
from gateway.quota.limit import Amounts
from gateway.quota.settle import to_the_end
from gateway.usage.entry import Entry


class Settled:
    """`begin`, and whatever comes then, `end`: the draft becomes one entry."""

    __slots__ = ("_draft", "_parts")

    def __init__(self, draft: Draft, parts: Parts) -> None:
        self._draft = draft
        self._parts = parts

    def begin(self) -> None:
        self._parts.state.inflight += 1

    async def end(self, error: BaseException | None) -> None:
        """The exchange is over, with `error` or well."""
        draft, parts = self._draft, self._parts
        state = parts.state
        state.inflight -= 1
        if draft.is_reserved and draft.reservation is not None:
            state.reserved -= 1
        if draft.seat:
            state.seats.leave(draft.seat)
        draft.mark()
        if error is not None:
            self._learn(error)
        entry = draft.entry(error)
        if parts.ledger.settles_at_once:  # nothing can come in between
            await self._end(entry)
        else:
            await to_the_end(self._end(entry))

    def _learn(self, error: BaseException) -> None:
        """What an error tells of its request."""
        if isinstance(error, TextBlocked) and error.counts:
            self._draft.redactions = dict(error.counts)
        if isinstance(error, Unauthenticated):
            self._draft.key = error.key
        if isinstance(error, Refusal):
            meters = self._parts.meters
            meters.later(meters.limits.decided, error.standings, False)

    async def _end(self, entry: Entry) -> None:
        used, draft = _used(entry), self._draft
        try:
            standings = await self._post(entry, used)
        except AlreadyResolved:  # it outlived its lease: the sweep has booked it at its bound
            draft.did("settle")
            self._parts.log.warning("settled_too_late", request_id=entry.id)
            return
        draft.did("settle")
        self._count(entry)
        if standings is not None and draft.reservation is not None:
            self._show(used, draft.reservation.claims, standings)

    async def _post(self, entry: Entry, used: Amounts) -> Standings | None:
        """Move reserved to used and append the entry; without a reservation, only append it.

        How the limits stand after it, where there was one."""
        parts, draft, reservation = self._parts, self._draft, self._draft.reservation
        now = parts.clock()
        if reservation is None or (entry.requests == 0 and not draft.is_reserved):
            _append_costless(entry, parts)
            return None
        if entry.requests and _overdrawn(used, reservation.bound):
            parts.meters.overdrawn.inc()
        if not draft.is_reserved:
            parts.ledger.owe(reservation, used, entry, now)
            return None
        if entry.requests == 0:
            return await parts.ledger.release(reservation, entry, now)
        return await parts.ledger.settle(reservation, used, entry, now)

    def _show(self, used: Amounts, claims: tuple[Claim, ...], standings: Standings) -> None:
        """How full the limits of this request are now, and who is near the end of one."""
        meters = self._parts.meters
        meters.last(claims, meters.limits.stand, standings)
        for claim in claims:
            if claim.limit.warn_at:
                self._warn(used, standings)
                return

    def _warn(self, used: Amounts, standings: Standings) -> None:
        parts = self._parts
        for crossing in warnings_of(standings(), used):
            limit, subject = crossing.standing.claim.limit, dict(crossing.standing.claim.subject)
            subject.pop("end_user", None)  # the caller's own text
            share = f"{crossing.share:g}"
            parts.meters.limit_warnings.labels(
                subject.get("organization", ""), limit.name, share
            ).inc()
            parts.log.warning(
                "limit_nearly_used",
                limit=limit.name,
                share=crossing.share,
                amount=crossing.standing.amount,
                used=crossing.standing.used,
                **subject,
            )

    def _count(self, entry: Entry) -> None:
        draft, parts = self._draft, self._parts
        parts.traces.ended(draft, entry)
        stages, meters = draft.stage_seconds, parts.meters
        upstream = draft.upstream_code, draft.upstream_seconds()
        meters.later(meters.exchanged, entry, stages, *upstream)
        overhead_ms = sum(stages.values()) * 1000
        parts.log.info("request", **request_fields(entry, overhead_ms, draft.call.client))


def record_costless(entry: Entry, parts: Parts, headers: Headers = (), client: str = "") -> None:
    """Post, count and log a request that was no exchange: models, unknown URLs, refused heads."""
    _append_costless(entry, parts)
    parts.traces.costless(entry, headers)
    parts.meters.record(entry)
    parts.log.info("request", **request_fields(entry, entry.duration_ms, client))


def _append_costless(entry: Entry, parts: Parts) -> None:
    """What cost nothing is not worth memory without bound: with a full journal it is only logged
    and counted."""
    if parts.journal.is_full():
        parts.meters.entries_dropped.inc()
    else:
        parts.journal.append(entry)


def _used(entry: Entry) -> Amounts:
    tokens = entry.tokens
    return Amounts(entry.requests, tokens.input, tokens.output, entry.cost_nano)


def _overdrawn(used: Amounts, bound: Amounts) -> bool:
    return (
        used.input_tokens > bound.input_tokens
        or used.output_tokens > bound.output_tokens
        or used.cost_nano > bound.cost_nano
    )
