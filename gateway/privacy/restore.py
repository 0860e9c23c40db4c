"""The verb restore: an answer's placeholders → the values that they stand for, fed in pieces. Pure.

Only what the vault holds is restored; a look-alike that a user typed or a model made up stays. A
model may change the case of a placeholder, and write `_` as `\\_`, a space or `-`; nothing else is
guessed. Of a stream, no more is held back than a suffix that can still grow into a placeholder.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Hashable
from dataclasses import dataclass

from gateway.privacy.placeholder import begin, canonical, pattern
from gateway.privacy.redact import Vault

_CONTEXT = 6  # characters that decide whether a word starts: the length of `\\u5361`
_JSON_DEPTH_MAX = 4


@dataclass(slots=True)
class _Lane:
    json_depth: int = 0
    before: str = ""  # what came last, and is told
    held: str = ""


class Restorer:
    """Puts back the values of one request's vault, in any number of lanes of text.

    A lane is one text that arrives in pieces; its name is any hashable. `json_depth` says how often
    the text is JSON-escaped: a value is escaped as often before it is put in."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._known = sorted(vault.placeholders())
        self._begin = re.compile(begin(vault.entities() or ["_"]))
        self._longest = max(map(len, self._known), default=0)
        self._gaps_max = max((name.count("_") for name in self._known), default=0)
        self._patterns: dict[int, re.Pattern[str]] = {}
        self._lanes: dict[Hashable, _Lane] = {}

    def __repr__(self) -> str:
        return f"Restorer({self._vault!r})"

    def feed(self, lane: Hashable, text: str, json_depth: int = 0) -> str:
        """What of the lane's text can be told now, values restored."""
        if not self._known:
            return text
        state = self._lanes.setdefault(lane, _Lane())
        state.json_depth = min(json_depth, _JSON_DEPTH_MAX)
        return self._advance(state, text, final=False)

    def flush(self, lane: Hashable) -> str:
        """What the lane still held back: its text is at its end, and the lane forgotten."""
        state = self._lanes.pop(lane, None)
        return self._advance(state, "", final=True) if state and state.held else ""

    def held_lanes(self) -> list[Hashable]:
        """The lanes that hold something back, in the order in which they were first fed."""
        return [lane for lane, state in self._lanes.items() if state.held]

    def _advance(self, state: _Lane, more: str, *, final: bool) -> str:
        text = state.before + state.held + more
        done = len(state.before)
        hold = len(text) if final else self._hold_from(text, done, state.json_depth)
        pieces: list[str] = []
        while (found := self._next(text, done, state.json_depth)) and found.start() < hold:
            value = self._vault[canonical(found[0])]
            pieces += (text[done : found.start()], _escaped(value, state.json_depth))
            done = found.end()
            if hold < done:
                hold = self._hold_from(text, done, state.json_depth)
        pieces.append(text[done:hold])
        state.before, state.held = text[max(0, hold - _CONTEXT) : hold], text[hold:]
        return "".join(pieces)

    def _next(self, text: str, start: int, json_depth: int) -> re.Match[str] | None:
        """The first placeholder that the vault knows. One that it does not know may overlap it."""
        if json_depth not in self._patterns:
            self._patterns[json_depth] = pattern(self._vault.entities(), 2**json_depth)
        search = self._patterns[json_depth].search
        found = search(text, start)
        while found and canonical(found[0]) not in self._vault:
            found = search(text, found.start() + 1)
        return found

    def _hold_from(self, text: str, floor: int, json_depth: int) -> int:
        """Where the first suffix begins that is, or may become, a known placeholder."""
        longest = self._longest + self._gaps_max * 2**json_depth
        for found in self._begin.finditer(text, max(floor, len(text) - longest)):
            suffix = text[found.start() :]
            if suffix.isascii() and self._is_prefix(canonical(suffix)):
                return found.start()
        return len(text)

    def _is_prefix(self, written: str) -> bool:
        at = bisect_left(self._known, written)
        return at < len(self._known) and self._known[at].startswith(written)


def _escaped(value: str, json_depth: int) -> str:
    for _ in range(json_depth):
        value = json.dumps(value, ensure_ascii=False)[1:-1]
    return value
