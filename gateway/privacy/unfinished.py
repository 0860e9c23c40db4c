"""Where the end of a text begins that what comes next may make a finding, or make longer. Pure.

A word may go on, so may a finding with spaces in it, and a private key goes on until its END line.
"""

from __future__ import annotations

import re
import string

from gateway.privacy.profile import Using

_SPACED = 40  # characters of a finding that can have spaces in it
_LONGER = {
    "IBAN_CODE": 48,
    "ORGANIZATION": 80,
    "PERSON": 64,
    "PRIVATE_KEY": 96,
    "STREET_ADDRESS": 120,
}
_WITHOUT_SPACES = frozenset({"API_KEY", "EMAIL_ADDRESS", "IP_ADDRESS", "JWT", "URL", "UUID"})

_LAST_BREAK = re.compile("(?s:.*)[\\s\u0e00-\u0e4f\u2e80-\ua4cf\uac00-\ufeff，！？；]")
"""What parts words: spaces, and letters and signs of Thai, Chinese, Japanese and Korean, none of
which is read as an ASCII character. A kind without spaces has none of them in it."""
_WORD = string.ascii_letters + string.digits

_LABEL = r"[0-9A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_KEY_BEGIN = re.compile(f"-----BEGIN {_LABEL}")
_KEY_END = re.compile(f"-----END {_LABEL}")
_KEY_END_MAX = 80

_OPEN_TOKEN = re.compile(r"(?<![0-9A-Za-z])eyJ[0-9A-Za-z_-]*+(?:\.[0-9A-Za-z_-]*+)?\Z")

ENDS = {"PRIVATE_KEY": _KEY_END}
WORD_ENDS = re.compile(r"(?=[^0-9A-Za-z_.+/=~$%:@-])")
"""Where what was longer than can be held is over: by entity, and of all others."""


class Unfinished:
    """Of findings of these `entities`; `using` may add words that are longer."""

    def __init__(self, entities: frozenset[str], using: Using) -> None:
        spaced = entities - _WITHOUT_SPACES
        longest = [_LONGER.get(entity, _SPACED) for entity in spaced]
        words = [word for one in using.custom if one.entity in spaced for word in one.deny]
        longest += [len(word) + 1 for word in words]
        self._window = max(longest, default=0)
        self._has_keys = "PRIVATE_KEY" in entities
        self._has_tokens = "JWT" in entities

    def begin(self, text: str, floor: int) -> int:
        """At or behind `floor`, and where a word of ASCII begins."""
        hold = min(_word_begin(text, floor), max(floor, len(text) - self._window))
        if self._has_keys:
            hold = min(hold, _open_key(text, floor))
        return word_begin_before(text, floor, hold)

    def open_token(self, text: str, floor: int) -> int | None:
        """Where a JSON Web Token begins that has no second dot yet, and so is none yet."""
        found = _OPEN_TOKEN.search(text, floor) if self._has_tokens else None
        return found.start() if found else None


def word_begin_before(text: str, floor: int, at: int) -> int:
    """`at`, or where the word of ASCII letters and digits begins that it would cut."""
    if text[at : at + 1] in _WORD:
        return floor + len(text[floor:at].rstrip(_WORD))
    return at


def _word_begin(text: str, floor: int) -> int:
    last = _LAST_BREAK.match(text, floor)
    return last.end() if last else floor


def _open_key(text: str, floor: int) -> int:
    """Up to the next line of dashes all may be a key; whether that is its end, shows when the line
    is whole."""
    for begin in _KEY_BEGIN.finditer(text, floor):
        dashes = text.find("-----", begin.end())
        is_whole = dashes >= 0 and (
            len(text) - dashes >= _KEY_END_MAX or _KEY_END.match(text, dashes)
        )
        if not is_whole:
            return begin.start()
    return len(text)
