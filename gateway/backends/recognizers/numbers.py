"""Numbers of money and state, each with its checksum: cards, bank accounts, US and Chinese ids."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from gateway.backends.recognizers.cues import cue
from gateway.backends.recognizers.finder import (
    NOT_A_FRACTION,
    NUMBER_END,
    STARTED,
    Finder,
    Found,
    digits_of,
    overlapping,
)
from gateway.privacy.spans import WORD_END, word_start

_DOUBLED = str.maketrans("0123456789", "0246813579")  # and the digits of what is doubled added up
_FIRST = rf"{STARTED}{NOT_A_FRACTION}"
_GAP = "(?:[ _-]|%20)"


class CreditCard(Finder):
    """Payment cards: an issuer's prefix and length (ISO/IEC 7812), and the Luhn check digit.

    In one piece, or in the groups in which cards are printed; other groups are lists of numbers."""

    ENTITY = "CREDIT_CARD"
    CLOSE_DIGITS_MIN = 12
    _SHAPES = (
        re.compile(rf"[2-6]{_FIRST}[0-9]{{11,18}}+{NUMBER_END}", re.ASCII),
        re.compile(rf"[2-6]{_FIRST}[0-9]{{3}}(?:{_GAP}[0-9]{{4}}){{3}}{NUMBER_END}", re.ASCII),
        re.compile(
            rf"[2-6]{_FIRST}[0-9]{{3}}(?:{_GAP}[0-9]{{4}}){{3}}{_GAP}[0-9]{{1,3}}{NUMBER_END}",
            re.ASCII,
        ),
        re.compile(rf"3{_FIRST}[0-9]{{3}}{_GAP}[0-9]{{6}}{_GAP}[0-9]{{4,5}}{NUMBER_END}", re.ASCII),
    )
    _ISSUED = re.compile(
        r"4[0-9]{12}(?:[0-9]{3}){0,2}"  # Visa: 13, 16, 19
        r"|(?:5[0-9]|2[2-7])[0-9]{14}"  # Mastercard, and others at 16
        r"|3[47][0-9]{13}"  # American Express
        r"|3(?:0[0-5]|[689][0-9])[0-9]{11}"  # Diners Club
        r"|35[0-9]{14,17}"  # JCB
        r"|6[0-9]{15,18}"  # UnionPay, Discover, Maestro
        r"|5[06-8][0-9]{10,17}"  # Maestro
    )

    def find(self, text: str) -> Iterator[Found]:
        for shape in self._SHAPES:
            for found in overlapping(shape, text):
                digits = digits_of(found[0].replace("%20", " "))
                if self._ISSUED.fullmatch(digits) and luhn(digits) and len(set(digits)) > 1:
                    yield (*found.span(), 1.0)


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B: every second digit from the right is doubled."""
    doubled = digits[-2::-2].translate(_DOUBLED)
    return sum(map(int, digits[-1::-2] + doubled)) % 10 == 0


class Iban(Finder):
    """Bank accounts: a country's length (SWIFT IBAN registry), and ISO 7064 MOD 97-10."""

    ENTITY = "IBAN_CODE"
    DIGITS_MIN = 2
    SHAPES = (b"aa00",)
    _CHECK = re.compile(
        rf"[0-9](?<=[A-Za-z]{{2}}.)[0-9]{word_start(4)}(?=[ -]?[0-9A-Za-z])"
    )  # found by its digits: there are fewer of them than letters
    _LENGTHS = (
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 "
        "DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 "
        "HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 "
        "MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 "
        "RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 "
        "VA22 VG24 XK20 YE30"
    )

    def load(self) -> None:
        """Compile what stands behind the first four characters, by how many these are."""
        self._rests = [
            re.compile(rf"(?:[ -]?[0-9A-Za-z]){{{more}}}{WORD_END}") for more in range(31)
        ]

    def find(self, text: str) -> Iterator[Found]:
        for check in self._CHECK.finditer(text):
            start = check.start() - 2
            country = self._LENGTHS.find(text[start : start + 2].upper())
            if country < 0:
                continue
            length = int(self._LENGTHS[country + 2 : country + 4])
            if rest := self._rests[length - 4].match(text, check.end()):
                account = re.sub("[ -]", "", rest[0] + text[start : rest.start()]).upper()
                if int("".join(str(int(character, 36)) for character in account)) % 97 == 1:
                    yield start, rest.end(), 1.0


class UsSocialSecurity(Finder):
    """US social security numbers: in groups, or nine digits right behind their name.

    Source of the ranges that are never given out: the Social Security Administration."""

    ENTITY = "US_SSN"
    CLOSE_DIGITS_MIN = 9
    _GROUPS = re.compile(rf"[0-8]{_FIRST}[0-9]{{2}}([ -])[0-9]{{2}}\1[0-9]{{4}}{NUMBER_END}")
    _BARE = re.compile(rf"[0-8]{_FIRST}[0-9]{{8}}{NUMBER_END}")
    _CUE = cue("ssn|social security", "(?<![a-z])ssn|social security")

    def find(self, text: str) -> Iterator[Found]:
        for found in overlapping(self._GROUPS, text):
            if self._given(digits_of(found[0])):
                yield (*found.span(), 0.85 if found[1] == "-" else 0.5)
        for found in self._CUE.behind(text, self._BARE):
            if self._given(found[0]):
                yield (*found.span(), 0.85)

    @staticmethod
    def _given(digits: str) -> bool:
        area, group, serial = digits[:3], digits[3:5], digits[5:]
        return area not in ("000", "666") and group != "00" and serial != "0000"


class ChineseIdCard(Finder):
    """Resident identity cards of the People's Republic: GB 11643-1999, 18 characters with a region,
    a date of birth and a check character (ISO 7064 MOD 11-2)."""

    ENTITY = "CN_ID_CARD"
    CLOSE_DIGITS_MIN = 17
    _SHAPE = re.compile(
        rf"[1-8]{_FIRST}[0-9]{{5}}[ -]?((?:18|19|20)[0-9]{{6}})[ -]?[0-9]{{3}}[0-9Xx]{WORD_END}"
    )
    _PROVINCE = re.compile("1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]")
    _WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    _CHECKS = "10X98765432"

    def find(self, text: str) -> Iterator[Found]:
        for found in overlapping(self._SHAPE, text):
            number = re.sub("[ -]", "", found[0]).upper()
            total = sum(w * int(digit) for w, digit in zip(self._WEIGHTS, number, strict=False))
            if (
                self._PROVINCE.match(number)
                and _is_date(found[1])
                and self._CHECKS[total % 11] == number[17]
            ):
                yield (*found.span(), 1.0)


def _is_date(yyyymmdd: str) -> bool:
    try:
        date(int(yyyymmdd[:4]), int(yyyymmdd[4:6]), int(yyyymmdd[6:]))
    except ValueError:
        return False
    return True
