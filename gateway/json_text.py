"""JSON read and written as Python's own `json` does it, but faster. Pure.

orjson does nearly all of it. Where it would differ, `json` does it: integers beyond 64 bits,
numbers that are not finite, halves of surrogate pairs, more nesting than can be written again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import orjson

_DEPTH_MAX = 254  # of what orjson writes
_SURE_BYTES = 2 * _DEPTH_MAX  # so few are not deeper
_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_AS_DIGITS = b" " * 48 + b"0" * 10 + b" " * 198
_MANY_DIGITS = b"0" * 19  # an integer of fewer has 64 bits at most


class NotFinite(float):
    """A number that was read and is not finite: orjson would write `null`, but refuses this."""


def read(text: str | bytes) -> Any:
    """What `json.loads` reads. Raises ValueError and RecursionError where that does."""
    try:
        value = quick(text if isinstance(text, bytes) else text.encode())
    except UnicodeEncodeError:
        value = None
    return _read_by_json(text) if value is None else value


def quick(raw: bytes) -> Any:
    """What `raw` says, where orjson and `json` surely agree; None where they may not, or it is not
    JSON, and of `null`."""
    try:
        value = orjson.loads(raw)
    except ValueError:
        return None
    is_sure = len(raw) <= _SURE_BYTES or not _is_deep(value)
    return value if is_sure and not _has_many_digits(raw) else None


def read_string(text: bytes) -> str | None:
    """The string that a text of JSON is; None where it is something else, or not quite JSON."""
    try:
        value = orjson.loads(text)
    except ValueError:
        return None
    return value if type(value) is str else None


def read_strings(inner: Sequence[bytes]) -> list[str] | None:
    """The strings that JSON writes with these between quotation marks, all at once; None where one
    of them is no such thing, or not quite.

    A line end cannot stand in a string of JSON, so nothing goes on over those between them; then
    as many strings as there should be, and nothing else, are these."""
    try:
        values: list[str] = orjson.loads(b'["%b"]' % b'"\n,"'.join(inner))
        "".join(values)
    except (ValueError, TypeError):
        return None
    return values if len(values) == len(inner) else None


def write(value: Any) -> bytes:
    """Compact JSON in UTF-8, as `json.dumps` writes it with `ensure_ascii=False`; all is escaped
    where UTF-8 cannot say it (half a surrogate pair). Raises what that raises.

    A number that is not finite is written as `json` does if it was read here, else as null."""
    try:
        return orjson.dumps(value, option=_OPTIONS)
    except TypeError:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def _has_many_digits(raw: bytes) -> bool:
    """So many in a row hold three of every sixth byte. To look at those first is half of the
    work, and finds a time in seconds no reason to look at all."""
    return b"000" in raw[::6].translate(_AS_DIGITS) and _MANY_DIGITS in raw.translate(_AS_DIGITS)


def _is_deep(value: Any) -> bool:
    """Whether it is nested deeper than orjson writes: of what it has read, it refuses only that."""
    try:
        orjson.dumps(value)
    except TypeError:
        return True
    return False


def _read_by_json(text: str | bytes) -> Any:
    return json.loads(text, parse_float=_number, parse_constant=NotFinite)


def _number(text: str) -> float:
    number = float(text)
    return number if number - number == 0 else NotFinite(number)
