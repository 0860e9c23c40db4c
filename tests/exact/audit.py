"""What the upstream says that it served, held against what the book and the counters say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.usage.entry import Price, Tokens
from plant import GatewayProcess, Plant, until

Row = Mapping[str, Any]
FIGURES = {
    "requests": ("requests",),
    "tokens": ("input_tokens", "output_tokens"),
    "input_tokens": ("input_tokens",),
    "output_tokens": ("output_tokens",),
    "money": ("cost_nano",),
}
"""What of an entry each measure counts."""


@dataclass(frozen=True, slots=True)
class Audit:
    """`lost`: served, and not in the book. `short`: booked with fewer tokens than were served,
    though the caller stayed. `doubled`: in the book twice, or counters or kept sums that are not
    the sum of their entries. `open`: reservations that are left. `unsent`: booked as abandoned,
    though the upstream never had it. The rest are ids, counters and sums, in words."""

    served: int
    entries: int
    lost: Sequence[str]
    short: Sequence[str]
    doubled: Sequence[str]
    open: int
    unsent: int


def settled(plant: Plant, gateway: GatewayProcess, seconds: float) -> None:
    """Return when no answer is in work, nothing is reserved and nothing waits to be written.

    Raises TimeoutError."""
    until(lambda: plant.upstream.answers_open() == 0, "the upstream's answers are over")
    until(lambda: _is_settled(gateway), "all is settled and written", seconds)


def entries_of(gateway: GatewayProcess) -> list[dict[str, Any]]:
    """All that is in the book."""
    rows: list[dict[str, Any]] = json.loads(gateway.command("usage", "--json", "--since", "1d"))
    return rows


def audit(plant: Plant, gateway: GatewayProcess) -> Audit:
    """After `settled`."""
    served = {note["request_id"]: note for note in plant.upstream.served()}
    rows = entries_of(gateway)
    book = {row["id"]: row for row in rows if row["requests"]}
    _, counters = gateway.counters()
    return Audit(
        served=len(served),
        entries=len(book),
        lost=sorted(served.keys() - book.keys()),
        short=sorted(id for id in served.keys() & book.keys() if _is_short(book[id], served[id])),
        doubled=[
            *_twice(rows),
            *filter(None, (_differs(one, rows) for one in counters)),
            *_wrong_sums(gateway),
        ],
        open=sum(one["reserved"] for one in counters) + gateway.metric("gateway_journal_pending"),
        unsent=sum(row["outcome"] == "abandoned" for id, row in book.items() if id not in served),
    )


def served_by(plant: Plant, model: str, price: Price) -> dict[str, int]:
    """The upstream's own count of one model, by measure."""
    notes = [note for note in plant.upstream.served() if note["model"] == model]
    used = [Tokens(input=n["prompt_tokens"], output=n["completion_tokens"]) for n in notes]
    return {
        "requests": len(used),
        "tokens": sum(tokens.input + tokens.output for tokens in used),
        "money": sum(price.cost_nano(tokens) for tokens in used),
    }


def booked_by(rows: Sequence[Row], model: str) -> dict[str, int]:
    """The same, as the book has it."""
    ours = [row for row in rows if row["model"] == model]
    return {measure: _sum(ours, measure) for measure in ("requests", "tokens", "money")}


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows of the same columns, aligned."""
    columns = list(rows[0])
    cells = [columns, *([str(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(columns))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in cells
    )


def _is_settled(gateway: GatewayProcess) -> bool:
    try:
        head, counters = gateway.counters()
    except OSError:
        return False
    waiting = head["pending"] + head["owed"]
    return not waiting and not any(one["reserved"] for one in counters)


def _is_short(row: Row, note: Row) -> bool:
    if row["outcome"] == "client_left":
        return False
    told = (note["prompt_tokens"], note["completion_tokens"])
    return row["input_tokens"] < told[0] or row["output_tokens"] < told[1]


def _twice(rows: Sequence[Row]) -> list[str]:
    return [id for id, count in Counter(row["id"] for row in rows).items() if count > 1]


def _wrong_sums(gateway: GatewayProcess) -> list[str]:
    """A command that finds some exits with 1, and is raised for."""
    told = json.loads(gateway.command("usage", "sums", "--json"))
    assert told["days"] or not entries_of(gateway)
    return [str(one) for one in told["differences"]]


def _differs(counter: Row, rows: Sequence[Row]) -> str:
    subject, since, until_ = counter["subject"], counter["since"], counter["until"]
    ours = [
        row
        for row in rows
        if all(row[name] == value for name, value in subject.items())
        and since <= row["time_unix"]
        and (until_ is None or row["time_unix"] < until_)
    ]
    booked = _sum(ours, counter["measure"])
    if booked == counter["used"]:
        return ""
    return f"{subject} {counter['measure']}: counter {counter['used']}, entries {booked}"


def _sum(rows: Sequence[Row], measure: str) -> int:
    return sum(row[name] for row in rows for name in FIGURES[measure])
