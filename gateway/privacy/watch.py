"""What the model writes of itself, looked at while it comes: leaked secrets, and whatever else the
rules of answers are about.

Values of the request are placeholders there, so they are not found. Of a lane, no more is held back
than what can still become a finding: the word that has not ended, as many characters as the longest
finding with spaces in it has, and a finding that may go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from gateway.errors import TextBlocked, Unavailable
from gateway.privacy.mint import Mint
from gateway.privacy.profile import Action, Profile
from gateway.privacy.redact import DetectionFailed, Detector, decide
from gateway.privacy.spans import Span, resolve, whole_words

HELD_MAX = 16_384  # characters of a lane: what is longer is looked at in parts
_WORD_MAX = 512  # characters that a word may have to be held back as a whole
_CONTEXT = 64  # characters before what is held back, in which cues may stand
_SPACED = 40  # characters of a finding that can have spaces in it
_LONGER = {
    "IBAN_CODE": 48,
    "ORGANIZATION": 80,
    "PERSON": 64,
    "PRIVATE_KEY": 96,
    "STREET_ADDRESS": 120,
}
_WITHOUT_SPACES = frozenset({"API_KEY", "EMAIL_ADDRESS", "IP_ADDRESS", "JWT", "URL", "UUID"})


@dataclass(slots=True)
class _Lane:
    before: str = ""  # what came last, and is told
    held: str = ""


class Watch:
    """`counts` is what was found, by `ENTITY:action`. A `scope_key` names hashes.

    Raises TextBlocked (answer_blocked) where something is found that the rules block: what is held
    back then must not be told; and Unavailable (redaction_failed)."""

    def __init__(self, profile: Profile, detector: Detector, scope_key: bytes) -> None:
        self.counts: Counter[str] = Counter()
        self._rules = profile.answer
        self._entities = frozenset(profile.answer)
        self._using = profile.using
        self._detector = detector
        self._mint = Mint(scope_key, ())
        self._window = _window(self._entities)
        self._lanes: dict[Hashable, _Lane] = {}

    async def feed(self, lane: Hashable, text: str) -> str:
        """What of the lane's text can be told now."""
        state = self._lanes.setdefault(lane, _Lane())
        state.held += text
        return await self._advance(state, final=False)

    async def flush(self, lane: Hashable) -> str:
        """What the lane still held back: its text is at its end, and the lane forgotten."""
        state = self._lanes.pop(lane, None)
        return await self._advance(state, final=True) if state and state.held else ""

    def held_lanes(self) -> list[Hashable]:
        return [lane for lane, state in self._lanes.items() if state.held]

    def drop(self) -> None:
        """Forget what is held back."""
        self._lanes.clear()

    async def _advance(self, state: _Lane, final: bool) -> str:
        text, begin = state.before + state.held, len(state.before)
        spans, actions = await self._look(text, begin)
        hold = len(text) if final else max(begin, self._hold_from(text, spans))
        told = [span for span in spans if span.end <= hold]
        for span in told:
            self.counts[f"{span.entity}:{actions[span.entity]}"] += 1
        changes = [s for s in told if actions[s.entity] is not Action.REPORT]
        blocked = {s.entity for s in changes if actions[s.entity] is Action.BLOCK}
        if blocked:
            raise _refusal(blocked)
        replaced = self._mint.replaced(
            text[:hold],
            [
                (span, actions[span.entity], self._rules[span.entity].keep_last)
                for span in whole_words(text[:hold], changes)
            ],
        )
        state.before, state.held = text[max(0, hold - _CONTEXT) : hold], text[hold:]
        return replaced[begin:]

    async def _look(self, text: str, begin: int) -> tuple[list[Span], Mapping[str, Action]]:
        """Disjoint findings that are not told yet. The failure is not chained: its frames hold
        text."""
        found: Sequence[Sequence[Span]] = ()
        with suppress(DetectionFailed):
            found = await self._detector.detect([text], self._entities, self._using)
        if len(found) != 1:
            raise Unavailable(
                "Private values could not be looked for in the answer, so it ends here.",
                code="redaction_failed",
            )
        known, actions = decide([text], [[s for s in found[0] if s.start >= begin]], self._rules)
        return resolve(known[0]), actions

    def _hold_from(self, text: str, spans: Sequence[Span]) -> int:
        """Before everything that the next characters may make, or make longer."""
        if len(text) > HELD_MAX:
            return len(text)
        hold = min(len(text) - self._window, _word_begin(text))
        for span in reversed(spans):
            if span.end >= len(text) - 1 or span.start < hold < span.end:
                hold = min(hold, span.start)
        return hold


def _window(entities: frozenset[str]) -> int:
    spaced = entities - _WITHOUT_SPACES
    return max((_LONGER.get(entity, _SPACED) for entity in spaced), default=0)


def _word_begin(text: str) -> int:
    at = max(text.rfind(" "), text.rfind("\n"), text.rfind("\t")) + 1
    return max(at, len(text) - _WORD_MAX)


def _refusal(blocked: Collection[str]) -> TextBlocked:
    return TextBlocked(
        f"The answer holds {', '.join(sorted(blocked))}, which the policy does not let through.",
        code="answer_blocked",
    )
