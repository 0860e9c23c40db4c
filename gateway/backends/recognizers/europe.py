"""Identity numbers of France and the Netherlands."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.backends.recognizers.cues import cue, weighted
from gateway.backends.recognizers.finder import (
    NOT_A_FRACTION,
    NUMBER_END,
    STARTED,
    Finder,
    Found,
    digits_of,
)

_FIRST = rf"{STARTED}{NOT_A_FRACTION}"


class FrenchSocialSecurity(Finder):
    """French social security numbers (NIR, décret 82-103): sex, year and month of birth, department
    (2A and 2B are Corsica), commune and order, and a key modulo 97.

    Without the key, which is often left out, only behind a word."""

    ENTITY = "FR_NIR"
    DIGITS_MIN = 12
    _BODY = (
        rf"[1-478](?=[ -]?[0-9]{{2}}[ -]?[0-9]{{2}}){_FIRST}"
        r"[ -]?[0-9]{2}[ -]?(?:0[1-9]|1[0-2]|[2-9][0-9])[ -]?"
        r"(?:[0-9]{2}|2[ABab])[ -]?[0-9]{3}[ -]?[0-9]{3}"
    )
    _WITH_KEY = re.compile(rf"({_BODY})[ /-]{{0,3}}([0-9]{{2}}){NUMBER_END}")
    _WITHOUT_KEY = re.compile(rf"{_BODY}{NUMBER_END}")
    _CORSICA = str.maketrans({"A": "9", "B": "8", "2": "1"})
    _CUE = cue(
        "sécu|secu|nir|insee",
        r"s[ée]cu(?:rit[ée] sociale)?|(?<![a-z])nir(?![a-z])|(?<![a-z])insee(?![a-z])",
    )

    def find(self, text: str) -> Iterator[Found]:
        for found in self._WITH_KEY.finditer(text):
            if self._number(found[1]) % 97 == 97 - int(found[2]):
                yield (*found.span(), 1.0)
        for found in self._CUE.behind(text, self._WITHOUT_KEY):
            yield (*found.span(), 0.6)

    def _number(self, written: str) -> int:
        """2A counts as 19, 2B as 18."""
        number = re.sub("[ -]", "", written).upper()
        if not number.isdecimal():
            number = number[:5] + number[5:7].translate(self._CORSICA) + number[7:]
        return int(number)


class DutchCitizenNumber(Finder):
    """Burgerservicenummers of the Netherlands: nine digits (or eight, without the leading zero)
    that pass the eleven test, behind a word that says so: so does one of eleven numbers."""

    ENTITY = "NL_BSN"
    DIGITS_MIN = 8
    _SHAPE = re.compile(
        rf"[0-9]{_FIRST}(?:[0-9]{{7,8}}+"
        r"|[0-9]{3}[ .][0-9]{2}[ .][0-9]{3}|[0-9]{2}[ .-][0-9]{3}[ .-][0-9]{3})"
        rf"{NUMBER_END}"
    )
    _CUE = cue(
        "bsn|burgerservice|burger service|sofi|citizen service",
        r"(?<![a-z])bsn|burger ?service|(?<![a-z])sofi|citizen service",
    )

    def find(self, text: str) -> Iterator[Found]:
        for found in self._CUE.behind(text, self._SHAPE):
            digits = digits_of(found[0]).zfill(9)
            total = weighted("98765432", digits[:8]) - int(digits[8])
            if int(digits) and total % 11 == 0:
                yield (*found.span(), 0.9)
