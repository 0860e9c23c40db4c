"""What a limit is: a measure, an amount, a window and whom it counts. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Measure(StrEnum):
    REQUESTS = "requests"
    TOKENS = "tokens"  # input + output
    INPUT_TOKENS = "input_tokens"
    OUTPUT_TOKENS = "output_tokens"
    MONEY = "money"
    CONCURRENCY = "concurrency"


class Window(StrEnum):
    """Second, minute and hour are token buckets; the rest are calendar windows; none is prepaid."""

    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    NONE = "none"


class Mode(StrEnum):
    ENFORCE = "enforce"
    OBSERVE = "observe"  # counted and reported, never a refusal, and the caller is not told
    SOFT = "soft"  # as observe, but the caller is told: x-gateway-limit-exceeded


class Level(StrEnum):
    """Whose use a limit counts: one counter for each of these."""

    ORGANIZATION = "organization"
    PROJECT = "project"
    KEY = "key"
    END_USER = "end_user"


@dataclass(frozen=True, slots=True)
class Limit:
    """One rule. `amount` is in the measure's unit: requests, tokens, nano units of the
    organization's currency (10⁻⁹), or requests at the same time.

    `month_starts_on` (1-28) and `year_starts_in` (1-12) move calendar months, quarters and years.
    `rollover` is the most of what the last window left unused that is added to this one.
    `warn_at` are shares of the amount (0.8 is 80 %) that are told of when use passes them.
    `clamp`: a request that is too large has its output cap shrunk to what is left."""

    name: str
    measure: Measure
    amount: int
    window: Window
    level: Level
    zone: str = "UTC"  # IANA, for calendar windows
    model: str | None = None  # counts only this model
    mode: Mode = Mode.ENFORCE
    month_starts_on: int = 1
    year_starts_in: int = 1
    rollover: int = 0
    warn_at: tuple[float, ...] = ()
    clamp: bool = False


class Amounts(NamedTuple):
    """How much of each measure: as a bound before a request, as its use after it."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano: int = 0
    concurrency: int = 0

    def of(self, measure: Measure) -> int:
        return self.in_order()[ORDER[measure]]

    def in_order(self) -> tuple[int, ...]:
        """Of every measure, by ORDER: for who asks for many of them."""
        return (*self, self[1] + self[2])


NOTHING = Amounts()

ORDER = {
    Measure.REQUESTS: 0,
    Measure.INPUT_TOKENS: 1,
    Measure.OUTPUT_TOKENS: 2,
    Measure.MONEY: 3,
    Measure.CONCURRENCY: 4,
    Measure.TOKENS: 5,
}
