"""Secrets: API keys that show by their prefix whose they are, JSON Web Tokens, private keys."""

from __future__ import annotations

import base64
import json
import re
import string
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from gateway.backends.recognizers import secret_formats
from gateway.backends.recognizers.finder import STARTED, Finder, Found
from gateway.backends.recognizers.reading import KEY_MARKS, LONG_RUN
from gateway.privacy.spans import WORD_END, word_start

Run = tuple[int, int]
"""Where it begins and ends."""

_KEY_CHARACTERS: Final = string.ascii_letters.encode() + string.digits.encode() + KEY_MARKS
_OF_KEYS: Final = bytes(ord("x" if byte in _KEY_CHARACTERS else " ") for byte in range(256))


class ApiKey(Finder):
    """Keys in the formats of well-known providers, and this gateway's own (`secret_formats`).

    All are long: a text is read once for runs of such characters, and a key is only looked for
    inside those with a digit or a long word, so that another format costs nothing. A key of hardly
    any different characters is a sample."""

    ENTITY = "API_KEY"
    NEEDS_LONG_RUN = True
    _LEAD = 2
    _PROMISING = re.compile("[0-9]|[0-9A-Za-z]{16}")
    _DISCORD = re.compile(
        rf"([MNO]{STARTED}[\w-]{{23,27}})\.[\w-]{{6}}\.[\w-]{{27,38}}{WORD_END}", re.ASCII
    )
    _DISCORD_MIN = 58
    _AWS_SECRET = re.compile(
        r"[Aa][Cc][Cc][Ee][Ss][Ss]_?[Kk][Ee][Yy][\"']?\s{0,4}(?:=>|[:=])\s{0,4}[\"']?"
        r"([\w/+]{40})(?![\w/+=])",
        re.ASCII,
    )
    _SAYS_SO = re.compile("[Kk]ey|KEY|[Tt]oken|TOKEN|[Ss]ecret|SECRET|[Pp]assw|PASSW|[=:]|密[钥鑰]")
    _AWS_SECRET_LENGTH = 40
    _CUE_FAR = 40
    _DIFFERENT_MIN = 5

    def load(self) -> None:
        self._leads: dict[str, list[re.Pattern[str]]] = {}
        for lead, rest in secret_formats.LEADS:
            shape = re.compile(rf"{re.escape(lead)}{rest}{WORD_END}", re.ASCII)
            self._leads.setdefault(lead[: self._LEAD], []).append(shape)
        first, second = (_set_of(column) for column in zip(*self._leads, strict=True))
        self._lead = re.compile(rf"{first}{STARTED}(?={second})")
        self._middle = re.compile("|".join(re.escape(row[0]) for row in secret_formats.MIDDLES))
        self._about = {
            middle: (low, high, re.compile(rf"{word_start()}(?:{shape}){WORD_END}", re.ASCII))
            for middle, low, high, shape in secret_formats.MIDDLES
        }
        self._cue = re.compile("|".join(cue for cue, _ in secret_formats.CUED))
        self._cued = {cue: _behind(cue, shape) for cue, shape in secret_formats.CUED}

    def find(self, text: str) -> Iterator[Found]:
        longest = 0
        for run in long_runs(text):
            longest = max(longest, run[1] - run[0])
            if self._PROMISING.search(text, *run):
                for start, end in chain(self._by_lead(text, run), self._by_middle(text, run)):
                    if len(set(text[start:end])) >= self._DIFFERENT_MIN:
                        yield start, end, 1.0
                for start, end in self._behind_cues(text, run):
                    yield start, end, 0.8
        if longest >= self._AWS_SECRET_LENGTH:
            for found in self._AWS_SECRET.finditer(text):
                yield (*found.span(1), 0.9)

    def _by_lead(self, text: str, run: Run) -> Iterator[Run]:
        done = 0
        for word in self._lead.finditer(text, *run):
            start = word.start()
            if start >= done:
                for shape in self._leads.get(text[start : start + self._LEAD], ()):
                    if found := shape.match(text, start):
                        done = found.end()
                        yield found.span()

    def _by_middle(self, text: str, run: Run) -> Iterator[Run]:
        for middle in self._middle.finditer(text, *run):
            low, high, shape = self._about[middle[0]]
            for start in range(max(0, middle.start() - high), middle.start() - low + 1):
                if found := shape.match(text, start):
                    yield found.span()
        if run[1] - run[0] >= self._DISCORD_MIN:
            for found in self._DISCORD.finditer(text, *run):
                if _is_number(found[1]):
                    yield found.span()

    def _behind_cues(self, text: str, run: Run) -> Iterator[Run]:
        start, end = run
        before = max(0, start - self._CUE_FAR)
        for cue in set(self._cue.findall(text[before:end].lower())):
            for found in self._cued[cue].finditer(text, before, end + 1):
                if self._SAYS_SO.search(text, found.start(), found.start(1)):
                    yield found.span(1)


def long_runs(text: str) -> Iterator[Run]:
    """Runs of what keys are made of that are long enough for one. The text is mapped to two bytes,
    in which a long run is a word to search for: a pattern would read each word again from each of
    its letters."""
    mapped = text.encode("ascii", "replace").translate(_OF_KEYS)
    end = 0
    while (start := mapped.find(LONG_RUN, end)) >= 0:
        end = mapped.find(b" ", start)
        if end < 0:
            end = len(mapped)
        yield start, end


def _set_of(characters: Iterable[str]) -> str:
    return f"[{''.join(sorted(map(re.escape, set(characters))))}]"


def _behind(cue: str, shape: str) -> re.Pattern[str]:
    """The form not far behind the cue, on the same line."""
    first = f"[{cue[0]}{cue[0].upper()}](?i:{re.escape(cue[1:])})"
    return re.compile(
        rf"{first}[^\n]{{0,40}}?(?<![0-9A-Za-z+/])({shape})(?![0-9A-Za-z+/=-])", re.ASCII
    )


def _is_number(segment: str) -> bool:
    """Of a Discord token the first part is the bot's number, in base64."""
    try:
        return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)).isdigit()
    except ValueError:
        return False


class JsonWebToken(Finder):
    """JSON Web Tokens, signed (RFC 7515) or encrypted (RFC 7516): the header decodes to JSON.

    The pattern takes the whole run of base64url in any case, so that no run is tried twice."""

    ENTITY = "JWT"
    NEEDLES = ("eyJ",)
    _SHAPE = re.compile(
        rf"e{STARTED}yJ[\w-]*+(\.[\w-]++\.[\w-]*+(?:\.[\w-]*+\.[\w-]*+)?)?", re.ASCII
    )
    _HEADER_MAX = 16_384

    def find(self, text: str) -> Iterator[Found]:
        for found in self._SHAPE.finditer(text):
            if found[1] and self._is_header(text[found.start() : found.start(1)]):
                yield (*found.span(), 1.0)

    def _is_header(self, segment: str) -> bool:
        if len(segment) > self._HEADER_MAX:
            return False
        try:
            header = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
        except (ValueError, RecursionError):
            return False
        return isinstance(header, dict)


class PrivateKey(Finder):
    """Private keys in PEM (RFC 7468) and OpenPGP's armour, whole or with their end cut off.

    Line ends may be escaped, as they are in JSON and environment files."""

    ENTITY = "PRIVATE_KEY"
    NEEDLES = ("PRIVATE KEY",)
    _LABEL = r"[0-9A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    _BEGIN = re.compile(f"-----BEGIN {_LABEL}")
    _END = re.compile(f"-----END {_LABEL}")
    _HEADER = re.compile(r"(?:\s|\\[nr\\]){0,20}[A-Za-z-]{1,20}+: [^\r\n\\]{0,100}+")
    _HEADERS_MAX = 4
    _RUN = re.compile(r"""(?:\s|\\[nrt\\]|[,"']){0,200}[0-9A-Za-z+/=]{16,}+""")
    _LAST_RUN = re.compile(rf"(?:[\r\n]|\\[nr\\]){{1,4}}[0-9A-Za-z+/=]{{1,15}}{WORD_END}")

    def find(self, text: str) -> Iterator[Found]:
        for begin in self._BEGIN.finditer(text):
            end = self._end_of(text, begin.end())
            if end is not None:
                yield begin.start(), end, 1.0

    def _end_of(self, text: str, at: int) -> int | None:
        """Behind the END line, if that is the next line of dashes; else as far as the key goes."""
        dashes = text.find("-----", at)
        if dashes >= 0 and (end := self._END.match(text, dashes)):
            return end.end()
        for _ in range(self._HEADERS_MAX):
            if header := self._HEADER.match(text, at):
                at = header.end()
        body = None
        while run := self._RUN.match(text, at):
            body = at = run.end()
        if body is not None and (last := self._LAST_RUN.match(text, body)):
            body = last.end()
        return body
