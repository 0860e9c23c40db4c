"""The scalars of a policy: names, numbers, money, times, choices, URLs and zones."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from gateway.policy.document import Scalar
from gateway.policy.fields import Word
from gateway.policy.problems import suggestion
from gateway.usage.entry import NANO

COUNT_MAX = 10**15
MONEY_MAX = 10**9  # whole units of a currency, so that nano units fit into 64 bits
DURATION_MAX_SECONDS = 86_400.0
AMOUNT = "a whole number above 0, such as 100_000, or money, such as 25 USD"

_COUNT = r"(?:0|[1-9][0-9]*|[1-9][0-9]{0,2}(?:_[0-9]{3})+)"
_DECIMAL = _COUNT + r"(?:\.[0-9]+)?"
_WHOLE = {"type": ["integer", "string"], "pattern": "^[1-9][0-9]{0,2}(_[0-9]{3})+$"}
"""JSON Schema of a whole number: editors that read YAML 1.2 take 1_000 for a text."""
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Money:
    """Nano units (10⁻⁹) of a currency."""

    nano: int
    currency: str


def matching(pattern: str, expected: str, *, secret: bool = False) -> Word:
    """A text of that shape."""

    def take(scalar: Scalar) -> str:
        if not re.fullmatch(pattern, scalar.text):
            raise ValueError
        return scalar.text

    return Word(expected, take, {"type": "string", "pattern": f"^(?:{pattern})$"}, secret)


def choice(options: Iterable[str]) -> Word:
    """One of a few texts."""
    known = tuple(options)

    def take(scalar: Scalar) -> str:
        if scalar.text not in known:
            raise ValueError(suggestion(scalar.text, known))
        return scalar.text

    return Word("one of " + ", ".join(known), take, {"type": "string", "enum": list(known)})


def member(enum: type[StrEnum], *, without: Iterable[StrEnum] = ()) -> Word:
    """One of an enum's values, as its member."""
    word = choice(item.value for item in enum if item not in tuple(without))
    return Word(word.expected, lambda scalar: enum(word.take(scalar)), word.json)


def whole(minimum: int, maximum: int, what: str = "") -> Word:
    """A whole number, `_` allowed between thousands. `what` is as in "of tokens"."""

    def take(scalar: Scalar) -> int:
        return _whole(scalar, minimum, maximum)

    json = {**_WHOLE, "minimum": minimum, "maximum": maximum}
    number = f"a whole number {what}".rstrip()
    return Word(f"{number} from {minimum} to {maximum:_}", take, json)


def price() -> Word:
    """Money per million tokens, as nano units, exactly."""

    def take(scalar: Scalar) -> int:
        if not scalar.plain or not re.fullmatch(_DECIMAL, scalar.text):
            raise ValueError
        return _nano(scalar.text, 10**6)

    json = {"type": "number", "minimum": 0, "maximum": 10**6}
    return Word("a price per million tokens with at most 9 decimals, such as 0.15", take, json)


def amount(minimum: int = 1) -> Word:
    """A count (int) or Money, whichever was written; the measure decides which is right.

    Its expected text is that of a minimum of 1: who lets 0 through says where it is right."""

    def take(scalar: Scalar) -> int | Money:
        if found := re.fullmatch(rf"({_DECIMAL}) ([A-Z]{{3}})", scalar.text):
            nano = _nano(found[1], MONEY_MAX)
            if nano < minimum:
                raise ValueError
            return Money(nano, found[2])
        return _whole(scalar, minimum, COUNT_MAX)

    money = {"type": "string", "pattern": "^[0-9_]+(\\.[0-9]{1,9})? [A-Z]{3}$"}
    json = {"anyOf": [{**_WHOLE, "minimum": minimum, "maximum": COUNT_MAX}, money]}
    return Word(AMOUNT, take, json)


def fraction() -> Word:
    """A number from 0 to 1."""

    def take(scalar: Scalar) -> float:
        if not scalar.plain or not re.fullmatch(r"(?:0(?:\.[0-9]+)?|1(?:\.0+)?)", scalar.text):
            raise ValueError
        return float(scalar.text)

    return Word("a number from 0 to 1", take, {"type": "number", "minimum": 0, "maximum": 1})


def share() -> Word:
    """A number above 0, up to 1."""
    every = fraction()

    def take(scalar: Scalar) -> float:
        value: float = every.take(scalar)
        if not value:
            raise ValueError
        return value

    json = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    return Word("a number above 0 and up to 1, such as 0.8", take, json)


def instant() -> Word:
    """Unix seconds of a date (its midnight in UTC), or of a time with its offset."""
    pattern = (
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
        r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:Z|[+-][0-9]{2}:[0-9]{2}))?"
    )

    def take(scalar: Scalar) -> float:
        if not re.fullmatch(pattern, scalar.text):
            raise ValueError
        try:
            moment = datetime.fromisoformat(scalar.text)
        except ValueError:  # its text is Python's
            raise ValueError from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

    expected = "a date, such as 2026-12-01, or a time with its offset, as in 2026-12-01T00:00+01:00"
    return Word(expected, take, {"type": "string", "pattern": f"^{pattern}$"})


def duration() -> Word:
    """Seconds, written with a unit."""
    pattern = r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h)"

    def take(scalar: Scalar) -> float:
        found = re.fullmatch(pattern, scalar.text)
        seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
        if not 0.001 <= seconds <= DURATION_MAX_SECONDS:
            raise ValueError
        return seconds

    expected = "a duration with its unit (ms, s, m, h) from 1ms to 24h, such as 30s"
    return Word(expected, take, {"type": "string", "pattern": f"^{pattern}$"})


def flag() -> Word:
    """true or false, and nothing else."""

    def take(scalar: Scalar) -> bool:
        if not scalar.plain or scalar.text not in ("true", "false"):
            raise ValueError
        return scalar.text == "true"

    return Word("true or false", take, {"type": "boolean"})


def url() -> Word:
    """An address of an API, without a slash at its end."""
    expected = "an http or https URL without user, query or fragment, as in https://host/v1"
    json = {"type": "string", "pattern": "^https?://[^\\s@?#]+$"}
    return Word(expected, lambda scalar: http_url(scalar.text), json, secret=True)


def http_url(text: str) -> str:
    """The URL in its plain form. Raises ValueError where it cannot be an API's base."""
    if not re.fullmatch(r"https?://[!-~]+", text) or re.search(r"[@?#\\]", text):
        raise ValueError
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError
    return text.rstrip("/")


def zone() -> Word:
    """An IANA time zone that this machine's database knows."""

    def take(scalar: Scalar) -> str:
        try:
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_+/-]{0,63}", scalar.text):
                raise ValueError
            ZoneInfo(scalar.text)
        except (ValueError, KeyError, OSError):
            close = suggestion(scalar.text, _zones())
            raise ValueError(close if close.startswith("did") else "") from None
        return scalar.text

    return Word("an IANA time zone, such as Europe/Berlin", take, {"type": "string"})


@cache
def _zones() -> tuple[str, ...]:
    """All zones of the machine's database; reading it takes 20 ms."""
    return tuple(sorted(available_timezones()))


def _whole(scalar: Scalar, minimum: int, maximum: int) -> int:
    if not scalar.plain or not re.fullmatch(_COUNT, scalar.text) or len(scalar.text) > 24:
        raise ValueError
    value = int(scalar.text.replace("_", ""))
    if not minimum <= value <= maximum:
        raise ValueError
    return value


def _nano(text: str, units_max: int) -> int:
    """Nano units of a decimal, exactly. Raises ValueError past 9 decimals or `units_max`."""
    units, _, decimals = text.replace("_", "").partition(".")
    if len(decimals) > 9 or len(units) > 12:
        raise ValueError
    nano = int(units) * NANO + int(decimals.ljust(9, "0"))
    if nano > units_max * NANO:
        raise ValueError
    return nano


NAME = matching(
    r"[a-z0-9][a-z0-9._-]{0,63}",
    "a name of at most 64 lower-case letters, digits, `.`, `_` and `-`, such as team-a",
)
MODEL_NAME = matching(
    r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}",
    "a name of at most 200 letters, digits and `._:/@+-`, such as gpt-4o-mini",
)
MODEL_PATTERN = matching(
    r"[A-Za-z0-9._:/@+*?!\[\]-]{1,200}",
    "a model's name or a shell pattern, such as gpt-4o-mini or gpt-*",
)
VARIABLE = matching(
    r"[A-Za-z_][A-Za-z0-9_]{0,127}",
    "the name of an environment variable, such as OPENAI_API_KEY",
    secret=True,
)
CURRENCY = matching(r"[A-Z]{3}", "three capitals, such as USD or EUR")
TEXT = matching(r"[^\x00-\x20\x7f](?:[^\x00-\x1f\x7f]{0,198}[^\x00-\x20\x7f])?", "a short text")
LONG_TEXT = matching(r"(?s:.{1,4000})", "a text of at most 4000 characters")
