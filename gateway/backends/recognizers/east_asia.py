"""Identity numbers of Hong Kong, Taiwan and Japan."""

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
from gateway.privacy.spans import WORD_END, word_start

_FIRST = rf"{STARTED}{NOT_A_FRACTION}"


class HongKongIdCard(Finder):
    """Hong Kong identity cards: one or two letters, six digits, and a check digit (0-9, A).

    With the check digit in brackets, as it is printed; without them only behind a word."""

    ENTITY = "HK_ID_CARD"
    DIGITS_MIN = 6
    _CHECK_DIGIT = re.compile(r"\([0-9A]\)")
    _BEFORE_IT = re.compile(rf"{word_start()}[A-Z]{{1,2}}[0-9]{{6}} ?\Z")
    _BEFORE_IT_MAX = 9
    _BARE = re.compile(rf"[A-Za-z]{STARTED}[A-Za-z]?[0-9]{{6}}[0-9Aa]{WORD_END}")
    _CUE = cue(
        "身份證|身份证|hkid|identity card|hong kong id",
        r"身份[證证]|(?<![a-z])hkid|identity card|hong kong (?:id|identity)",
    )

    def find(self, text: str) -> Iterator[Found]:
        for digit in self._CHECK_DIGIT.finditer(text):
            floor = max(0, digit.start() - self._BEFORE_IT_MAX)
            before = self._BEFORE_IT.search(text, floor, digit.start())
            if before and self._checked(before[0] + digit[0]):
                yield before.start(), digit.end(), 0.95
        for found in self._CUE.behind(text, self._BARE):
            if self._checked(found[0]):
                yield (*found.span(), 0.85)

    @staticmethod
    def _checked(written: str) -> bool:
        """Weights 9 to 1; a missing first letter counts 36, which is 3 modulo 11."""
        number = re.sub("[ ()]", "", written).rjust(9, "3")
        return weighted("987654321", number) % 11 == 0


class TaiwanIdNumber(Finder):
    """National identity cards and resident certificates of Taiwan: a letter, a digit for the sex
    (or a letter, before 2021), eight digits, the last of them a check digit."""

    ENTITY = "TW_ID_NUMBER"
    DIGITS_MIN = 8
    _SHAPE = re.compile(rf"[A-Z](?=[1289A-D][0-9]{{8}}){STARTED}[0-9A-D]{{9}}{NUMBER_END}")
    _LETTERS = "ABCDEFGHJKLMNPQRSTUVXYWZIO"  # from 10 on

    def find(self, text: str) -> Iterator[Found]:
        for found in self._SHAPE.finditer(text):
            first, second, rest = found[0][0], found[0][1], found[0][2:]
            region = str(10 + self._LETTERS.index(first))
            if second.isalpha():
                second = str(self._LETTERS.index(second))
            if weighted("19876543211", region + second + rest) % 10 == 0:
                yield (*found.span(), 0.7)


class JapanMyNumber(Finder):
    """Individual numbers of Japan: twelve digits, the last of them a check digit (ordinance 85 of
    the Ministry of Internal Affairs and Communications, 2014, article 5).

    Found behind a word, or in three groups with a dash: one of eleven numbers passes the check."""

    ENTITY = "JP_MY_NUMBER"
    DIGITS_MIN = 12
    _SHAPE = re.compile(
        rf"[0-9](?=[0-9]{{3}}[0-9 -]){_FIRST}[0-9]{{3}}([ -]?)[0-9]{{4}}\1[0-9]{{4}}{NUMBER_END}"
        r"(?!-[0-9])"
    )
    _CUE = cue(
        "マイナンバ|個人番号|my number|my_number|my-number|mynumber",
        "マイナンバー?|個人番号|(?<![a-z])my[ _-]?number",
    )

    def find(self, text: str) -> Iterator[Found]:

        for found in self._SHAPE.finditer(text):
            digits = digits_of(found[0])
            if len(set(digits)) == 1 or not self._checked(digits):
                continue
            if self._CUE.is_before(text, found.start()):
                yield (*found.span(), 0.9)
            elif found[1] == "-" and not text.endswith("-", 0, found.start()):
                yield (*found.span(), 0.5)

    @staticmethod
    def _checked(digits: str) -> bool:
        rest = weighted("65432765432", digits[:11]) % 11
        return int(digits[11]) == (11 - rest if rest > 1 else 0)
