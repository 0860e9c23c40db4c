"""Which limits still need the entries of a time, so that these must not be pruned. Pure.

A counter that is not in memory is read from the book. What a limit counts is in the kept sums by
day (UTC) where it looks at no end user, and at no model of one key, and where its window starts at
a midnight of UTC, as prepaid ones do. Any other needs the entries themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.policy.match import LOOKS_AT
from gateway.policy.policy import Policy
from gateway.quota.limit import Limit, Measure
from gateway.quota.window import BUCKET_SECONDS, before, span_of
from gateway.usage.rollup import Span, plan

DAY_SECONDS = 86400


@dataclass(frozen=True, slots=True)
class Need:
    """A limit needs all entries since then (unix seconds; 0: all that there ever were)."""

    since: float
    limit: str
    organization: str


def first_need(policy: Policy, now: float) -> Need | None:
    """The one that reaches back the furthest; None where no limit needs entries."""
    return min(_needs(policy, now), key=lambda need: need.since, default=None)


def _needs(policy: Policy, now: float) -> Iterator[Need]:
    for organization in policy.organizations.values():
        limits = set(organization.limits)
        for project in organization.projects.values():
            limits.update(project.limits)
        for limit in limits:
            since = _since(limit, now)
            if since is not None:
                yield Need(since, limit.name, organization.name)


def _since(limit: Limit, now: float) -> float | None:
    """When the oldest window starts that the limit's counters can be of; None where the kept sums
    have all of it."""
    if limit.measure is Measure.CONCURRENCY or limit.window in BUCKET_SECONDS:
        return None
    moved = (limit.month_starts_on, limit.year_starts_in)
    span = span_of(limit.window, limit.zone, now, *moved)
    starts = [span.start]
    if limit.rollover:
        starts.append(before(limit.window, limit.zone, span, *moved).start)
    looked_at = [*LOOKS_AT[limit.level], *(["model"] if limit.model else [])]
    is_summed = plan(looked_at, Span.MONTH, 0, None).view is not None
    if is_summed and not any(start % DAY_SECONDS for start in starts):
        return None
    return min(starts)
