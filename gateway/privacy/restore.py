"""The verb restore: an answer's stand-ins → the values that they stand for, fed in pieces. Pure.

Only what the vault holds is restored; a look-alike that a user typed or a model made up stays. Of a
stream, no more is held back than a suffix that can still grow into a stand-in (wording.py).
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from gateway.privacy.mint import Vault
from gateway.privacy.nesting import Nesting
from gateway.privacy.wording import Hit, wordings

_CONTEXT = 6  # characters that decide whether a word starts: the length of `\\u5361`


@dataclass(slots=True)
class _Lane:
    nesting: Nesting | None  # of a text that is JSON
    before: str = ""  # what came last, and is told
    held: str = ""


class Restorer:
    """Puts back the values of one request's vault, in any number of lanes of text.

    A lane is one text that arrives in pieces; its name is any hashable. Of a lane that is JSON, a
    value is escaped as often as the string is into which it is put."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._wordings = wordings(vault.placeholders(), vault.synthetic())
        self._lanes: dict[Hashable, _Lane] = {}

    def __repr__(self) -> str:
        return f"Restorer({self._vault!r})"

    def feed(self, lane: Hashable, text: str, is_json: bool = False) -> str:
        """What of the lane's text can be told now, values restored."""
        if lane not in self._lanes and self._wordings:
            self._lanes[lane] = _Lane(Nesting() if is_json else None)
        if self.passes(lane, text):
            return text
        return self._advance(self._lanes[lane], text, final=False)

    def passes(self, lane: Hashable, text: str) -> bool:
        """Whether no stand-in is or begins in what goes on a lane that holds nothing, as in most of
        what comes: then it can be told as it is, and has been fed. Of a lane that is JSON, or has
        not begun, that is not asked."""
        state = self._lanes.get(lane)
        if state is None:
            return not self._wordings
        if state.held or state.nesting is not None:
            return False
        seen, done = state.before + text, len(state.before)
        for wording in self._wordings:
            if wording.begin.search(seen, done):
                return False
        state.before = seen[-_CONTEXT:]
        return True

    def whole(self, text: str, is_json: bool = False) -> str:
        """A text that comes in one piece, values restored."""
        return self._put_back(text, 0, len(text), Nesting() if is_json else None)[0]

    def flush(self, lane: Hashable) -> str:
        """What the lane still held back: its text is at its end, and the lane forgotten."""
        state = self._lanes.pop(lane, None)
        return self._advance(state, "", final=True) if state and state.held else ""

    def held_lanes(self) -> list[Hashable]:
        """The lanes that hold something back, in the order in which they were first fed."""
        return [lane for lane, state in self._lanes.items() if state.held]

    def _advance(self, state: _Lane, more: str, *, final: bool) -> str:
        text, done = state.before + state.held + more, len(state.before)
        hold = len(text) if final else self._hold_from(text, done, state.nesting is not None)
        told, hold = self._put_back(text, done, hold, state.nesting)
        state.before, state.held = text[max(0, hold - _CONTEXT) : hold], text[hold:]
        return told

    def _put_back(
        self, text: str, done: int, hold: int, nesting: Nesting | None
    ) -> tuple[str, int]:
        """What stands from `done` to `hold`, values restored, and where that ends: further on,
        where a stand-in does."""
        wordings, is_json = self._wordings, nesting is not None
        hits = [wording.find(text, done, is_json) for wording in wordings]
        pieces: list[str] = []
        is_lone = len(hits) == 1  # as nearly always
        while (hit := hits[0] if is_lone else _first(hits)) and hit[0] < hold:
            start, end, name = hit
            before, value = text[done:start], self._vault[name]
            if nesting is not None:
                nesting.feed(before)
                value = _escaped(value, nesting.depth)
                nesting.feed(name)
            pieces += (before, value)
            done = end
            for at, wording in enumerate(wordings):  # each reads a text once, whoever is hit
                if (known := hits[at]) and known[0] < done:
                    hits[at] = wording.find(text, done, is_json)
            if hold < done:
                hold = self._hold_from(text, done, is_json)
        rest = text[done:hold]
        if nesting is not None:
            nesting.feed(rest)
        return ("".join((*pieces, rest)) if pieces else rest), hold

    def _hold_from(self, text: str, floor: int, is_json: bool) -> int:
        """Where the first suffix begins that is, or may become, a stand-in."""
        return min([wording.hold_from(text, floor, is_json) for wording in self._wordings])


def _first(hits: Iterable[Hit | None]) -> Hit | None:
    """The first wins, and of two that begin together the longer."""
    first: Hit | None = None
    for hit in hits:
        if hit and (first is None or (hit[0], -hit[1]) < (first[0], -first[1])):
            first = hit
    return first


def _escaped(value: str, json_depth: int) -> str:
    """In JSON inside of JSON, a value that came with its escapes has one of them already."""
    if json_depth > 1 and "\\" in value and _is_escaped(value):
        json_depth -= 1
    for _ in range(json_depth):
        value = json.dumps(value, ensure_ascii=False)[1:-1]
    return value


def _is_escaped(value: str) -> bool:
    try:
        json.loads(f'"{value}"')
    except ValueError:
        return False
    return True
