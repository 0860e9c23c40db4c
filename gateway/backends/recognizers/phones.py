"""Telephone numbers: international, national ones of America and Europe, Chinese mobiles.

Which numbers a country gives out is told by the metadata of `phonenumbers` (libphonenumber).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import phonenumbers

from gateway.backends.recognizers.finder import (
    NOT_A_FRACTION,
    NUMBER_END,
    STARTED,
    Finder,
    Found,
    digits_of,
    overlapping,
)
from gateway.privacy.spans import word_start

_FIRST = rf"{STARTED}{NOT_A_FRACTION}"
_END = re.compile(NUMBER_END)
_GROUP = re.compile("[0-9]++")
_DIGITS_MIN, _NATIONAL_DIGITS_MIN = 7, 8
_GAP = r"[ ()./-]{0,2}"
_CUE = re.compile(
    rf"(?:{word_start(joins='A-Za-z')}"
    r"(?:tel|telef|telefono?|telephone|teléfono|tél|téléphone|phone|mobile?|móvil"
    r"|cell|fax|whatsapp|handy)|[电電][话話]|手机|携帯)"
    r"(?:[ _-]?(?:number|no|nr|is|ist|est|es|me|us|at|on|号码|号|番号|是|为|為|は)){0,2}"
    r"[^0-9A-Za-z+\n]{0,6}\Z",
    re.IGNORECASE,
)
_CUE_MAX = 40


class Phone(Finder):
    """Numbers that are written as people write numbers for others to call.

    A bare run of digits is one only after a word that says so, or if it is a European mobile with
    its leading zero: anything wider takes every other number in code and data for a telephone."""

    ENTITY = "PHONE_NUMBER"
    CLOSE_DIGITS_MIN = 7
    _INTERNATIONAL = re.compile(
        rf"(?:\+{STARTED}(?<!\+.)\(?|0{_FIRST}0)[1-9](?:{_GAP}[0-9]){{6,14}}"
    )
    _AMERICAN = re.compile(
        rf"[(1-9](?:(?<=\()[2-9][0-9]{{2}}\) ?"
        rf"|(?<=[2-9]){_FIRST}[0-9]{{2}}([ .-])"
        rf"|(?<=1){_FIRST}[ .-](?:\([2-9][0-9]{{2}}\) ?|[2-9]{_FIRST}[0-9]{{2}}([ .-])))"
        rf"[0-9]{{3}}[ .-][0-9]{{4}}{NUMBER_END}"
    )
    _TRUNK = re.compile(rf"0{_FIRST}[1-9](?:{_GAP}[0-9]){{7,10}}")
    _DATE = re.compile(r"[0-9]{2}([./-])[0-9]{2}\1(?:19|20)[0-9]{2}(?![0-9])")
    _BARE = re.compile(rf"[0-9]{_FIRST}(?:{_GAP}[0-9]){{6,13}}")
    _TRUNK_REGIONS = ("GB", "DE", "FR", "NL", "BE", "AT", "CH", "IE", "SE", "CN", "JP")
    _MOBILE_REGIONS = ("GB", "DE", "FR")

    def load(self) -> None:
        """Compile what the regions' numbers look like, without their leading zero."""
        self._trunk = _plan(self._TRUNK_REGIONS, ("fixed_line", "mobile"))
        self._mobile = _plan(self._MOBILE_REGIONS, ("mobile",))
        self._italian = _plan(("IT",), ("fixed_line",))
        self._american = _plan(("US",), ("fixed_line", "mobile"))

    def find(self, text: str) -> Iterator[Found]:
        for found in overlapping(self._INTERNATIONAL, text):
            yield from _international(found)
        for found in overlapping(self._AMERICAN, text):
            valid = self._american.fullmatch(digits_of(found[0])[-10:])
            if valid or " " not in found.groups():
                yield (*found.span(), 0.7 if valid else 0.5)
        for found in overlapping(self._TRUNK, text):
            national = next(filter(self._is_national, _shorter_and_shorter(found)), "")
            if national:
                yield _start(found, national), found.start() + len(national), 0.5
        for found in self._BARE.finditer(text):
            before = text[max(0, found.start() - _CUE_MAX) : found.start()]
            if _CUE.search(before) and not self._DATE.match(found[0]):
                written = next(_shorter_and_shorter(found), "")
                if len(digits_of(written)) >= _DIGITS_MIN:
                    yield _start(found, written), found.start() + len(written), 0.5

    def _is_national(self, written: str) -> bool:
        digits = digits_of(written)
        if len(digits) < _NATIONAL_DIGITS_MIN or self._DATE.match(written):
            return False
        if digits == written:
            return self._mobile.fullmatch(digits[1:]) is not None
        return bool(self._trunk.fullmatch(digits[1:]) or self._italian.fullmatch(digits))


def _shorter_and_shorter(found: re.Match[str]) -> Iterator[str]:
    """What was found, then without its last group of digits, and so on. A group that the match cut
    in two is none of it."""
    ends = [group.end() for group in _GROUP.finditer(found[0])]
    if not _END.match(found.string, found.end()):
        ends.pop()
    for end in reversed(ends):
        yield found[0][:end]


def _start(found: re.Match[str], written: str) -> int:
    """Where the number begins: at the bracket before it if that is closed inside."""
    start = found.start()
    inside, closed, _ = written.partition(")")
    opened = found.string.startswith("(", max(0, start - 1), start) and "(" not in inside
    return start - 1 if opened and closed else start


def _plan(regions: tuple[str, ...], kinds: tuple[str, ...]) -> re.Pattern[str]:
    """Which digits are a number of such a kind in one of the regions."""
    patterns = []
    for region in regions:
        metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
        if metadata is None:
            raise LookupError(f"phonenumbers knows no region {region}")
        patterns += [getattr(metadata, kind).national_number_pattern for kind in kinds]
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns if pattern))


def _international(found: re.Match[str]) -> Iterator[Found]:
    """The longest part, from the first digit on, that a country gives out; failing that, all of it
    if its length is possible and it is written in groups."""
    candidates = list(_shorter_and_shorter(found))
    for written in candidates:
        number = _parsed(written)
        if number and phonenumbers.is_valid_number(number):
            yield _start(found, written), found.start() + len(written), 0.9
            return
    for whole in candidates[:1]:
        number = _parsed(whole)
        grouped = len(digits_of(whole)) < len(whole) - 1
        if grouped and number and phonenumbers.is_possible_number(number):
            yield _start(found, whole), found.start() + len(whole), 0.5


def _parsed(written: str) -> phonenumbers.PhoneNumber | None:
    digits = digits_of(written.replace("(0)", ""))
    if len(digits) < _DIGITS_MIN:
        return None
    try:
        return phonenumbers.parse("+" + digits.removeprefix("00"))
    except phonenumbers.NumberParseException:
        return None


class ChineseMobile(Finder):
    """Mobile numbers of the People's Republic: eleven digits from 13 to 19, with or without +86.

    Groups as they are written there (3-4-4): other groups are another country's number."""

    ENTITY = "CN_MOBILE"
    CLOSE_DIGITS_MIN = 11
    _SHAPE = re.compile(
        rf"(?:\+{STARTED}86\)?[ -]?1|0{_FIRST}086[ -]?1|8{_FIRST}6[ -]?1|1{_FIRST})"
        rf"[3-9][0-9]([ -]?)[0-9]{{4}}\1[0-9]{{4}}{NUMBER_END}"
    )

    def find(self, text: str) -> Iterator[Found]:
        for found in self._SHAPE.finditer(text):
            yield (*found.span(), 0.95)
