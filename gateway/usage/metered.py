"""What the meters count of an entry. Pure.

The gateway counts entries and `gateway usage reconcile --metrics` sums up the book by the same
function, so both have the same series.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from gateway.usage.entry import Entry, Tokens

OTHER = "other"
LABELS = {
    "requests": ("route", "model", "status", "outcome"),
    "tokens": ("organization", "project", "model", "source", "type"),
    "cost": ("organization", "project", "model", "source", "currency"),
}
"""The meters of entries, without `gateway_` and `_total`, and their labels."""

KINDS = tuple(one.name for one in fields(Tokens))

Series = tuple[str, tuple[str, ...]]
"""A meter of LABELS, and the values of its labels."""


def metered(entry: Entry, times: int = 1) -> Iterator[tuple[Series, int]]:
    """What an entry counts for, or the sum of `times` entries that are alike but for their figures.
    Cost in nano units. A model that no policy names is `other`."""
    model = entry.model if entry.upstream else OTHER
    status, outcome = str(entry.status), str(entry.outcome)
    yield ("requests", (entry.endpoint or OTHER, model, status, outcome)), times
    whose = (entry.organization or OTHER, entry.project or OTHER, model, str(entry.source))
    for kind in KINDS:
        if tokens := getattr(entry.tokens, kind):
            yield ("tokens", (*whose, kind)), tokens
    if entry.cost_nano:
        yield ("cost", (*whose, entry.currency)), entry.cost_nano
