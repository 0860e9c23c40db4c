"""What the model writes of itself, looked at while it comes: leaked secrets, and whatever else the
rules of answers are about.

What the request itself held is no leak: its placeholders and made-up values, whatever is found in
them, and what it reports, where the same kind is found there.
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
from types import MappingProxyType

from gateway.errors import TextBlocked, Unavailable
from gateway.privacy.bare_numbers import Document, Range, quoted
from gateway.privacy.decide import decide, settle
from gateway.privacy.mint import Changes, Mint, with_stand_ins
from gateway.privacy.profile import Action, Profile
from gateway.privacy.redact import DetectionFailed, Detector
from gateway.privacy.spans import Span, resolve
from gateway.privacy.unfinished import ENDS, WORD_ENDS, Unfinished, word_begin_before
from gateway.privacy.wording import Literals, Wording

HELD_MAX = 16_384  # characters of a lane that are held back
_NONE: Mapping[str, Collection[str]] = MappingProxyType({})
_CONTEXT = 64  # characters before what is held back, in which cues may stand
_END_MAX = 128  # characters of the end of what is hidden


@dataclass(slots=True)
class _Lane:
    """`until`: how what is hidden ends. `document` has what came before `held`."""

    document: Document | None  # of a text that is JSON
    before: str = ""  # what came last, and is told
    held: str = ""
    until: re.Pattern[str] | None = None

    def skip(self) -> None:
        """Forget what comes before the end of what is hidden."""
        if not self.until:
            return
        ended = self.until.search(self.held)
        self.passed(ended.end() if ended else max(0, len(self.held) - _END_MAX))
        self.until = None if ended else self.until

    def passed(self, length: int) -> None:
        """Hold that much less."""
        piece, self.held = self.held[:length], self.held[length:]
        if self.document:
            self.document.passed(piece)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is not told yet, as `settle` has it, where the request's `own` values stand, and the
    `numbers` of a JSON document: nothing in them parts words, so only what is found cuts one."""

    acted: Sequence[Span]
    changes: Sequence[Span]
    reports: Sequence[Span]
    own: Sequence[Span]
    numbers: Sequence[Range]
    actions: Mapping[str, Action]

    def cut_at(self, text: str, hold: int) -> int:
        """`hold`, or before it: where nothing is cut, and nothing told that may become longer."""
        every = sorted((*self.changes, *self.own, *self.reports), key=lambda one: -one.start)
        for span in every:
            if span.end >= len(text) - 1 or span.start < hold < span.end:
                hold = min(hold, span.start)
        return hold

    def going_on(self, text: str, start: int) -> Span | None:
        """The finding that begins there and has no end yet."""
        return next((s for s in self.changes if s.start == start and s.end >= len(text) - 1), None)


class Watch:
    """`counts` is what was found, by `ENTITY:action`. A `scope_key` names hashes. `stand_ins`
    finds what stands for values of the request; `reported` are values that it may hold, by entity.

    Raises TextBlocked (answer_blocked) where something is found that the rules block: what is held
    back then must not be told; and Unavailable (redaction_failed)."""

    def __init__(
        self,
        profile: Profile,
        detector: Detector,
        scope_key: bytes,
        stand_ins: Sequence[Wording] = (),
        reported: Mapping[str, Collection[str]] = _NONE,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._rules = profile.answer
        self._entities = frozenset(profile.answer)
        self._using = profile.using
        self._detector = detector
        self._mint = Mint(scope_key, ())
        self._stand_ins = stand_ins
        self._reported = {kind: Literals(values) for kind, values in reported.items() if values}
        self._own: Sequence[Wording] = (*stand_ins, *self._reported.values())
        self._unfinished = Unfinished(self._entities, profile.using)
        cues = [one.context_chars for one in profile.using.custom]
        self._context = max([_CONTEXT, *cues])
        self._lanes: dict[Hashable, _Lane] = {}

    async def feed(self, lane: Hashable, text: str, is_json: bool = False) -> str:
        """What of the lane's text can be told now."""
        if (state := self._lanes.get(lane)) is None:
            state = self._lanes[lane] = _Lane(Document() if is_json else None)
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
        numbers = lane.document.numbers(text, begin) if lane.document else ()
        seen = await self._look(text, begin, numbers)
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
        told, so that no finding in it that is shorter is cut, but one that is left as it is."""
        goes_on = seen.going_on(text, hold)
        token = self._unfinished.open_token(text, hold)
        if not goes_on and token is not None:
            goes_on = Span(token, len(text), "JWT", 1.0)
        action = self._rules[goes_on.entity].action if goes_on else Action.REPORT
        if goes_on and action is not Action.REPORT:
            told = self._told(lane, text, begin, goes_on.start, seen)
            whole = goes_on._replace(end=len(text))
            inside = [span for span in seen.acted if span.start >= whole.start]
            self._count(inside or [whole], {**seen.actions, whole.entity: action})
            (stand_in,) = self._stand_ins_of(text, [(whole, action, 0)], seen.numbers)
            lane.before = ""
            lane.passed(len(lane.held))
            lane.until = ENDS.get(whole.entity, WORD_ENDS)
            return told + stand_in
        half = word_begin_before(text, hold, len(text) - HELD_MAX // 2)
        half = half if half > hold else len(text) - HELD_MAX // 2
        for span in (*seen.own, *seen.reports, *seen.changes):  # never cut: the last
            if not span.start < half < span.end:
                continue
            if span.start > hold:
                half = span.start
            elif span.end < len(text) - 1:
                half = span.end
        return self._told(lane, text, begin, half, seen)

    def _told(self, lane: _Lane, text: str, begin: int, hold: int, seen: _Seen) -> str:
        """The text up to `hold`, where no finding is cut."""
        counted = [span for span in (*seen.acted, *seen.reports) if span.end <= hold]
        self._count(counted, seen.actions)
        changes = [
            (span, seen.actions[span.entity], self._rules[span.entity].keep_last)
            for span in seen.changes
            if span.end <= hold
        ]
        stand_ins = self._stand_ins_of(text, changes, seen.numbers)
        told = with_stand_ins(text[:hold], [span for span, _, _ in changes], stand_ins)
        lane.before = text[max(0, hold - self._context) : hold]
        lane.passed(hold - begin)
        return told[begin:]

    def _stand_ins_of(self, text: str, changes: Changes, numbers: Sequence[Range]) -> list[str]:
        (made,) = self._mint.stand_ins([text], [changes])
        return quoted([span for span, _, _ in changes], numbers, made)

    def _count(self, spans: Iterable[Span], actions: Mapping[str, Action]) -> None:
        """Raises TextBlocked."""
        blocked = set()
        for span in spans:
            self.counts[f"{span.entity}:{actions[span.entity]}"] += 1
            if actions[span.entity] is Action.BLOCK:
                blocked.add(span.entity)
        if blocked:
            raise _refusal(blocked)

    async def _look(self, text: str, begin: int, numbers: Sequence[Range]) -> _Seen:
        """The failure is not chained: its frames hold text."""
        found: Sequence[Sequence[Span]] = ()
        with suppress(DetectionFailed):
            found = await self._detector.detect([text], self._entities, self._using)
        if len(found) != 1:
            raise Unavailable(
                "Private values could not be looked for in the answer, so it ends here.",
                code="redaction_failed",
            )
        (known,), actions = decide([text], found, self._rules)
        stand_ins = [_all_of(wording, text) for wording in self._stand_ins]
        reported = {kind: _all_of(values, text) for kind, values in self._reported.items()}
        new = [
            span
            for span in _not_reported(known, reported)
            if span.start >= begin and not any(_holder(own, span) for own in stand_ins)
        ]
        done = settle(text, new, actions, numbers)
        own = [span for of_wording in (*stand_ins, *reported.values()) for span in of_wording]
        return _Seen(done.acted, done.changes, done.reports, own, numbers, actions)


def _all_of(wording: Wording, text: str) -> list[Span]:
    spans: list[Span] = []
    while hit := wording.find(text, spans[-1].end if spans else 0, True):
        spans.append(Span(hit[0], hit[1], "", 1.0))
    return spans


def _not_reported(found: Sequence[Span], reported: Mapping[str, Sequence[Span]]) -> Sequence[Span]:
    """Without those in a value that was reported as one of their kind, and what is found inside of
    one of those and is less sure: a telephone number in an IBAN, but not a key in a URL."""
    if not any(reported.values()):
        return found
    left, kinds = list[Span](), dict[str, list[Span]]()
    for span in found:
        is_own = _holder(reported.get(span.entity, ()), span)
        (kinds.setdefault(span.entity, []) if is_own else left).append(span)
    own = [resolve(spans) for spans in kinds.values()]
    return [span for span in left if not any(_is_surer(of_kind, span) for of_kind in own)]


def _is_surer(own: Sequence[Span], span: Span) -> bool:
    holder = _holder(own, span)
    return holder is not None and holder.score >= span.score


def _holder(spans: Sequence[Span], span: Span) -> Span | None:
    """The one of the disjoint, sorted spans that holds this one."""
    at = bisect_right(spans, span.start, key=lambda one: one.start) - 1
    return spans[at] if at >= 0 and span.end <= spans[at].end else None


def _refusal(blocked: Collection[str]) -> TextBlocked:
    return TextBlocked(
        f"The answer holds {', '.join(sorted(blocked))}, which the policy does not let through.",
        code="answer_blocked",
    )
