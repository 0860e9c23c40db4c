"""Organizations by what their names end or begin with: legal forms, and words such as bank."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from gateway.backends.recognizers.finder import Finder, Found
from gateway.backends.recognizers.words import HAN, TITLES, Capital, capitals, listed

_FORMS = frozenset(
    ["Inc", "Incorporated", "Ltd", "Limited", "LLC", "LLP", "PLC", "Plc", "Corp", "Corporation",
     "Co", "GmbH", "AG", "KG", "KGaA", "OHG", "UG", "SE", "SA", "SAS", "SARL", "SL", "SLU",
     "BV", "NV", "SpA", "Srl", "Oy", "AB", "AS", "Pty", "Pte"]
)  # fmt: skip
_KINDS = frozenset(
    ["Bank", "University", "College", "Institute", "Hospital", "Foundation", "Holdings", "Group",
     "Company", "Industries", "Technologies", "Laboratories", "Pharmaceuticals", "Airlines",
     "Insurance", "Association", "Society", "Clinic", "Partners", "Associates", "Universität",
     "Hochschule", "Klinikum", "Stiftung", "Versicherung", "Sparkasse", "Verein"]
)  # fmt: skip
_HEADS = frozenset(
    ["University of", "Bank of", "Institute of", "Ministry of", "Department of", "Universität",
     "Université de", "Banque de", "Institut de", "Ministère de", "Hôpital", "Universidad de",
     "Banco de", "Instituto de", "Ministerio de", "Hospital de", "Società", "Universidade de"]
)  # fmt: skip
_HAN_ENDS = (
    "股份有限公司|有限责任公司|有限公司|分公司|公司|集团|集團|大学|大學|学院|學院|医院|醫院|银行|銀行"
    "|研究院|研究所|事务所|基金会|协会|出版社|中学|小学|法院|派出所|俱乐部"
)
_HAN_BODY_MIN, _HAN_BODY_MAX = 2, 15
_HAN_BEFORE = "在于是到的和与及给向从为被把由让对找去了我他她你们就职任"
_HAN_NAMES = ("华为", "華為", "和平", "和记", "和記", "共和", "协和", "協和", "中和", "人和")
"""What has one of these characters, and ends no word before a name."""
_ARTICLES = frozenset(["The", "Die", "Der", "Das", "La", "Le", "El"])
_GAPS = frozenset(
    [" ", " & ", " + ", " of ", " for ", " für ", " de ", " du ", " des ", " del ", "-"]
)  # fmt: skip
_JOINING = frozenset({" ", " & ", " + ", "-"})
_OF_WHAT = (_KINDS | {head.split(" ")[0] for head in _HEADS}) | frozenset(
    ["Academy", "Board", "Center", "Centre", "Church", "Council", "Federation", "Friends",
     "Gesellschaft", "House", "Museum", "School", "Trust", "Union", "Verband", "Zentrum"]
)  # fmt: skip
"""What is said to be of or for something; other capital words before that are somebody's name."""
_OF = frozenset({" of ", " for ", " für "})
_GAP_MAX = max(map(len, _GAPS))
_WORDS_MAX = 5

WITH_FORM, WITH_KIND, HAN_NAMED = 0.85, 0.5, 0.7


class Organization(Finder):
    """A capital word or more before a legal form or a kind of organization; or behind a kind."""

    ENTITY = "ORGANIZATION"
    _BODY = re.compile(f"[{HAN}0-9A-Za-z]")
    _CHINESE_END = re.compile(f"(?:{_HAN_ENDS})")

    def load(self) -> None:
        """Read the list of first names."""
        self._first = listed("first_names.txt")

    def find(self, text: str) -> Iterator[Found]:
        words = capitals(text)
        at = 0
        while at < len(words):
            taken, score = _organization_at(text, words, at, self._first)
            if taken:
                yield words[at].start, _with_dot(text, words[at + taken - 1]), score
            at += taken or 1
        for found in self._CHINESE_END.finditer(text):
            start = self._chinese_start(text, found.start())
            if found.start() - start >= _HAN_BODY_MIN:
                yield start, found.end(), HAN_NAMED

    def _chinese_start(self, text: str, at: int) -> int:
        """Backwards from the end of a name to a word that stands before one."""
        floor = max(0, at - _HAN_BODY_MAX)
        while at > floor and self._BODY.match(text, at - 1):
            inside = text.startswith(_HAN_NAMES, at - 2) or text.startswith(_HAN_NAMES, at - 1)
            if text[at - 1] in _HAN_BEFORE and not inside:
                break
            at -= 1
        return at


def _organization_at(
    text: str, words: Sequence[Capital], at: int, first_names: frozenset[str]
) -> tuple[int, float]:
    """How many words from there on are one name, and how sure that is; (0, 0) if none."""
    taken, score = 0, 0.0
    if words[at].written in _ARTICLES | TITLES:
        return taken, score
    is_name = words[at].word in first_names
    for many in range(1, min(_WORDS_MAX, len(words) - at)):
        before, last = words[at + many - 1], words[at + many]
        gap = text[before.end : last.start] if last.start - before.end <= _GAP_MAX else ""
        if gap.strip() in (",", ".,") and last.written in _FORMS:
            return many + 1, WITH_FORM
        if gap not in _GAPS or last.written in TITLES:
            break
        if gap in _OF and before.written not in _OF_WHAT:
            break
        if is_name and gap not in _JOINING:
            break
        if last.written in _FORMS:
            return many + 1, WITH_FORM
        if last.written in _KINDS:
            taken, score = many + 1, WITH_KIND
        head = text[words[at].start : last.start].rstrip()
        if head in _HEADS:
            taken, score = max(taken, many + 1), WITH_KIND
    return taken, score


def _with_dot(text: str, last: Capital) -> int:
    """The dot of `Inc.` and `Ltd.` is theirs."""
    is_short = last.written in ("Inc", "Ltd", "Corp", "Co")
    return last.end + int(is_short and text.startswith(".", last.end))
