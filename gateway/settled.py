"""The end of every exchange: the reservation resolved, the entry posted, counted and logged.

Exactly once, and not to be cancelled: a caller that leaves, or a shutdown, does not lose an entry.
"""

from __future__ import annotations

from types import TracebackType

from gateway.draft import Draft
from gateway.errors import TextBlocked
from gateway.logs import request_fields
from gateway.metrics import OTHER
from gateway.parts import Parts
from gateway.quota.admit import Refusal
from gateway.quota.ledger import AlreadyResolved
from gateway.quota.limit import Amounts
from gateway.quota.settle import release, settle
from gateway.usage.entry import Entry


class Settled:
    """`async with Settled(draft, parts)`: whatever the body does, its draft becomes one entry."""

    def __init__(self, draft: Draft, parts: Parts) -> None:
        self._draft = draft
        self._parts = parts

    async def __aenter__(self) -> None:
        self._parts.state.inflight += 1
        self._parts.meters.inflight.inc()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._parts.state.inflight -= 1
        self._parts.meters.inflight.dec()
        self._draft.mark()
        if isinstance(error, TextBlocked):
            self._draft.redactions = dict(error.counts)
        entry = self._draft.entry(error)
        if isinstance(error, Refusal):
            self._parts.meters.decided(entry.project, error.standings, granted=False)
        try:
            await self._post(entry)
        except AlreadyResolved:  # it outlived its lease: the sweep has booked it at its bound
            self._parts.log.warning("settled_too_late", request_id=entry.id)
        finally:
            self._draft.did("settle")
            self._count(entry)

    async def _post(self, entry: Entry) -> None:
        """Move reserved to used and append the entry; without a reservation, only append it."""
        parts, reservation = self._parts, self._draft.reservation
        now = parts.clock()
        if reservation is None:
            parts.journal.append(entry)
        elif entry.requests == 0:
            await release(parts.ledger, reservation, entry, now)
        else:
            used = Amounts(
                requests=entry.requests,
                input_tokens=entry.tokens.input,
                output_tokens=entry.tokens.output,
                cost_nano=entry.cost_nano,
            )
            if _overdrawn(used, reservation.bound):
                parts.meters.overdrawn.inc()
            await settle(parts.ledger, reservation, used, entry, now)

    def _count(self, entry: Entry) -> None:
        draft, meters = self._draft, self._parts.meters
        rules = draft.rules
        model = rules.model.name if rules else OTHER
        meters.record(entry, rules.project.name if rules else OTHER, model)
        for stage, seconds in draft.stage_seconds.items():
            meters.overhead.labels(stage).observe(seconds)
        if entry.redactions or "redact" in draft.stage_seconds:
            meters.redaction_duration.observe(draft.stage_seconds.get("redact", 0.0))
        if draft.sent_at is not None and rules:
            upstream = rules.upstream.name
            meters.upstream_requests.labels(upstream, model, draft.upstream_code).inc()
            meters.upstream_duration.labels(upstream, model).observe(draft.upstream_seconds())
        overhead_ms = sum(draft.stage_seconds.values()) * 1000
        self._parts.log.info("request", **request_fields(entry, overhead_ms))


def _overdrawn(used: Amounts, bound: Amounts) -> bool:
    return (
        used.input_tokens > bound.input_tokens
        or used.output_tokens > bound.output_tokens
        or used.cost_nano > bound.cost_nano
    )
