"""Addresses as in French (`12 rue de la Paix`), in German and Dutch (`Hauptstraße 5`), and in
Spanish, Portuguese and Italian (`Calle Mayor, 12`); with postal code and town behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.backends.recognizers.english_addresses import SEPARATOR
from gateway.backends.recognizers.finder import NOT_A_FRACTION, STARTED, Found
from gateway.backends.recognizers.reading import in_small_letters
from gateway.privacy.spans import WORD_END, word_start

_LETTER = "A-Za-zÀ-ÖØ-öø-ÿ"
_CAPITAL = "A-ZÀ-ÖØ-Þ"
_STARTED = word_start(1, rf"{_LETTER}0-9._-")
"""As STARTED of `finder`, but a letter with an accent is one too."""
_NAME = rf"[{_CAPITAL}][{_LETTER}'-]{{1,24}}+"
_FRENCH = re.compile(
    rf"[0-9]{STARTED}{NOT_A_FRACTION}[0-9]{{0,3}}+(?: ?(?:bis|ter|quater)|[A-Da-d])?,? "
    r"(?i:rue|avenue|av\.|boulevard|bd\.?|chemin|impasse|quai|all[ée]e|route|faubourg"
    r"|(?:place|cours|square|passage)(?= d[eu])) "
)
_FRENCH_KINDS = (
    "rue ", "avenue ", "av. ", "boulevard ", "bd ", "bd. ", "chemin ", "impasse ", "quai ",
    "allée ", "allee ", "route ", "faubourg ", "place d", "cours d", "square d", "passage d",
)  # fmt: skip
_ROMANCE = re.compile(
    rf"[ACPRVacprv]{_STARTED}"
    r"(?:(?i:(?<=c)(?:alle |/ ?)|(?<=a)(?:venida |vda\.? |v\. )|(?<=p)aseo |(?<=r)ua )"
    r"|((?i:(?<=p)(?:laza|raça|iazza)|(?<=c)(?:arrera|amino|orso)|(?<=r)onda|(?<=v)ia(?:le)?)) )"
)
_ROMANCE_KINDS = (
    "calle ", "c/", "avenida ", "avda", "av. ", "paseo ", "rua ", "plaza ", "praça ", "piazza ",
    "carrera ", "camino ", "corso ", "ronda ", "via ", "viale ",
)  # fmt: skip
_HOUSE = re.compile(rf"(, ?| )(?:n[a-zú]{{0,2}}+[.º ]{{0,3}}+)?[0-9]{{1,4}}+{WORD_END}")
_FLOOR = re.compile(rf", ?[0-9]{{1,2}}º(?: ?[A-Z]{WORD_END})?")
_OF = frozenset({
    "de", "la", "las", "le", "les", "los", "du", "des", "del", "della", "dello", "dei", "da",
    "do", "dos", "et", "y", "e", "sur", "aux", "au", "en"
})  # fmt: skip
_WORD = re.compile(rf"(?:[ldLD]')?({_NAME})|[a-z]{{1,5}}+(?= )|[0-9]{{1,2}}(?= )")
_WORDS_MAX = 8
_WORD_AND_NUMBER = re.compile(
    rf"[{_CAPITAL}]{_STARTED}([{_LETTER}-]{{3,40}}+\.?),? "
    rf"[0-9]{{1,4}}(?: ?[a-hA-H])?(?:[-/][0-9]{{1,4}}+)?{WORD_END}(?![.:][0-9])"
)
_KINDS_ALONE = ("straße", "strasse", "str.", "weg", "platz", "allee", "gasse")
_ENDINGS = (
    *_KINDS_ALONE, "damm", "chaussee", "ufer", "straat", "laan", "gracht", "plein",
)  # fmt: skip
_ADJECTIVE = re.compile(rf"[{_CAPITAL}][{_LETTER}-]{{2,24}}(?:er|e|en) \Z")
_ADJECTIVE_REACH = 28
_TOWN = re.compile(rf"(?:[A-Z]{{1,2}}-)?[0-9]{{4,5}}(?: [A-Z]{{2}})? {_NAME}(?: {_NAME}){{0,2}}")


def find(text: str) -> Iterator[Found]:
    small = in_small_letters(text)
    if _has(small, _FRENCH_KINDS):
        for found in _FRENCH.finditer(text):
            if end := _name_end(text, found.end()):
                yield _with_town(text, found.start(), end)
    for found in _WORD_AND_NUMBER.finditer(text):
        start = _street_start(text, found)
        if start is not None:
            yield _with_town(text, start, found.end())
    for found in _ROMANCE.finditer(text) if _has(small, _ROMANCE_KINDS) else ():
        name_end = _name_end(text, found.end())
        house = _HOUSE.match(text, name_end) if name_end else None
        # Kinds that are words elsewhere (`via`, `plaza`) need the comma.
        if house and (not found[1] or house[1] != " "):
            floor = _FLOOR.match(text, house.end())
            yield _with_town(text, found.start(), (floor or house).end())


def _has(small: str, kinds: tuple[str, ...]) -> bool:
    for kind in kinds:  # noqa: SIM110 - twice as fast as any()
        if kind in small:
            return True
    return False


def _name_end(text: str, at: int) -> int:
    """Where the last name with a capital ends, behind words like `de la`; or 0. A number is part of
    the name in front of it (`rue du 4 Septembre`)."""
    end = 0
    for _ in range(_WORDS_MAX):
        word = _WORD.match(text, at)
        if word is None:
            break
        if word[1]:
            end = word.end()
        elif word[0] not in _OF and (end == at - 1 or not word[0].isdecimal()):
            break
        if not text.startswith(" ", word.end()):
            break
        at = word.end() + 1
    return end


def _street_start(text: str, found: re.Match[str]) -> int | None:
    """Where the street begins that the word names: before it, if it is only the kind of one."""
    word = (text[found.start()] + found[1]).lower()
    if word not in _KINDS_ALONE:
        return found.start() if word.endswith(_ENDINGS) else None
    at = found.start()
    before = _ADJECTIVE.search(text, max(0, at - _ADJECTIVE_REACH), at)
    return before.start() if before else None


def _with_town(text: str, start: int, end: int) -> Found:
    gap = SEPARATOR.match(text, end)
    town = _TOWN.match(text, gap.end()) if gap else None
    return (start, town.end(), 0.85) if town else (start, end, 0.7)
