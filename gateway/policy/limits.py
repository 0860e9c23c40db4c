"""Limits: what is right inside one list of them, and among all that hold for the same requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from gateway.policy.fields import Row
from gateway.policy.problems import Findings, Place, quoted, suggestion
from gateway.policy.words import AMOUNT, Money
from gateway.quota.limit import Level, Limit, Measure, Mode, Window
from gateway.quota.window import BUCKET_SECONDS

ORGANIZATION_LEVELS = (Level.ORGANIZATION, Level.PROJECT, Level.KEY, Level.END_USER)
PROJECT_LEVELS = (Level.PROJECT, Level.KEY, Level.END_USER)
"""What `each` may say in a project or plan. The first level counts where `each` is left out."""


_CLAMPED = (Measure.TOKENS, Measure.OUTPUT_TOKENS, Measure.MONEY)


class Calendar(NamedTuple):
    """Where an organization's days, months and years begin."""

    zone: str
    month_starts_on: int
    year_starts_in: int


def build_limit(row: Row, levels: Sequence[Level], calendar: Calendar) -> Limit:
    """The limit of a row that was found right."""
    return Limit(
        name=row["name"],
        measure=row["measure"],
        amount=_units(row["amount"]),
        window=row.get("per", Window.NONE),
        level=row.get("each", levels[0]),
        zone=calendar.zone,
        model=row.get("model"),
        mode=row["mode"],
        month_starts_on=calendar.month_starts_on,
        year_starts_in=calendar.year_starts_in,
        rollover=_units(row.get("rollover", 0)),
        warn_at=tuple(share.value for share in row.get("warn_at", ())),
        clamp=row["clamp"],
    )


def _units(amount: int | Money) -> int:
    return amount.nano if isinstance(amount, Money) else amount


def check_list(
    limits: Iterable[Row], levels: Sequence[Level], models: Iterable[str], findings: Findings
) -> None:
    """One list: each limit by itself, and no two that count and do the same."""
    known = tuple(models)
    every = tuple(limits)
    seen: dict[tuple[object, ...], Place] = {}
    for limit in every:
        _check_window(limit, findings)
        _check_amount("amount", limit, findings)
        _check_amount("rollover", limit, findings)
        _check_nothing(limit, findings)
        _check_extras(limit, findings)
        _check_whom(limit, levels, known, findings)
        counts = (
            limit.get("each", levels[0]),
            limit.get("measure"),
            limit.get("per"),
            limit.get("model"),
            limit.get("mode"),
        )
        first = seen.setdefault(counts, limit.place)
        if first != limit.place and _window_known(limit):
            findings.error(
                limit.place,
                f"this limit counts the same as the one at {first.seen_from(limit.place)} "
                "(each, measure, per, model, mode); keep the smaller",
            )
    check_names(every, findings)


def _window_known(limit: Row) -> bool:
    return limit.get("per") is not None or limit.get("measure") is Measure.CONCURRENCY


def _check_window(limit: Row, findings: Findings) -> None:
    measure = limit.get("measure")
    if measure is Measure.CONCURRENCY and limit.wrote("per"):
        findings.error(limit.at("per"), "concurrency is what runs at the same time; remove `per`")
    if measure not in (None, Measure.CONCURRENCY) and not limit.wrote("per"):
        findings.error(
            limit.place, "the limit lacks `per`; write one of " + ", ".join(w.value for w in Window)
        )


def _check_amount(field: str, limit: Row, findings: Findings) -> None:
    measure, amount = limit.get("measure"), limit.get(field)
    if measure is None or amount is None:
        return
    if isinstance(amount, Money) and measure is not Measure.MONEY:
        findings.error(
            limit.at(field),
            f"the {field} of {measure} cannot be money; write a whole number, such as 100_000, or "
            "`measure: money`",
        )
    if not isinstance(amount, Money) and measure is Measure.MONEY:
        findings.error(
            limit.at(field),
            f"money needs its currency; write it as in `{field}: {amount} USD`",
        )


def _check_nothing(limit: Row, findings: Findings) -> None:
    """Only a prepaid balance may be nothing at first."""
    amount, measure, per = limit.get("amount"), limit.get("measure"), limit.get("per")
    if amount is None or _units(amount) or (limit.wrote("per") and per is None):
        return
    if per is not Window.NONE or measure is Measure.CONCURRENCY:
        findings.error(
            limit.at("amount"),
            "`amount` cannot be 0, but for a prepaid limit (`per: none`), whose balance is made of "
            f"grants; write {AMOUNT}",
        )


def _check_extras(limit: Row, findings: Findings) -> None:
    """Fields that only some limits can have."""
    measure, per = limit.get("measure"), limit.get("per")
    if measure is None or (per is None and measure is not Measure.CONCURRENCY):
        return
    is_budget = measure is not Measure.CONCURRENCY and per not in BUCKET_SECONDS
    if limit.wrote("rollover") and (not is_budget or per is Window.NONE):
        findings.error(
            limit.at("rollover"),
            "only a window of the calendar leaves something to the next one; remove `rollover`, or "
            "let `per` be day, week, month, quarter or year",
        )
    if limit.wrote("warn_at") and not is_budget:
        findings.error(
            limit.at("warn_at"),
            "only a budget is used up little by little; remove `warn_at`, or write `per: none` or "
            "a window of a day or longer",
        )
    if limit.get("clamp") and (measure not in _CLAMPED or limit.get("mode") is not Mode.ENFORCE):
        findings.error(
            limit.at("clamp"),
            "`clamp` makes an output cap smaller instead of refusing; remove it, or write "
            f"`mode: enforce` and one of the measures {', '.join(_CLAMPED)}",
        )
    for last, share in pairwise(limit.get("warn_at", ())):
        if share.value <= last.value:
            findings.error(
                share.place,
                f"the shares of `warn_at` must rise, but {share.value:g} comes after "
                f"{last.value:g}; write them in order, each once",
            )


def _check_whom(
    limit: Row, levels: Sequence[Level], models: Sequence[str], findings: Findings
) -> None:
    if (level := limit.get("each")) is not None and level not in levels:
        findings.error(
            limit.at("each"),
            f"a limit of a project or plan cannot count each {level}; move it to the "
            f"organization, or write one of {', '.join(levels)}",
        )
    if (model := limit.get("model")) is not None and model not in models:
        findings.error(
            limit.at("model"), f"no model is called {quoted(model)}; {suggestion(model, models)}"
        )


def check_names(limits: Iterable[Row], findings: Findings) -> None:
    """Limits that hold for the same requests have names of their own, as a 429 names one."""
    seen: dict[str, Place] = {}
    for limit in limits:
        if (name := limit.get("name")) is None:
            continue
        first = seen.setdefault(name, limit.place)
        if first != limit.place:
            findings.error(
                limit.at("name"),
                f"{quoted(name)} is also the name of the limit at "
                f"{first.seen_from(limit.place)}, and both hold for the same requests; "
                "give it a name of its own",
            )
