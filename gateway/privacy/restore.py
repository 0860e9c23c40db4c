"""The verb restore: an answer's stand-ins → the values that they stand for, fed in pieces. Pure.

Only what the vault holds is restored; a look-alike that a user typed or a model made up stays. Of a
stream, no more is held back than a suffix that can still grow into a stand-in (wording.py).
"""

from __future__ import annotations

import json
from collections.abc import Hashable
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
        if not self._wordings:
            return text
        if (state := self._lanes.get(lane)) is None:
            state = self._lanes[lane] = _Lane(Nesting() if is_json else None)
        is_plain = self._is_plain(state, text, closely=False)
        return text if is_plain else self._advance(state, text, final=False)

    def whole(self, text: str, is_json: bool = False) -> str:
        """A text that comes in one piece, values restored."""
        state = _Lane(Nesting() if is_json else None)
        if not self._wordings or self._is_plain(state, text, closely=False):
            return text
        return self._advance(state, text, final=True)

    def passes(self, lane: Hashable, text: str, closely: bool = True) -> bool:
        """Whether the text can be told now and as it is, and then it has been fed. It may say no
        of a lane that is JSON, or has not begun; and, unless it looks `closely`, where any part of
        the text, fed by itself, would be held back."""
        if not self._wordings:
            return True
        state = self._lanes.get(lane)
        return state is not None and self._is_plain(state, text, closely=closely)

    def flush(self, lane: Hashable) -> str:
        """What the lane still held back: its text is at its end, and the lane forgotten."""
        state = self._lanes.pop(lane, None)
        return self._advance(state, "", final=True) if state and state.held else ""

    def held_lanes(self) -> list[Hashable]:
        """The lanes that hold something back, in the order in which they were first fed."""
        return [lane for lane, state in self._lanes.items() if state.held]

    def _is_plain(self, state: _Lane, more: str, *, closely: bool) -> bool:
        """Whether no stand-in is or may begin in what goes on a lane that holds nothing, as in most
        of what comes; then it is told. `closely`: a letter with which one might begin is no
        reason to say no, if none does."""
        if state.held or state.nesting is not None:
            return False
        text, done = state.before + more, len(state.before)
        for wording in self._wordings:
            if wording.may_begin(text, done) and not (
                closely
                and wording.hold_from(text, done, False) == len(text)
                and wording.find(text, done, False) is None
            ):
                return False
        state.before = text[-_CONTEXT:]
        return True

    def _advance(self, state: _Lane, more: str, *, final: bool) -> str:
        text, nesting = state.before + state.held + more, state.nesting
        is_json = nesting is not None
        done = len(state.before)
        hold = len(text) if final else self._hold_from(text, done, is_json)
        pieces: list[str] = []
        hits = [wording.find(text, done, is_json) for wording in self._wordings]
        while any(hits):
            start, end, name = min(filter(None, hits), key=_rank)
            if start >= hold:
                break
            pieces += (
                _passed(text[done:start], nesting),
                _escaped(self._vault[name], nesting.depth if nesting else 0),
            )
            _passed(name, nesting)
            done = end
            self._go_on(hits, text, done, is_json)
            if hold < done:
                hold = self._hold_from(text, done, is_json)
        pieces.append(_passed(text[done:hold], nesting))
        state.before, state.held = text[max(0, hold - _CONTEXT) : hold], text[hold:]
        return "".join(pieces)

    def _go_on(self, hits: list[Hit | None], text: str, done: int, is_json: bool) -> None:
        """Look on behind `done` for those wordings only whose hit lies before it: so each reads a
        text once, however often the others are hit."""
        for at, wording in enumerate(self._wordings):
            hit = hits[at]
            if hit and hit[0] < done:
                hits[at] = wording.find(text, done, is_json)

    def _hold_from(self, text: str, floor: int, is_json: bool) -> int:
        """Where the first suffix begins that is, or may become, a stand-in."""
        return min(wording.hold_from(text, floor, is_json) for wording in self._wordings)


def _rank(hit: Hit) -> tuple[int, int]:
    """The first wins, and of two that begin together the longer."""
    return hit[0], -hit[1]


def _passed(text: str, nesting: Nesting | None) -> str:
    if nesting:
        nesting.feed(text)
    return text


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
