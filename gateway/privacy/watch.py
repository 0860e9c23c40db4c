"""What the model writes of itself, looked at while it comes: leaked secrets, and whatever else the
rules of answers are about.

What the request itself held is no leak: its placeholders, its made-up values and what it reports.
Of a lane, no more is held back than what can still become a finding, or make one longer
(unfinished.py). What grows over HELD_MAX is hidden to its end.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from gateway.errors import TextBlocked, Unavailable
from gateway.privacy.mint import Mint
from gateway.privacy.profile import Action, Profile
from gateway.privacy.redact import DetectionFailed, Detector, decide
from gateway.privacy.spans import Span, resolve, whole_words
from gateway.privacy.unfinished import ENDS, WORD_ENDS, Unfinished, word_begin_before
from gateway.privacy.wording import Wording

HELD_MAX = 16_384  # characters of a lane that are held back
_CONTEXT = 64  # characters before what is held back, in which cues may stand
_END_MAX = 128  # characters of the end of what is hidden


@dataclass(slots=True)
class _Lane:
    """`until`: how what is hidden ends."""

    before: str = ""  # what came last, and is told
    held: str = ""
    until: re.Pattern[str] | None = None

    def skip(self) -> None:
        """Forget what comes before the end of what is hidden."""
        ended = self.until.search(self.held) if self.until else None
        if ended:
            self.held, self.until = self.held[ended.end() :], None
        elif self.until:
            self.held = self.held[-_END_MAX:]


@dataclass(frozen=True, slots=True)
class _Seen:
    """Disjoint findings that are not told yet, those that change the text grown to whole words, and
    where the request's own values stand."""

    changes: Sequence[Span]
    reports: Sequence[Span]
    own: Sequence[Span]
    actions: Mapping[str, Action]

    def cut_at(self, text: str, hold: int) -> int:
        """`hold`, or before it: where nothing is cut, and nothing told that may become longer."""
        every = sorted((*self.changes, *self.reports, *self.own), key=lambda one: -one.start)
        for span in every:
            if span.end >= len(text) - 1 or span.start < hold < span.end:
                hold = min(hold, span.start)
        return hold

    def going_on(self, text: str, start: int) -> Span | None:
        """The finding that begins there and has no end yet."""
        return next((s for s in self.changes if s.start == start and s.end >= len(text) - 1), None)


class Watch:
    """`counts` is what was found, by `ENTITY:action`. A `scope_key` names hashes. `own` finds what
    stands for values of the request, and values that it may hold: the names of its frame.

    Raises TextBlocked (answer_blocked) where something is found that the rules block: what is held
    back then must not be told; and Unavailable (redaction_failed)."""

    def __init__(
        self,
        profile: Profile,
        detector: Detector,
        scope_key: bytes,
        own: Sequence[Wording] = (),
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._rules = profile.answer
        self._entities = frozenset(profile.answer)
        self._using = profile.using
        self._detector = detector
        self._mint = Mint(scope_key, ())
        self._own = own
        self._unfinished = Unfinished(self._entities, profile.using)
        cues = [one.context_chars for one in profile.using.custom]
        self._context = max([_CONTEXT, *cues])
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
        return [lane for lane, one in self._lanes.items() if one.held and not one.until]

    def drop(self) -> None:
        """Forget what is held back."""
        self._lanes.clear()

    async def _advance(self, lane: _Lane, final: bool) -> str:
        """What cannot be told whatever is found is not looked at yet."""
        lane.skip()
        if lane.until:
            return ""
        text, begin = lane.before + lane.held, len(lane.before)
        hold = len(text) if final else self._hold_from(text, begin)
        if hold <= begin and len(text) - hold <= HELD_MAX:
            return ""
        seen = await self._look(text, begin)
        if final:
            return self._told(lane, text, begin, hold, seen)
        hold = max(begin, seen.cut_at(text, hold))
        if len(text) - hold > HELD_MAX:
            return self._at_bound(lane, text, begin, hold, seen)
        return self._told(lane, text, begin, hold, seen)

    def _hold_from(self, text: str, begin: int) -> int:
        holds = (wording.hold_from(text, begin, True) for wording in self._own)
        return min((self._unfinished.begin(text, begin), *holds))

    def _at_bound(self, lane: _Lane, text: str, begin: int, hold: int, seen: _Seen) -> str:
        """A finding that goes on, or may become one, is hidden to its end. Of anything else half is
        told, so that no finding in it that is shorter is cut."""
        goes_on = seen.going_on(text, hold)
        token = self._unfinished.open_token(text, hold)
        if not goes_on and token is not None:
            goes_on = Span(token, len(text), "JWT", 1.0)
        action = self._rules[goes_on.entity].action if goes_on else Action.REPORT
        if goes_on and action is not Action.REPORT:
            told = self._told(lane, text, begin, goes_on.start, seen)
            whole = Span(0, len(lane.held), goes_on.entity, goes_on.score)
            self._count([whole], {whole.entity: action})
            told += self._mint.replaced(lane.held, [(whole, action, 0)])
            lane.before = lane.held = ""
            lane.until = ENDS.get(whole.entity, WORD_ENDS)
            return told
        half = word_begin_before(text, hold, len(text) - HELD_MAX // 2)
        half = half if half > hold else len(text) - HELD_MAX // 2
        for span in (*seen.changes, *seen.reports, *seen.own):
            if span.start < half < span.end:
                half = span.start if span.start > hold else span.end
        return self._told(lane, text, begin, half, seen)

    def _told(self, lane: _Lane, text: str, begin: int, hold: int, seen: _Seen) -> str:
        """The text up to `hold`, where no finding is cut."""
        changes = [span for span in seen.changes if span.end <= hold]
        reports = [span for span in seen.reports if span.end <= hold]
        self._count([*changes, *reports], seen.actions)
        replaced = self._mint.replaced(
            text[:hold],
            [(s, seen.actions[s.entity], self._rules[s.entity].keep_last) for s in changes],
        )
        lane.before, lane.held = text[max(0, hold - self._context) : hold], text[hold:]
        return replaced[begin:]

    def _count(self, spans: Iterable[Span], actions: Mapping[str, Action]) -> None:
        """Raises TextBlocked."""
        blocked = set()
        for span in spans:
            self.counts[f"{span.entity}:{actions[span.entity]}"] += 1
            if actions[span.entity] is Action.BLOCK:
                blocked.add(span.entity)
        if blocked:
            raise _refusal(blocked)

    async def _look(self, text: str, begin: int) -> _Seen:
        """The failure is not chained: its frames hold text."""
        found: Sequence[Sequence[Span]] = ()
        with suppress(DetectionFailed):
            found = await self._detector.detect([text], self._entities, self._using)
        if len(found) != 1:
            raise Unavailable(
                "Private values could not be looked for in the answer, so it ends here.",
                code="redaction_failed",
            )
        own = [_all_of(wording, text) for wording in self._own]
        new = [s for s in found[0] if s.start >= begin and not any(_holds(o, s) for o in own)]
        (known,), actions = decide([text], [new], self._rules)
        disjoint = resolve(known)
        changes = [s for s in disjoint if actions[s.entity] is not Action.REPORT]
        reports = [s for s in disjoint if actions[s.entity] is Action.REPORT]
        every_own = [span for of_wording in own for span in of_wording]
        return _Seen(whole_words(text, changes), reports, every_own, actions)


def _all_of(wording: Wording, text: str) -> list[Span]:
    spans: list[Span] = []
    while hit := wording.find(text, spans[-1].end if spans else 0, True):
        spans.append(Span(hit[0], hit[1], "", 1.0))
    return spans


def _holds(own: Sequence[Span], span: Span) -> bool:
    """Whether one of the disjoint, sorted spans does."""
    at = bisect_right(own, span.start, key=lambda one: one.start) - 1
    return at >= 0 and span.end <= own[at].end


def _refusal(blocked: Collection[str]) -> TextBlocked:
    return TextBlocked(
        f"The answer holds {', '.join(sorted(blocked))}, which the policy does not let through.",
        code="answer_blocked",
    )
