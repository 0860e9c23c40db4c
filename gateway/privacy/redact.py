"""The verb redact: texts → texts without private values, and the Vault that can put them back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from gateway.errors import TextBlocked, Unavailable
from gateway.privacy.bare_numbers import Range, bare_numbers, quoted
from gateway.privacy.decide import NOTHING, Settled, any_acts, decide, reported, settle
from gateway.privacy.leads import Seen, in_texts, see
from gateway.privacy.mint import Changes, Mint, Vault, with_stand_ins
from gateway.privacy.profile import BUILT_IN, REVERSIBLE, Action, Profile, Using
from gateway.privacy.spans import Span

T = TypeVar("T")

_COVERED: Final = dict.fromkeys((Action.HASH, *REVERSIBLE), Action.MASK)
"""What becomes of actions in a picture; others stay."""


class DetectionFailed(Exception):
    """The detector broke or took too long. Never holds text."""


class DetectorMissing(DetectionFailed):
    """What has to look is not there: the next time is like this one."""


class Detector(Protocol):
    """Raises DetectionFailed. What takes long is done off the event loop."""

    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], using: Using = BUILT_IN
    ) -> list[list[Span]]:
        """One list of spans a text: any order, overlaps possible."""
        ...


class Aside(Protocol):
    """Where pure work is done that can be long: it returns, or raises, what `work` does."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


async def in_place(work: Callable[[], T]) -> T:
    """An Aside for those with no event loop to keep free."""
    return work()


@dataclass(frozen=True, slots=True)
class Finding:
    """What is done with the value at `span`. `sent` leaves in its place: the value itself where it
    is only reported, nothing where it is blocked."""

    span: Span
    action: Action
    sent: str = field(repr=False, default="")


Findings = Sequence[Sequence[Finding]]
"""Of each text, in its order."""

Told = Callable[[Findings], None]


@dataclass(frozen=True, slots=True)
class Redacted:
    """Texts that may leave, in the order of those that came; `counts` by `ENTITY:action`.
    `reported`: by entity, the values that are only reported and that rules for answers are about;
    a value that two entities found is one of both."""

    texts: tuple[str, ...] = field(repr=False)
    vault: Vault
    counts: Mapping[str, int]
    reported: Mapping[str, Set[str]] = field(repr=False, default_factory=dict)


async def redact(
    texts: Sequence[str],
    profile: Profile,
    detector: Detector,
    scope_key: bytes,
    aside: Aside = in_place,
    told: Told | None = None,
    leads: Sequence[str] = (),
    pictured: int = 0,
) -> Redacted:
    """Do to every private value in `texts` what the profile says.

    `leads`, if any, are what each of them is called where it stands (see leads.py).
    `scope_key` decides where the same value has the same placeholder or hash: 32 bytes, secret.
    Findings that overlap are one, and what is done and counted is what the profile says of its
    name. What is only reported hides nothing, and is not counted inside of what is replaced.
    `aside` does what follows detection: some 15 µs a value, which add up in a long text. There
    `told`, if anybody wants to know, gets every finding, also where the texts are refused.
    The last `pictured` texts stand in pictures, where what would be replaced is covered: that is
    counted as `mask`, and nothing of it is restored.
    Raises TextBlocked (pii_blocked) if something is found that the profile blocks, and Unavailable
    (redaction_failed) if the detector fails: nothing leaves unseen."""
    if not profile.rules or not texts:
        return nothing_found(texts, told)
    seen = await aside(lambda: see(texts, leads))
    found = await find(seen, profile, detector)
    return await aside(lambda: replace(seen, found, profile, scope_key, told, pictured))


Sight = tuple[Sequence[Sequence[Span]], Sequence[Sequence[Span]]]
"""What was found in the texts as they are shown, and in those that have a lead alone."""


async def find(seen: Seen, profile: Profile, detector: Detector) -> Sight:
    """What `look` finds. Raises Unavailable (redaction_failed)."""
    shown, alone = await unless_failed(
        look(seen, profile, detector), 2, "Private values could not be looked for"
    )
    return shown, alone


async def look(seen: Seen, profile: Profile, detector: Detector) -> Sight:
    """What the detector finds in the texts as they are shown, and what the policy's own patterns,
    which may be anchored, find in those that have a lead alone: nothing at all where it has no
    pattern. Raises DetectionFailed."""
    entities, using = profile.entities, profile.using
    found = _for_each(seen.shown, await detector.detect(seen.shown, entities, using))
    if not seen.bare or not (own := entities & using.patterned):
        return found, ()
    return found, _for_each(seen.bare, await detector.detect(seen.bare, own, using.without_ner()))


def _for_each(texts: Sequence[str], found: list[list[Span]]) -> list[list[Span]]:
    if len(found) != len(texts):
        raise DetectionFailed("the detector did not look at every text")
    return found


def replace(
    seen: Seen,
    found: Sight,
    profile: Profile,
    scope_key: bytes,
    told: Told | None = None,
    pictured: int = 0,
) -> Redacted:
    """What `redact` does with what the detector found. Pure; its time is linear in both."""
    texts = seen.texts
    known, actions = decide(texts, in_texts(seen, *found), profile.rules)
    if not actions:
        return nothing_found(texts, told)
    work = _Work(texts, profile, actions, pictured)
    for text, spans in zip(texts, known, strict=True):
        work.settle(text, spans)
    if blocked := work.blocked():
        if told:
            told(_findings(texts, work.settled, work.changes))
        raise _refusal(blocked, work.counts)
    mint = Mint(scope_key, texts)
    sent = mint.stand_ins(texts, work.changes)
    redacted = list(texts)
    for at, one in enumerate(work.settled):
        if one.changes:
            if numbers := work.numbers[at]:
                sent[at] = quoted(one.changes, numbers, sent[at])
            redacted[at] = with_stand_ins(texts[at], one.changes, sent[at])
    if told:
        told(_findings(texts, work.settled, work.changes, sent))
    left = _left(texts, known, work.settled, actions, profile) if profile.answer else {}
    return Redacted(tuple(redacted), mint.vault(), work.counts, left)


def nothing_found(texts: Sequence[str], told: Told | None) -> Redacted:
    """The texts as they are."""
    if told:
        told([()] * len(texts))
    return Redacted(tuple(texts), Vault(), {})


class _Work:
    """What is done in each of the texts, in their order, and how often by `ENTITY:action`. A text
    in which nothing was found costs next to nothing."""

    def __init__(
        self,
        texts: Sequence[str],
        profile: Profile,
        actions: Mapping[str, Action],
        pictured: int,
    ) -> None:
        self._rules = profile.rules
        self._actions = actions
        self._first_picture = len(texts) - pictured
        self.counts: dict[str, int] = {}
        self.settled: list[Settled] = []
        self.changes: list[Changes] = []
        self.numbers: list[Sequence[Range]] = []

    def settle(self, text: str, spans: Sequence[Span]) -> None:
        if not spans:
            self._note(NOTHING, (), ())
            return
        actions, in_picture = self._actions, len(self.settled) >= self._first_picture
        if in_picture:
            actions = {entity: _COVERED.get(action, action) for entity, action in actions.items()}
        numbers = bare_numbers(text) if any_acts(spans, actions) else ()
        one = settle(text, spans, actions, numbers)
        for span in (*one.reports, *one.acted):
            name = f"{span.entity}:{actions[span.entity]}"
            self.counts[name] = self.counts.get(name, 0) + 1
        changes = [
            (span, actions[span.entity], 0 if in_picture else self._rules[span.entity].keep_last)
            for span in one.changes
        ]
        self._note(one, changes, numbers)

    def _note(self, settled: Settled, changes: Changes, numbers: Sequence[Range]) -> None:
        self.settled.append(settled)
        self.changes.append(changes)
        self.numbers.append(numbers)

    def blocked(self) -> Set[str]:
        """The kinds of what was found that must not leave."""
        if Action.BLOCK not in self._actions.values():
            return frozenset()
        return {
            entity
            for entity, action in self._actions.items()
            if action is Action.BLOCK and f"{entity}:{Action.BLOCK}" in self.counts
        }


def _left(
    texts: Sequence[str],
    known: Sequence[Sequence[Span]],
    settled: Sequence[Settled],
    actions: Mapping[str, Action],
    profile: Profile,
) -> Mapping[str, Set[str]]:
    """See `Redacted.reported`."""
    left: dict[str, set[str]] = {}
    for text, spans, one in zip(texts, known, settled, strict=True):
        for span in reported(spans, actions, one.changes):
            if span.entity in profile.answer:
                left.setdefault(span.entity, set()).add(text[span.start : span.end])
    return left


def _findings(
    texts: Sequence[str],
    settled: Sequence[Settled],
    changes: Sequence[Changes],
    sent: Sequence[Sequence[str]] | None = None,
) -> Findings:
    """In the order of each text; nothing is sent where `sent` is None."""
    findings = []
    for number, text in enumerate(texts):
        done = changes[number]
        left = sent[number] if sent else [""] * len(done)
        of_text = [
            Finding(span, action, made)
            for (span, action, _), made in zip(done, left, strict=True)
        ] + [
            Finding(span, Action.REPORT, text[span.start : span.end] if sent else "")
            for span in settled[number].reports
        ]  # fmt: skip
        findings.append(sorted(of_text, key=lambda finding: finding.span.start))
    return findings


async def unless_failed(looking: Awaitable[Sequence[T]], count: int, said: str) -> Sequence[T]:
    """What `looking` finds, one for each of `count`. Raises Unavailable (redaction_failed) with
    what is `said`. The failure is not chained: its frames hold text."""
    is_missing = False
    try:
        found = await looking
    except DetectionFailed as failure:
        found, is_missing = (), isinstance(failure, DetectorMissing)
    if len(found) == count:
        return found
    what = "The gateway lacks what has to look: tell whoever runs it." if is_missing else _LATER
    raise Unavailable(
        f"{said}, so nothing was sent. {what}",
        code="redaction_failed",
        retry=False if is_missing else None,
    )


_LATER: Final = "Try again later."


def _refusal(blocked: Set[str], counts: Mapping[str, int]) -> TextBlocked:
    refusal = TextBlocked(
        f"The text holds {', '.join(sorted(blocked))}, which the policy does not let out. "
        "Take it out and send the request again.",
        code="pii_blocked",
        param="messages",
    )
    refusal.counts = counts
    return refusal
