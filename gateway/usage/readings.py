"""The meters of running gateways against the book. Pure.

Meters count since their process started; entries do not say which process that was. So the sum over
all processes is compared with what the book has since the first of them started.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite

from gateway.usage.entry import NANO, Outcome
from gateway.usage.metered import LABELS, Series
from gateway.usage.reconcile import Difference
from gateway.usage.report import iso

START = "gateway_start_time_seconds"
WAITING = ("gateway_journal_pending", "gateway_ledger_owed")
DROPPED = "gateway_entries_dropped_total"
SET_ASIDE = "gateway_journal_set_aside"
TOGETHER_SECONDS = 60
"""Processes that start within so long are taken to have started together."""

Sample = tuple[str, Mapping[str, str], float]
"""As /metrics shows it: name, labels, value."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What /metrics of one process said: since when it counts (unix seconds), its series in the
    units of the meters, how many entries wait, and how many never come to be in the book."""

    where: str
    start: float
    series: Mapping[Series, Decimal] = field(default_factory=dict)
    waiting: int = 0
    dropped: int = 0
    set_aside: int = 0

    @classmethod
    def of(cls, where: str, samples: Iterable[Sample]) -> Reading:
        """Raises ValueError where that is no gateway of this version."""
        meters = {f"gateway_{name}_total": name for name in LABELS}
        series: dict[Series, Decimal] = {}
        plain: dict[str, float] = {}
        for name, labels, value in samples:
            if not isfinite(value):
                continue
            if meter := meters.get(name):
                if set(labels) != set(LABELS[meter]):
                    raise ValueError(f"{name} has the labels {', '.join(labels)}")
                values = tuple(labels[label] for label in LABELS[meter])
                series[meter, values] = _decimal(value)
            elif not labels:
                plain[name] = value
        if START not in plain:
            raise ValueError(f"it has no {START}")
        waiting = sum(int(plain.get(name, 0)) for name in WAITING)
        dropped, set_aside = int(plain.get(DROPPED, 0)), int(plain.get(SET_ASIDE, 0))
        return cls(where, plain[START], series, waiting, dropped, set_aside)


def meter_differences(
    before: Sequence[Reading],
    booked: Mapping[Series, int],
    after: Sequence[Reading],
    tolerance: Decimal,
) -> list[Difference]:
    """Series whose sum over all processes is not what was booked since the first one's start.

    `before` was read first, then the book, then `after`: where nothing is wrong the book lies
    between both. Abandoned use may be of before the start, and so be less in the book.
    `tolerance` is for cost alone, which is a sum of floating-point numbers."""
    first, last = _sum(before), _sum(after)
    wrong = []
    for series in sorted({*first, *booked}):
        own, allowed = Decimal(booked.get(series, 0)), Decimal(0)
        if series[0] == "cost":
            own, allowed = own / NANO, tolerance
        low = first.get(series, Decimal(0))
        high = max(low, last.get(series, Decimal(0)))
        if own < low - allowed and not _is_abandoned(series):
            reason = _reason_of_less(series[0], after)
            wrong.append(Difference(_name(series), own, low, reason))
        elif own > high + allowed:
            wrong.append(Difference(_name(series), own, high, _reason_of_more(before)))
    return wrong


def not_compared(readings: Sequence[Reading]) -> list[str]:
    """Sentences about what the meters of these processes cannot tell."""
    told = [
        f"The meters count since {iso(_first(readings))}; nothing before is compared with them."
    ]
    if late := _late(readings):
        told.append(
            f"{', '.join(late)} started later than that: what other processes counted in between "
            "is gone with them, and shows as a difference."
        )
    if any(_is_abandoned(series) for one in readings for series in one.series):
        told.append(
            "Abandoned use may be of before the start: that the meters have more of it is no "
            "difference."
        )
    return told


def _decimal(value: float) -> Decimal:
    return Decimal(int(value)) if value.is_integer() else Decimal(repr(value))


def _sum(readings: Iterable[Reading]) -> dict[Series, Decimal]:
    total: dict[Series, Decimal] = {}
    for reading in readings:
        for series, value in reading.series.items():
            total[series] = total.get(series, Decimal(0)) + value
    return total


def _first(readings: Sequence[Reading]) -> float:
    return min(one.start for one in readings)


def _late(readings: Sequence[Reading]) -> list[str]:
    together = _first(readings) + TOGETHER_SECONDS
    return [one.where for one in readings if one.start > together]


def _labels(series: Series) -> dict[str, str]:
    return dict(zip(LABELS[series[0]], series[1], strict=True))


def _is_abandoned(series: Series) -> bool:
    labels = _labels(series)
    return Outcome.ABANDONED.value in (labels.get("source"), labels.get("outcome"))


def _name(series: Series) -> str:
    labels = ", ".join(f'{name}="{value}"' for name, value in _labels(series).items())
    return f"gateway_{series[0]}_total{{{labels}}}"


def _reason_of_less(meter: str, readings: Sequence[Reading]) -> str:
    counts = {
        "entries are on their way to the database": sum(one.waiting for one in readings),
        "refusals were only logged": sum(one.dropped for one in readings) * (meter == "requests"),
        "entries were refused by the database": max(one.set_aside for one in readings),
    }
    told = [f"{count} {words}" for words, count in counts.items() if count]
    return "; ".join(told) or (
        "the meters have what the book has not: a request that was never written, or one that was "
        "booked as abandoned because Redis did not hear of its end in time"
    )


def _reason_of_more(readings: Sequence[Reading]) -> str:
    if late := _late(readings):
        return f"counted by a process that is gone: {', '.join(late)} started later"
    return "the book has what the meters have not: of a process that is gone, or is not named here"
