"""Dates of birth: a date beside a word that says whose it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.backends.recognizers.cues import cue
from gateway.backends.recognizers.finder import NOT_A_FRACTION, NUMBER_END, STARTED, Finder, Found

_FIRST = rf"{STARTED}{NOT_A_FRACTION}"
_YEAR = "(?:18|19|20)[0-9]{2}"
_TIME = re.compile(r"T[0-9:.]{4,18}+(?:Z|[+-][0-9:]{2,6}+)?")
"""What of ISO 8601 may follow a date."""
_MONTH = re.compile(
    "jan|f[eé]b|f[eé]v|m[aä]r|mrz|maa|a[pvb]r|ma[yijg]|mei|jun|jui|giu|jul|lug|aug|ago|aoû|sep|set"
    "|o[ckt]t|out|nov|d[eé]c|dez|dic|ene|gen",
    re.IGNORECASE,
)
"""How the names of the months begin, from English to Dutch."""


class DateOfBirth(Finder):
    """Dates behind *born*, *date of birth*, *né le*, *geboren am*, 出生日期 and
    the like, or before 出生 and 生まれ. Other dates, and years alone, are none."""

    ENTITY = "DATE_OF_BIRTH"
    DIGITS_MIN = 1
    _NUMERIC = re.compile(
        rf"[0-9]{_FIRST}[0-9]{{0,3}}+(-|/|\.(?: |)| )[0-9]{{1,2}}\1([0-9]{{1,4}})"
        rf"(?:{NUMBER_END}|(?=T[0-9]{{2}}:[0-9]{{2}}))"
    )
    _COMPACT = re.compile(
        rf"[12]{_FIRST}[089][0-9]{{2}}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01]){NUMBER_END}"
    )
    _DAY_FIRST = re.compile(
        rf"[0-9]{_FIRST}[0-9]?[a-zº.]{{0,2}}+[ -](?:[a-z]{{2,3}}+ )?"
        rf"([A-Za-zäéû]{{3,9}}+)\.?[ ,-]{{1,2}}+(?:[a-z]{{2,3}}+ )?"
        rf"(?:{_YEAR}|'?[0-9]{{2}}){NUMBER_END}"
    )
    _MONTH_FIRST = re.compile(
        rf"[ADFJMNOSadfjmnos]{STARTED}[A-Za-z]{{2,8}}+\.? "
        rf"(?:[0-9]{{1,2}}+[a-z]{{0,2}}+,? )?{_YEAR}{NUMBER_END}"
    )
    _CJK = re.compile(
        r"[0-9明大昭平令](?<![0-9].)(?:[0-9]{3}|[治正和成][0-9元]{1,2})年 ?"
        r"[0-9]{1,2} ?月(?: ?[0-9]{1,2} ?日)?"
    )
    _CUE = cue(
        "born|birth|dob|d.o.b|né|naiss|geb|nacid|nacim|nasc|nato|nata|生",
        r"(?<![a-z])born(?![a-z])|birth|(?<![a-z])dob(?![a-z])|d\.o\.b\.?"
        r"|(?<![a-z])née?(?:\(e\))?(?![a-z])"
        r"|naissance|(?<![a-z])geboren|(?<![a-z])geb\.|geburt|geboorte|(?<![a-z])nacid[oa]"
        r"|nacimiento|(?<![a-z])nascid[oa]|nascimento|nascita|(?<![a-z])nat[oa] (?:il|a)(?![a-z])"
        r"|出生|生年月日|生日|生[于於]",
        r"[^0-9]{0,40}",
    )
    _BEHIND = re.compile(" ?(?:出生|生まれ|生(?![一-龥]))")

    def find(self, text: str) -> Iterator[Found]:
        shapes = (self._NUMERIC, self._DAY_FIRST, self._MONTH_FIRST, self._COMPACT, self._CJK)
        for found in self._CUE.behind(text, *shapes):
            if self._is_date(found):
                time = _TIME.match(text, found.end())
                yield found.start(), time.end() if time else found.end(), 0.85
        if "出生" in text or "生まれ" in text or "日生" in text:
            for shape in (self._NUMERIC, self._CJK):
                for found in shape.finditer(text):
                    if self._BEHIND.match(text, found.end()) and self._is_date(found):
                        yield (*found.span(), 0.85)

    def _is_date(self, found: re.Match[str]) -> bool:
        if found.re is self._NUMERIC:
            return _is_numeric_date(found[0], found[2])
        if found.re is self._DAY_FIRST:
            return _MONTH.match(found[1]) is not None
        return found.re is not self._MONTH_FIRST or _MONTH.match(found[0]) is not None


def _is_numeric_date(written: str, last: str) -> bool:
    """Year, month, day, or day and month in either order and a year of four digits or two."""
    first, second, third = map(int, re.findall("[0-9]+", written))
    if not written[2].isdecimal() or not written[:4].isdecimal():
        year, months = third, sorted((first, second))
        of_length = len(last) in (2, 4)
    else:
        year, months = first, [second, third]
        of_length = len(last) <= 2
    return (
        of_length
        and (year < 100 or 1800 <= year < 2100)
        and 1 <= months[0] <= 12
        and 1 <= months[1] <= 31
    )
