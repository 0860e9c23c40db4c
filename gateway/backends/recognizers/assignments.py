"""Where a text gives a value to a name: code, environment files, YAML, JSON, options, sentences.

Pure. What a value must be like to be a secret is told here too: the name alone says little, for
code is full of `password = self.password` and documents of `"password": "<your password>"`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

VALUE_MAX = 200
_LINE_MAX = 120  # how far the beginning of a line is looked for


@dataclass(frozen=True, slots=True)
class Assignment:
    """`text[start:end]` is the value. `literal`: it cannot be an expression of a program."""

    start: int
    end: int
    value: str
    literal: bool


_IS = r"(?:was|is|ist|lautet|est|es|will be|is now)(?::|(?= ))"
_SEPARATOR = re.compile(
    r"""\\{0,3}+["'`]?+\]?+\*{0,3}+"""  # the end of a quoted or bold name, or of an index
    r"[ \t]{0,8}+(?:(?::[ \t]?[A-Za-z][\w\[\].|]{0,24}+[ \t]?)?"  # a type
    r"(?:=>|:=|\?=|={1,3}+|!==?)|:(?:\*{2}(?= ))?"
    rf"|是|为|為|は|{_IS})[ \t]{{0,8}}+"
)
_OF_WHAT = re.compile(r" (?:for|of|to|für|von|pour|para) [\w.' -]{1,60}+")
_SAYS = re.compile(r" (?:is|was|ist|lautet|est|es):? ")
_SET_TO = re.compile(" to ")
_SETTING = re.compile(r"\b(?:set|changed?|reset|updated?) [\w' ]{0,24}\Z", re.IGNORECASE)
_CELL = re.compile(r"\|[ \t]{0,8}\*{0,2}\Z")
_NEXT_CELL = re.compile(r"\*{0,2}+[ \t]{0,8}+\|[ \t]{0,8}+([!-{}~]{1,200}+)[ \t]{0,8}+\|")
_SPACE = re.compile(r"[ \t](?=[!-~\u201c\u201e\u00ab])")
_OPTION = re.compile(r"(?:[ \t]|=)[ \t]{0,2}+")
_DASHES = re.compile(r"--?[\w-]{0,24}\Z")
_TAG = re.compile(r"<[\w:.-]{0,24}\Z")
_QUOTE = re.compile(r"""[bBfFrRuU]?(\\{0,3}+)(["'`])""")
_TYPOGRAPHIC = {
    "\u201c": "\u201d", "\u201e": "\u201c\u201d", "\u00ab": "\u00bb", "\u00bb": "\u00ab",
    "\u2018": "\u2019", "\u201a": "\u2018\u2019", "\u2039": "\u203a",
}  # fmt: skip
"""Quotation marks that open, and what closes them."""
_RUN = re.compile(r"[!-~]{1,201}")
_FIELD = r"[ \t]{0,2}+[\w$.-]{1,40}+(?: [\w-]{1,20}+){0,2}[=:(\[]"
_END = re.compile(
    rf"""[;,]\Z|[;&,](?=[&"'`\[{{]|{_FIELD})"""
    r"""|<(?=!|/?[A-Za-z][\w:-]{0,20}(?:[/>]|\Z))|(?:\\r)?\\n"""
    r"""|\\{0,3}["'`](?=[\]}),:;])"""
)
"""Where a value without quotes ends before white space: where the next field, a tag or a line
begins, or a string closes."""
_JOINS = re.compile("""["&,;<>`]""")
_QUOTES = re.compile(r"""\\{0,3}+["'`]""")
_STOPS = (".", ",", ":")
_BRACKETS = {")": "(", "]": "[", "}": "{"}
_ENVIRONMENT = re.compile(r"(?:\A|[\n\r]|\\n)(?:export |set |ENV |ARG |- )?[A-Z0-9_]{0,40}\Z")


def assigned(text: str, at: int, name_start: int) -> Assignment | None:
    """What is given to the name that ends at `at`, if anything is."""
    before = text[max(0, name_start - _LINE_MAX) : name_start]
    if text.startswith(">", at):
        return _tagged(text, at + 1) if _TAG.search(before) else None
    separator = _SEPARATOR.match(text, at)
    if separator is None and _DASHES.search(before):
        separator = _OPTION.match(text, at)
    separator = separator or _of_sentence(text, at, before)
    if separator is None:
        return _in_next_cell(text, at) if _CELL.search(before) else None
    if quoted := _in_quotes(text, separator.end()):
        return quoted
    if "!" in separator[0] or "==" in separator[0]:
        return None
    in_environment = "=" in separator[0] and _ENVIRONMENT.search(before)
    if in_environment and text[name_start:at].isupper():
        return _to_space(text, separator.end())
    return _bare(text, separator.end())


def _of_sentence(text: str, at: int, before: str) -> re.Match[str] | None:
    """`set the password to x`, `the password for the router is x`."""
    if _SETTING.search(before) and (said := _SET_TO.match(text, at)):
        return said
    what = _OF_WHAT.match(text, at)
    return _SAYS.search(text, at, what.end() + 2) if what else None


def spaced(text: str, at: int) -> Assignment | None:
    """What stands behind the name that ends at `at`, with nothing but a space between."""
    space = _SPACE.match(text, at)
    return (_in_quotes(text, space.end()) or _bare(text, space.end())) if space else None


def _in_next_cell(text: str, at: int) -> Assignment | None:
    """In a table of Markdown what stands right of the name."""
    cell = _NEXT_CELL.match(text, at)
    return Assignment(*cell.span(1), cell[1], False) if cell else None


def _in_quotes(text: str, at: int) -> Assignment | None:
    if quote := _QUOTE.match(text, at):
        return _quoted(text, quote)
    closing = _TYPOGRAPHIC.get(text[at : at + 1])
    if closing is None:
        return None
    shut = re.compile(f"[{closing}\\n]").search(text, at + 1, at + VALUE_MAX)
    if shut is None or shut[0] == "\n":
        return None
    value = text[at + 1 : shut.start()].strip()
    start = text.find(value, at + 1)
    return Assignment(start, start + len(value), value, True) if value else None


def _tagged(text: str, start: int) -> Assignment | None:
    end = text.find("<", start, start + VALUE_MAX + 1)
    return Assignment(start, end, text[start:end], True) if end > start else None


def _quoted(text: str, quote: re.Match[str]) -> Assignment | None:
    """Up to the same quote, escaped as often as the first one."""
    start, closing = quote.end(), quote[1] + quote[2]
    limit = start + VALUE_MAX + len(closing)
    end = text.find(closing, start, limit)
    while not quote[1] and end > start and text[end - 1] == "\\":
        end = text.find(closing, end + 1, limit)
    return Assignment(start, end, text[start:end], True) if end > start else None


def _to_space(text: str, start: int) -> Assignment | None:
    run = _RUN.match(text, start)
    if run is None or len(run[0]) > VALUE_MAX:
        return None
    return Assignment(start, run.end(), run[0], True)


def _bare(text: str, start: int) -> Assignment | None:
    """A value without quotes: to the next white space, or to where something else begins.

    Commas, quotes and the like are of the value only where it has a digit: code has them too."""
    run = _RUN.match(text, start)
    if run is None:
        return None
    whole, before = run[0], text[max(0, start - _LINE_MAX) : start]
    if end := _END.search(whole):
        whole = whole[: end.start()]
    opened = _open_quote(before)
    closing = (one.start() for one in _QUOTES.finditer(whole) if one[0] == opened)
    whole = whole[: next(closing, None)]
    if not any(one.isdigit() for one in whole) and (joined := _JOINS.search(whole)):
        whole = whole[: joined.start()]
    value = _without_closing(whole, before)
    if not value or len(value) > VALUE_MAX:
        return None
    end_at = start + len(value)
    return Assignment(start, end_at, value, text.startswith(";", end_at))


def _open_quote(before: str) -> str:
    """The quote, with its backslashes, that is open at the end of the line so far; or none."""
    line = before.replace("\r", "\n").rpartition("\n")[2]
    opened = ""
    for found in _QUOTES.finditer(line):
        if opened:
            opened = "" if found[0] == opened else opened
        elif found[0] != "'" or not line[: found.start()][-1:].isalnum():  # an apostrophe
            opened = found[0]
    return opened


def _without_closing(value: str, before: str) -> str:
    """Without one full stop or the like at the end, and what closes a bracket before the value."""
    value = _without_brackets(value, before)
    return _without_brackets(value[:-1], before) if value.endswith(_STOPS) else value


def _without_brackets(value: str, before: str) -> str:
    while opening := _BRACKETS.get(value[-1:]):
        if opening in value or before.count(opening) <= before.count(value[-1]):
            break
        value = value[:-1]
    return value


_TEMPLATE = re.compile(
    r"[*•●]{3}|\.{3}|…|(?<![0-9A-Za-z])<[^>]{0,80}>|<[^>]{0,80}>\Z|\$[({]"
    r"|\{\{|\{[^}]{0,80}\}|%\(|%[sdr]|\A[\"'`]?\$[A-Za-z_]{1,40}\Z"
    r"|%[A-Za-z_]{1,40}%|\[[^\]]{1,80}\](?![0-9A-Za-z])"
    r"|(?<![0-9A-Za-z])\[[^\]]{1,80}\]|#\{|\Ax{3,}+\Z",
    re.IGNORECASE,
)
_STAND_IN = re.compile(r"[A-Z][A-Z_]{2,40}_(?:[A-Z2-7]{8}|[0-9a-f]{16})")
_PLACE = re.compile(r"[\w+.-]{0,20}://|[.~]{0,2}/[\w./-]{0,200}\Z|[A-Za-z]:\\|\.{1,2}\\")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}:[0-9]{2}")
_NAME = r"[A-Za-z_$][\w$]{0,60}+"
_EXPRESSION = re.compile(
    rf"[!*&@(]?{_NAME}(?:(?:\??\.|->|::){_NAME}){{0,8}}"
    r"(?:\Z|[(+].*+|\[(?:[^\]]*+|[^\]]*+\](?:[^0-9A-Za-z].*+)?)\Z"
    r"|\|[\w\[\]., |]*+\Z|\?\Z)",
    re.DOTALL,
)


def written_for_readers(value: str) -> bool:
    """A gap to be filled in, stars, an ellipsis, or what this gateway itself put into a text."""
    if len(set(value)) < 3 or _STAND_IN.fullmatch(value):
        return True
    return _TEMPLATE.search(value) is not None


def is_place(value: str) -> bool:
    """A path or an address: where a secret lies, not the secret."""
    return _PLACE.match(value) is not None


def is_expression(value: str) -> bool:
    """A name, an attribute, a call or an index, as programs have them."""
    return _EXPRESSION.fullmatch(value) is not None


_TURNS = re.compile(r"(?<=[A-Za-z])[0-9]|(?<=[0-9])[A-Za-z]")
_LETTERS_OF_A_WORD = re.compile(r"[a-z]{5}|[A-Z]{5}")
_TURNS_MIN, _BITS_MIN = 3, 2.7


def looks_random(value: str) -> bool:
    """Letters and digits in no order of words: a machine made it.

    Shannon's entropy alone cannot tell `oauth2Client` from a token: it also takes digits between
    letters at three places, or both cases and no five letters of one case in a row."""
    if not any(one.isdigit() for one in value) or not any(one.isalpha() for one in value):
        return False
    if _DATE.match(value) or bits_a_character(value) < _BITS_MIN:
        return False
    if len(_TURNS.findall(value)) >= _TURNS_MIN:
        return True
    return value.lower() != value != value.upper() and not _LETTERS_OF_A_WORD.search(value)


def bits_a_character(value: str) -> float:
    """Shannon's entropy of the value's characters."""
    total = len(value)
    return -sum(n / total * math.log2(n / total) for n in Counter(value).values())


def names(small: str, needles: tuple[str, ...]) -> Iterator[int]:
    """Where any of the needles begins in a text of small letters."""
    for needle in needles:
        at = small.find(needle)
        while at >= 0:
            yield at
            at = small.find(needle, at + len(needle))
