"""The id of a request, which is that of its entry in the book: `req_t`, 48 bits of milliseconds, 80
random bits, all hexadecimal.

The time comes first, so that what is written together lies together in the index of the ids, and
on Postgres in one partition (backends/sql_partitions.py). The `t` has these ids in a range of their
own, behind all that bear no time: `req_` and digits, `cor_` and digits. The 32 digits are also the
id of the request's trace, whose random bits are the last ones, as "Trace Context" asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

PREFIX: Final = "req_t"
TIME_DIGITS: Final = 12


def new_request_id(now: float, random_bytes: Callable[[int], bytes]) -> str:
    """`now` in unix seconds."""
    return f"req_t{int(now * 1000):012x}{random_bytes(10).hex()}"


def first_id(milliseconds: int) -> str:
    """No id of that time or later is smaller, and every one of before is. Unix milliseconds."""
    return f"{PREFIX}{milliseconds:0{TIME_DIGITS}x}"


def time_of(id: str) -> int | None:
    """Unix milliseconds out of an id, or the beginning of one; None where it bears no time."""
    digits = id.removeprefix(PREFIX)[:TIME_DIGITS]
    if not id.startswith(PREFIX) or len(digits) < TIME_DIGITS:
        return None
    try:
        return int(digits, 16)
    except ValueError:
        return None
