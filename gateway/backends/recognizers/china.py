"""Numbers of mainland China: bank cards, passports, vehicle plates, and organizations' codes."""

from __future__ import annotations

import re
from collections.abc import Iterator

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
from gateway.backends.recognizers.numbers import luhn
from gateway.privacy.spans import WORD_END

_FIRST = rf"{STARTED}{NOT_A_FRACTION}"


class ChineseBankCard(Finder):
    """UnionPay cards (62, 16 to 19 digits, Luhn), and as many digits behind a word for a card.

    Account numbers and cards from before UnionPay have other prefixes, and not all a check digit:
    so the word makes them one."""

    ENTITY = "CN_BANK_CARD"
    DIGITS_MIN = 16
    _LENGTHS = (
        "[0-9]{14,17}+",
        "[0-9]{2}(?:[ -][0-9]{4}){3}",
        "[0-9]{2}(?:[ -][0-9]{4}){3}[ -][0-9]{1,3}",
    )
    _CUE = cue(
        "卡|账|帐|賬|帳|银联|銀聯|unionpay",
        "银行卡|储蓄卡|借记卡|信用卡|卡号|[账帐][号户]|银联|銀行卡|卡號|[賬帳][號戶]|unionpay",
    )

    def load(self) -> None:
        """Compile the three ways to write one, for any number and for those of UnionPay."""
        ends = [rf"{length}{NUMBER_END}" for length in self._LENGTHS]
        self._unionpay = [re.compile(rf"6(?=2){_FIRST}2{end}") for end in ends]
        self._any = [re.compile(rf"[0-9]{_FIRST}[0-9]{end}") for end in ends]

    def find(self, text: str) -> Iterator[Found]:
        for shape in self._unionpay:
            for found in overlapping(shape, text):
                if luhn(digits_of(found[0])):
                    yield (*found.span(), 1.0)
        for found in self._CUE.behind(text, *self._any):
            digits = digits_of(found[0])
            if len(set(digits)) > 1:
                yield (*found.span(), 0.9 if luhn(digits) else 0.5)


class ChinesePassport(Finder):
    """Passports of the People's Republic, Hong Kong and Macao.

    Ordinary ones are E (before 2012 G) and eight digits, or E, a letter and seven digits (National
    Immigration Administration, 2017). The first are also found
    alone, with little certainty: part numbers look the same. Everything else is, behind a word."""

    ENTITY = "CN_PASSPORT"
    DIGITS_MIN = 7
    _ALONE = re.compile(rf"[EG](?=[0-9]{{8}}){STARTED}[0-9]{{8}}{NUMBER_END}")
    _NAMED = re.compile(
        rf"(?:[DEGHKMPSdeghkmps]{STARTED}[A-Za-z]?[0-9]{{7,8}}|1{_FIRST}[45][0-9]{{7}}){NUMBER_END}"
    )
    _CUE = cue("护照|護照|passport", "护照|護照|passport")

    def find(self, text: str) -> Iterator[Found]:
        for found in self._ALONE.finditer(text):
            yield (*found.span(), 0.3)
        for found in self._CUE.behind(text, self._NAMED):
            yield (*found.span(), 0.9)


class ChineseLicensePlate(Finder):
    """Plates of motor vehicles (GA 36-2018): a province, a letter, and five or six characters.

    The letters I and O are not used behind the first, and no more than two letters are; six are
    those of new energy. The last may name a kind: trailer, learner, police, Hong Kong, Macao."""

    ENTITY = "CN_LICENSE_PLATE"
    DIGITS_MIN = 2
    _SHAPE = re.compile(
        "[京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新]"
        r"[A-Za-z][ ·•.]?"
        rf"([A-HJ-NP-Za-hj-np-z0-9]{{4,6}}+)([挂学警港澳]?){WORD_END}"
    )
    _SERIAL = 5
    _NEW_ENERGY = re.compile("[A-HJK][A-HJ-NP-Z0-9][0-9]{4}|[0-9]{5}[A-HJK]", re.IGNORECASE)
    _LETTERS_MAX = 2

    def find(self, text: str) -> Iterator[Found]:
        if text.isascii():
            return
        for found in self._SHAPE.finditer(text):
            serial, kind = found[1], found[2]
            whole = len(serial) + len(kind) == self._SERIAL
            few_letters = sum(map(str.isalpha, serial)) <= self._LETTERS_MAX
            if (whole and few_letters) or (not kind and self._NEW_ENERGY.fullmatch(serial)):
                yield (*found.span(), 0.9)


class ChineseCreditCode(Finder):
    """Unified social credit codes of organizations (GB 32100-2015): 18 characters with who gave it
    out, a region, and a check character."""

    ENTITY = "CN_USCC"
    DIGITS_MIN = 7
    _SHAPE = re.compile(
        rf"[1-9ANYany](?=[1-59][0-9]{{5}}){_FIRST}"
        rf"[1-59](?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]|10)"
        rf"[0-9]{{4}}[0-9A-HJ-NPQRTUWXYa-hj-npqrtuwxy]{{10}}{WORD_END}"
    )
    _CHARACTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"

    def find(self, text: str) -> Iterator[Found]:
        for found in self._SHAPE.finditer(text):
            values = [self._CHARACTERS.index(character) for character in found[0].upper()]
            total = sum(value * pow(3, place, 31) for place, value in enumerate(values[:17]))
            if (total + values[17]) % 31 == 0:
                yield (*found.span(), 0.9)
