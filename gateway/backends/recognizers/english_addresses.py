"""Addresses as in English: `221B Baker Street`, `350 5th Ave, Apt 4, New York, NY 10118`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.backends.recognizers.cues import cue
from gateway.backends.recognizers.finder import NOT_A_FRACTION, STARTED, Found
from gateway.backends.recognizers.words import listed
from gateway.privacy.spans import WORD_END, word_start

SEPARATOR = re.compile(r"(?=[ ,\r\n\\])[ ,]{0,2}+(?:\r?\n|\\n)? {0,4}+")
"""Between the parts of an address: a comma, a space, a line end, also an escaped one."""

_HOUSE = re.compile(
    rf"[0-9]{STARTED}{NOT_A_FRACTION}(?<![0-9][./:-].)[0-9]{{0,4}}+"
    r"(?:[A-Za-z]|-[0-9]{1,4})?,? (?=[0-9A-Za-z])"
)
_WORD = re.compile("([A-Z][A-Za-z'-]{0,20}+|[0-9]{1,3}(?:st|nd|rd|th))\\.?")
_WORD_ANY_CASE = re.compile(_WORD.pattern, re.IGNORECASE)
_WORDS_MAX = 6
_CERTAIN = frozenset({
    "street", "avenue", "road", "boulevard", "lane", "drive", "parkway", "highway", "st", "ave",
    "rd", "blvd", "pkwy", "hwy"
})  # fmt: skip
_LIKELY = frozenset({
    "court", "place", "square", "terrace", "crescent", "close", "way", "circle", "trail", "grove",
    "gardens", "hill", "mews", "row", "ln", "dr", "ct", "pl", "ter", "cir", "sq", "cres"
})  # fmt: skip
_COMPASS = re.compile(rf" (?:N[EW]?|S[EW]?|E|W|North|South|East|West){WORD_END}")
_UNIT = re.compile(
    r"(?:(?:apt|apartment|suite|ste|unit|flat|floor|room|rm)\.? ?#?|#)"
    rf"[0-9]{{0,4}}+[A-Z]?[0-9]{{0,4}}+{WORD_END}",
    re.IGNORECASE,
)
_TOWN_WORD = re.compile("[A-Z][A-Za-z.'-]{1,20}+")
_TOWN_WORDS_MAX = 5
_AFTER_COMMA = re.compile(r", ?([A-Z][A-Za-z\u00c0-\u024f'-]{1,20}+(?: [A-Z][a-z-]{1,20}+){0,2})")
_TOWNS = ("places.txt", "places_cued.txt")
_POSTAL_CODE = re.compile(
    r"(?:(?:[A-Z]{2} )?[0-9]{5}(?:-[0-9]{4})?"  # United States
    r"|[A-Z]{1,2}[0-9][0-9A-Z]? ?[0-9][A-Z]{2}"  # United Kingdom
    r"|(?:[A-Z]{2} )?[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9]"  # Canada
    rf"|(?<=, )[A-Z]{{2}}){WORD_END}"  # a state alone
)
_CUE = cue(
    "address|live|living|located|ship|deliver|send|sent|mail|resid|home",
    "(?<![a-z])(?:address|live[sd]?|living|located|ship(?:ped)?|deliver(?:ed)?|send|sent"
    "|mail(?:ed)?|residing|residence|home)(?![a-z])",
)
_YEAR = re.compile(
    word_start(joins="a-z")
    + r"(?:in|since|by|of|until|from|before|after|during|late|early|mid|and|for) \Z",
    re.IGNORECASE,
)


def find(text: str) -> Iterator[Found]:
    """A street is certain by its kind, by what follows it, or by a word before it. What is written
    in small letters needs that word, or a town."""
    for house in _HOUSE.finditer(text):
        end, _ = _street(text, house.end(), _WORD_ANY_CASE)
        if not end:
            continue
        with_capitals, certain = _street(text, house.end(), _WORD)
        capitals = with_capitals > 0
        end = with_capitals or end
        unit = _behind(_UNIT, text, end)
        town = _town_end(text, unit or end)
        alone = capitals and (unit or (certain and not _may_be_a_year(text, house)))
        if town or alone or _CUE.is_before(text, house.start()):
            stop = town or _listed_town_end(text, unit or end)
            yield house.start(), stop, 0.85 if town else 0.7


def _street(text: str, at: int, shape: re.Pattern[str]) -> tuple[int, bool]:
    """Where the street's name ends, or 0, and whether its kind is one that is nothing else."""
    likely = 0
    for place in range(_WORDS_MAX):
        word = shape.match(text, at)
        if word is None:
            break
        kind = word[1].lower()
        if place and kind in _CERTAIN:
            return _compass_end(text, word), True
        if place and kind in _LIKELY and not likely:
            likely = _compass_end(text, word)
        if not text.startswith(" ", word.end()):
            break
        at = word.end() + 1
    return likely, False


def _compass_end(text: str, word: re.Match[str]) -> int:
    compass = _COMPASS.match(text, word.end())
    return compass.end() if compass else word.end(1)


def _behind(shape: re.Pattern[str], text: str, end: int) -> int:
    """Where `shape` ends if it follows, also behind the dot of `St.`; or 0."""
    gap = SEPARATOR.match(text, end + text.startswith(".", end))
    found = shape.match(text, gap.end()) if gap else None
    return found.end() if found else 0


def _town_end(text: str, end: int) -> int:
    """Where the postal code, or the state, ends behind the words of a town; or 0."""
    for _ in range(_TOWN_WORDS_MAX):
        end = _behind(_TOWN_WORD, text, end)
        if not end:
            return 0
        if code := _behind(_POSTAL_CODE, text, end):
            return code
    return 0


def _listed_town_end(text: str, end: int) -> int:
    """Where a town of the lists ends behind a comma; or where the street does."""
    town = _AFTER_COMMA.match(text, end + text.startswith(".", end))
    if town is None:
        return end
    name = town[1]
    while name and not any(name in listed(one) for one in _TOWNS):
        name = name.rpartition(" ")[0]
    return town.start(1) + len(name) if name else end


def _may_be_a_year(text: str, house: re.Match[str]) -> bool:
    """`in 2008 Wall Street fell`."""
    number = house[0].rstrip(", ")
    before = _YEAR.search(text, max(0, house.start() - 8), house.start())
    return before is not None and len(number) == 4 and number[:2] in ("18", "19", "20")
