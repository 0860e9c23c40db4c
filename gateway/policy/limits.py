"""Limits: what is right inside one list of them, and among all that hold for the same requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.policy.fields import Row
from gateway.policy.problems import Findings, Place, quoted, suggestion
from gateway.policy.words import Money
from gateway.quota.limit import Level, Limit, Measure, Window

ORGANIZATION_LEVELS = (Level.ORGANIZATION, Level.PROJECT, Level.KEY, Level.END_USER)
PROJECT_LEVELS = (Level.PROJECT, Level.KEY, Level.END_USER)
"""What `each` may say in a project or plan. The first level counts where `each` is left out."""


def build_limit(row: Row, levels: Sequence[Level], zone: str) -> Limit:
    """The limit of a row that was found right."""
    amount = row["amount"]
    return Limit(
        name=row["name"],
        measure=row["measure"],
        amount=amount.nano if isinstance(amount, Money) else amount,
        window=row.get("per", Window.NONE),
        level=row.get("each", levels[0]),
        zone=zone,
        model=row.get("model"),
        mode=row["mode"],
    )


def check_list(
    limits: Iterable[Row], levels: Sequence[Level], models: Iterable[str], findings: Findings
) -> None:
    """One list: each limit by itself, and no two that count and do the same."""
    known = tuple(models)
    every = tuple(limits)
    seen: dict[tuple[object, ...], Place] = {}
    for limit in every:
        _check_window(limit, findings)
        _check_amount(limit, findings)
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


def _check_amount(limit: Row, findings: Findings) -> None:
    measure, amount = limit.get("measure"), limit.get("amount")
    if measure is None or amount is None:
        return
    if isinstance(amount, Money) and measure is not Measure.MONEY:
        findings.error(
            limit.at("amount"),
            f"the amount of {measure} cannot be money; write a whole number, such as 100_000, or "
            "`measure: money`",
        )
    if not isinstance(amount, Money) and measure is Measure.MONEY:
        findings.error(
            limit.at("amount"),
            f"an amount of money needs its currency; write it as in {amount} USD",
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
