"""The versions of a model's price: in order, each from a moment on, all in one currency."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.policy.fields import Row
from gateway.policy.policy import PriceVersion
from gateway.policy.problems import Findings
from gateway.usage.entry import Price


def versions_of(model: Row) -> tuple[Row, ...]:
    """The rows of its price that are usable, in the order in which they were written."""
    return tuple(version.value for version in model.get("price", ()))


def build_prices(model: Row) -> tuple[PriceVersion, ...]:
    """Of a model that was found right. The first holds from the beginning of time."""
    return tuple(PriceVersion(row.get("from", 0.0), _price(row)) for row in versions_of(model))


def check_prices(model: Row, writes_output: bool, findings: Findings) -> None:
    """`writes_output`: the model serves more than embeddings."""
    since, currency = 0.0, None
    for index, version in enumerate(versions_of(model)):
        if writes_output and not version.wrote("output"):
            findings.error(
                version.place,
                "`price` lacks `output`: only a model of embeddings alone may leave it out; write "
                "what a million output tokens cost",
            )
        since = _check_from(version, index == 0, since, findings)
        currency = currency or version.get("currency")
        if version.get("currency") not in (None, currency):
            findings.error(
                version.at("currency"),
                f"this version of the price is in {version['currency']}, but the first is in "
                f"{currency}; write it in {currency}, or give the model another name",
            )


def _check_from(version: Row, is_first: bool, since: float, findings: Findings) -> float:
    """When the version begins, or the one before it if nobody can tell."""
    if is_first:
        if version.wrote("from"):
            findings.error(
                version.at("from"),
                "the first price holds from the beginning; remove `from`, or write the price that "
                "held until then before it",
            )
        return since
    if not version.wrote("from"):
        findings.error(
            version.place,
            "this version of the price lacks `from`; write when it begins, as in "
            "`from: 2026-12-01`",
        )
    begins: float = version.get("from", since)
    if version.get("from") is not None and begins <= since:
        findings.error(
            version.at("from"),
            "this version of the price does not begin after the one before it "
            f"({datetime.fromtimestamp(since, UTC):%Y-%m-%dT%H:%M:%SZ}); write them in the order "
            "of time",
        )
    return max(begins, since)


def _price(row: Row) -> Price:
    output = row.get("output", 0)  # none only for embeddings
    return Price(
        input=row["input"],
        cached_input=row.get("cached_input", row["input"]),
        output=output,
        reasoning=row.get("reasoning", output),
        audio_input=row.get("audio_input", row["input"]),
        audio_output=row.get("audio_output", output),
    )
