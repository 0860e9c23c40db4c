"""Another day in the words of a written date: what `replace` puts in place of a birthday. Pure.

The year is one from 1930 to 2005. Day and month are both at most 12 where they are numbers, so that
either may come first; the name of a month becomes another of the same language and length of form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_MONTHS = [
    row.split()
    for row in (
        "January February March April May June July August September October November December",
        "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "Jan Feb Mrz Apr Mai Jun Jul Aug Sep Okt Nov Dez",
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre "
        "dicembre",
        "januari februari maart april mei juni juli augustus september oktober november december",
    )
]
"""English, German, French, Spanish, Portuguese, Italian, Dutch, in their usual case. Of those that
share a name the first is meant."""

_ORDINALS = {"st": (1, 21), "nd": (2, 22), "rd": (3, 23), "th": (4, 20)}
_YEARS = (1930, 2005)
_OTHER_WORDS = frozenset({"de", "del", "of", "the", "年", "月", "日", "号", "號", "º"})
_PARTS = re.compile(r"([0-9]+)(st|nd|rd|th)?|([^\W\d_]+)|([^0-9A-Za-z]|_)", re.IGNORECASE)


def another_day(written: str, dice: Iterator[int]) -> str | None:
    """None where something stands in it that is not known to belong to dates."""
    if re.fullmatch("[12][0-9]{7}", written):
        return f"{_between(*_YEARS, dice)}{_between(1, 12, dice):02}{_between(1, 28, dice):02}"
    parts = list(_PARTS.finditer(written))
    if "".join(part[0] for part in parts) != written or not any(part[1] for part in parts):
        return None
    years = [at for at, part in enumerate(parts) if len(part[1] or "") == 4]
    last = max(at for at, part in enumerate(parts) if part[1])
    is_padded = all(len(part[1]) > 1 for part in parts if part[1])
    has_month = any(_month_names(part[3]) for part in parts if part[3])
    made = []
    for at, part in enumerate(parts):
        is_year = at in years or (not years and at == last)
        new = _number(part, is_year, has_month, is_padded, dice) if part[1] else _word(part, dice)
        if new is None:
            return None
        made.append(new)
    return "".join(made)


def _number(
    part: re.Match[str], is_year: bool, is_day: bool, is_padded: bool, dice: Iterator[int]
) -> str | None:
    """As wide as it was; `is_day`: the month is told by its name."""
    width, ordinal = len(part[1]), part[2]
    if is_year:
        year = str(_between(*_YEARS, dice))
        return year[-width:] if width in (2, 4) and not ordinal else None
    if width > 2:
        return None
    if ordinal:
        low, high = _ORDINALS[ordinal.lower()]
        days = range(4, 21) if high == 20 else (low, high)
        options = [day for day in map(str, days) if len(day) == width]
        return options[next(dice) % len(options)] + ordinal if options else None
    most = 9 if width == 1 else 28 if is_day else 12
    least = 10 if width == 2 and (is_day or not is_padded) and part[1][0] != "0" else 1
    return f"{_between(least, most, dice):0{width}}"


def _word(part: re.Match[str], dice: Iterator[int]) -> str | None:
    word = part[3]
    if word is None:
        return part[0]
    if names := _month_names(word):
        return _in_case(word, names[next(dice) % 12])
    return word if word.lower() in _OTHER_WORDS else None


def _month_names(word: str) -> list[str] | None:
    """Of the language that writes it so, or else in another case."""
    for written in (word, word.capitalize(), word.lower()):
        for names in _MONTHS:
            if written in names:
                return names
    return None


def _in_case(word: str, name: str) -> str:
    if word.isupper():
        return name.upper()
    return name.capitalize() if word[0].isupper() else name.lower()


def _between(low: int, high: int, dice: Iterator[int]) -> int:
    return low + (next(dice) << 8 | next(dice)) % (high - low + 1)
