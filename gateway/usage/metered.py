"""What the meters count of an entry. Pure.

The gateway counts entries and `gateway usage reconcile --metrics` sums up the book by the same
function, so both have the same series.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.usage.entry import Entry, Tokens

OTHER = "other"
LABELS = {
    "requests": ("route", "model", "status", "outcome"),
    "tokens": ("organization", "project", "model", "source", "type"),
    "cost": ("organization", "project", "model", "source", "currency"),
}
"""The meters of entries, without `gateway_` and `_total`, and their labels."""

KINDS = Tokens._fields

Labels = tuple[str, ...]
Series = tuple[str, Labels]
"""A meter of LABELS, and the values of its labels."""


def where(entry: Entry) -> tuple[str, str]:
    """Route and model; one that no policy names is `other`."""
    return entry.endpoint or OTHER, entry.model if entry.upstream else OTHER


def requests_of(entry: Entry) -> Labels:
    """The labels of `requests`."""
    return (*where(entry), str(entry.status), str(entry.outcome))


def whose(entry: Entry) -> Labels:
    """What the labels of `tokens` and `cost` begin with; their last one is a kind or a currency."""
    model = where(entry)[1]
    return entry.organization or OTHER, entry.project or OTHER, model, str(entry.source)


def metered(entry: Entry, times: int = 1) -> Iterator[tuple[Series, int]]:
    """What an entry counts for, or the sum of `times` entries that are alike but for their figures.
    Cost in nano units."""
    yield ("requests", requests_of(entry)), times
    labels = whose(entry)
    for kind, tokens in zip(KINDS, entry.tokens, strict=True):
        if tokens:
            yield ("tokens", (*labels, kind)), tokens
    if entry.cost_nano:
        yield ("cost", (*labels, entry.currency)), entry.cost_nano
