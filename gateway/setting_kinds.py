"""Kinds of settings: each reads the text of a variable or flag, or says what would be right."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

KEPT_DAYS_MIN = 32  # so that no entry which is still on its way comes after its month has gone


def number(
    kind: type[int | float], what: str, minimum: float, maximum: float
) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = minimum - 1
        if not minimum <= value <= maximum:
            raise ValueError(f"{what} from {minimum} to {maximum}")
        return value

    return parse


integer = partial(number, int, "a whole number")
seconds = partial(number, float, "seconds")


def kept_days(text: str) -> float:
    days = integer(0, 36_500)(text)
    if 0 < days < KEPT_DAYS_MIN:
        raise ValueError(f"0, or a whole number from {KEPT_DAYS_MIN} to 36500")
    return days


def choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError("one of " + ", ".join(allowed))
        return text

    return parse


def names(what: str, most: int) -> Callable[[str], str]:
    """Separated by commas, and each once."""

    def parse(text: str) -> str:
        found = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
        if not all(found) or len(found) > most:
            raise ValueError(f"{what}, separated by commas, at most {most}")
        return ",".join(found)

    return parse


def text_of(what: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not text.strip():
            raise ValueError(what)
        return text

    return parse


def url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.split("://", 1)[0] not in schemes or "://" not in text:
            raise ValueError("a URL that begins with " + " or ".join(f"{s}://" for s in schemes))
        return text

    return parse
