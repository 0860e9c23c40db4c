"""One truth: counters against the book, and the book against a provider's costs. Pure.

Every difference is named: what, ours, theirs, and what is likely the reason.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal

from gateway.usage.costs import Cost
from gateway.usage.entry import NANO
from gateway.usage.report import iso

BORDER_SECONDS = 300
"""So near the border of a bucket, the provider may have booked a request into the other one."""

_DATED = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{4})$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Difference:
    """`ours` and `theirs` in the unit named in `what`; of a counter, `theirs` is the counter."""

    what: str
    ours: Decimal
    theirs: Decimal
    reason: str

    @property
    def difference(self) -> Decimal:
        return self.ours - self.theirs


@dataclass(frozen=True, slots=True)
class Counter:
    """A calendar counter as /counters shows it; `subject` is by field of an entry, `measure` and
    `window` as a policy names them, times in unix seconds (None: no end)."""

    subject: tuple[tuple[str, str], ...]
    measure: str
    window: str
    since: float
    until: float | None
    used: int
    reserved: int

    @property
    def identity(self) -> tuple[object, ...]:
        return self.subject, self.measure, self.window, self.since, self.until

    def __str__(self) -> str:
        who = " ".join(f"{name}={value}" for name, value in self.subject)
        of = "" if self.window == "none" else f" of the {self.window} from {iso(self.since)}"
        return f"{self.measure}{of}, {who}"


@dataclass(frozen=True, slots=True)
class Spent:
    """Σ of the entries that a counter counts: what it is, how much of that are corrections."""

    used: int
    corrected: int = 0


def counter_differences(
    before: Sequence[Counter],
    spent: Sequence[Spent],
    after: Mapping[tuple[object, ...], Counter],
    pending: int,
) -> list[Difference]:
    """Counters whose sum of entries they never were.

    `before` was taken first; then all that it had in it was written, but for `pending` entries;
    then the book was read, and `after` was taken. So where nothing is wrong the sum lies between
    both, also while requests go on; where none do, both are the same."""
    wrong = []
    for first, booked in zip(before, spent, strict=True):
        last = after.get(first.identity, first)
        if first.used <= booked.used <= max(first.used, last.used):
            continue
        near = first.used if booked.used < first.used else last.used
        reason = _reason_of_counter(booked, near, pending)
        wrong.append(Difference(str(first), Decimal(booked.used), Decimal(near), reason))
    return wrong


def _reason_of_counter(booked: Spent, counter: int, pending: int) -> str:
    if booked.corrected and booked.used - booked.corrected == counter:
        return "corrections were posted: it is read again with the next request"
    if pending and booked.used < counter:
        return f"{pending} entries are on their way to the database"
    if booked.used < counter:
        return "the counter has what the book has not: a request that was never written"
    return "the book has what the counter has not: entries of another process, or from elsewhere"


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where costs are compared: one span of time, model, project and currency."""

    start: float
    end: float
    model: str
    project: str
    currency: str

    def __str__(self) -> str:
        of = f" project {self.project}" if self.project else ""
        return f"{self.currency} {iso(self.start)[:10]} {self.model or 'no model'}{of}"


@dataclass(frozen=True, slots=True)
class Ours:
    """What the book has of one bucket: its cost, and entries that may explain a difference."""

    cost_nano: int = 0
    entries: int = 0
    estimated: int = 0
    counted: int = 0
    abandoned: int = 0
    border: int = 0
    corrections: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    def plus(self, other: Ours) -> Ours:
        names = [one.name for one in fields(Ours)]
        return Ours(*(getattr(self, name) + getattr(other, name) for name in names))


@dataclass(slots=True)
class _Theirs:
    amount: Decimal = Decimal(0)
    kinds: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))


def plain_name(model: str) -> str:
    """The name without the date of its version: providers name either."""
    return _DATED.sub("", model.lower())


def cost_differences(
    costs: Iterable[Cost],
    ours: Mapping[Bucket, Ours],
    project_of: Callable[[str], str],
    tolerance: Decimal,
) -> list[Difference]:
    """Buckets whose costs differ by more than `tolerance` (units of the currency).

    The models of `ours` are plain names. `project_of` maps the provider's projects to ours; empty
    is all of them together."""
    theirs: dict[Bucket, _Theirs] = defaultdict(_Theirs)
    for cost in costs:
        project = project_of(cost.project)
        where = Bucket(cost.start, cost.end, plain_name(cost.model), project, cost.currency)
        theirs[where].amount += cost.amount
        theirs[where].kinds[cost.kind or "other"] += cost.amount
    wrong = []
    for where in sorted({*theirs, *ours}, key=lambda b: (b.start, b.model, b.project, b.currency)):
        mine, other = ours.get(where), theirs.get(where)
        own = Decimal(mine.cost_nano if mine else 0) / NANO
        their = other.amount if other else Decimal(0)
        if abs(own - their) > tolerance:
            wrong.append(Difference(str(where), own, their, _reasons(where, mine, other, ours)))
    return wrong


def _reasons(
    where: Bucket, mine: Ours | None, other: _Theirs | None, ours: Mapping[Bucket, Ours]
) -> str:
    told = []
    if mine is None:
        same = {b.currency for b in ours if b.model == where.model and b.start == where.start}
        told.append(
            f"the book has it in {', '.join(sorted(same))}" if same else
            "no entry of this model: it is not used through the gateway, or has another name there"
        )  # fmt: skip
    elif other is None:
        told.append("the export has no such line: another name, or not charged")
    if mine is not None:
        told += [
            f"{count} {words}"
            for count, words in (
                (mine.abandoned, "abandoned entries, booked at their bound"),
                (mine.estimated - mine.abandoned, "estimated entries"),
                (mine.counted, "entries counted by our tokenizer"),
                (mine.border, "entries near the bucket's border"),
                (mine.corrections, "corrections"),
            )
            if count > 0
        ]
        told.append(
            f"our tokens: {mine.input_tokens} input, {mine.cached_input_tokens} of them cached, "
            f"{mine.output_tokens} output"
        )
    if other is not None:
        parts = ", ".join(f"{kind} {amount:f}" for kind, amount in sorted(other.kinds.items()))
        told.append(f"their line items: {parts}")
    if mine is not None and other is not None and len(told) == 2:
        told.insert(0, "perhaps the price: see `gateway usage reprice`")
    return "; ".join(told)
