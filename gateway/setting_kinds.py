"""Kinds of settings: each reads the text of a variable or flag, or says what would be right."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import field
from functools import partial
from typing import Any

from gateway.cores import usable_cores

KEPT_DAYS_MIN = 32  # so that no entry which is still on its way comes after its month has gone


def setting(default: Any, parse: Callable[[str], Any], help: str, *, secret: bool = False) -> Any:
    """A field of Settings: its default, how its text is read, and what it is for."""
    return field(default=default, metadata={"parse": parse, "help": help, "secret": secret})


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


def processes(minimum: int, maximum: int) -> Callable[[str], float]:
    """So many, or `auto`: one for each core that this process may use."""

    def parse(text: str) -> float:
        if text == "auto":
            return min(maximum, usable_cores())
        try:
            return integer(minimum, maximum)(text)
        except ValueError as error:
            raise ValueError(f"auto, or {error}") from None

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


def networks(text: str) -> str:
    """A list of networks, checked and left as text."""
    try:
        found = [ipaddress.ip_network(part.strip()) for part in text.split(",")]
    except ValueError:
        raise ValueError("networks with commas between them, like 10.0.0.0/8,fd00::/8") from None
    return ",".join(map(str, found))
