"""Checksums that a custom recognizer may ask for, by the names of policy/format_redaction.py.

Each takes the letters (in capitals) and digits of a value, without what stands between them, and
says whether it passes. What has a wrong shape for a checksum does not pass; none raises."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from gateway.backends.recognizers.numbers import luhn

_NUMBER: Final = re.compile("[0-9]{2,}+")
_MOD_11: Final = re.compile("[0-9]{1,99}[0-9X]")
_LETTERS_TOO: Final = re.compile("[0-9A-Z]{3,}+")


def mod_97(value: str) -> bool:
    """ISO 7064 MOD 97-10: letters are 10 to 35, the remainder is 1."""
    if not _LETTERS_TOO.fullmatch(value):
        return False
    remainder = 0
    for character in value:
        number = int(character, 36)
        remainder = (remainder * (100 if number > 9 else 10) + number) % 97
    return remainder == 1


def iban(value: str) -> bool:
    """ISO 13616: MOD 97-10 with the country and the check digits at the end."""
    return len(value) >= 15 and mod_97(value[4:] + value[:4])


def mod_11(value: str) -> bool:
    """ISO 7064 MOD 11-2: the last may be X, which is 10."""
    if not _MOD_11.fullmatch(value):
        return False
    total = 0
    for digit in value[:-1]:
        total = (total + int(digit)) * 2 % 11
    return (total + "0123456789X".index(value[-1])) % 11 == 1


def verhoeff(value: str) -> bool:
    """J. Verhoeff, Error Detecting Decimal Codes, 1969: the dihedral group of order 10."""
    if not _NUMBER.fullmatch(value):
        return False
    check = 0
    for place, digit in enumerate(reversed(value)):
        check = _product(check, _PERMUTED[place % 8][int(digit)])
    return check == 0


def _product(a: int, b: int) -> int:
    """Of two elements of the dihedral group: below 5 a rotation, from 5 on a reflection."""
    turned = (a + b) % 5 if a < 5 else (a - b) % 5
    return turned if (a < 5) == (b < 5) else turned + 5


def _permutations() -> list[tuple[int, ...]]:
    step = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
    rows = [tuple(range(10))]
    for _ in range(7):
        rows.append(tuple(step[digit] for digit in rows[-1]))
    return rows


_PERMUTED: Final = _permutations()


def _luhn(value: str) -> bool:
    return bool(_NUMBER.fullmatch(value)) and luhn(value)


CHECKS: Final[Mapping[str, Callable[[str], bool]]] = {
    "luhn": _luhn,
    "mod97": mod_97,
    "mod11": mod_11,
    "verhoeff": verhoeff,
    "iban": iban,
}
