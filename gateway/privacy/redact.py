"""The verb redact: texts → texts without private values, and the Vault that can put them back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from gateway.errors import TextBlocked, Unavailable
from gateway.privacy.changes import Findings, Work, findings_of, left_of, made_of
from gateway.privacy.decide import decide
from gateway.privacy.leads import Seen, in_texts, see
from gateway.privacy.mint import Mint, Vault
from gateway.privacy.profile import BUILT_IN, Profile, Using
from gateway.privacy.spans import Span

T = TypeVar("T")


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


Told = Callable[[Findings], None]


@dataclass(slots=True)
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
    """What the detector finds in the texts as they are shown, and what the policy's own patterns,
    which may be anchored, find in those that have a lead alone: nothing at all where it has no
    pattern. Raises Unavailable (redaction_failed), to which the failure is not chained: its frames
    hold text."""
    entities, using = profile.entities, profile.using
    found: Sequence[Sequence[Span]] | None = None
    alone: Sequence[Sequence[Span]] = ()
    asked = 0
    is_missing = False
    try:
        found = await detector.detect(seen.shown, entities, using)
        if seen.bare and (own := entities & using.patterned):
            asked = len(seen.bare)
            alone = await detector.detect(seen.bare, own, using.without_ner())
    except DetectionFailed as failure:
        found, is_missing = None, isinstance(failure, DetectorMissing)
    if found is not None and len(found) == len(seen.shown) and len(alone) == asked:
        return found, alone
    raise _unseen("Private values could not be looked for", is_missing)


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
    spans = in_texts(seen, *found) if seen.leads else found[0]
    known, actions = decide(texts, spans, profile.rules)
    if not actions:
        return nothing_found(texts, told)
    work = Work(profile.rules, actions, len(texts), pictured)
    for at, of_text in enumerate(known):
        if of_text:
            work.settle(at, texts[at], of_text)
    if blocked := work.blocked():
        if told:
            told(findings_of(texts, work.settled, work.changes))
        raise _refusal(blocked, work.counts)
    redacted, vault, sent = made_of(texts, work, Mint(scope_key, texts))
    if told:
        told(findings_of(texts, work.settled, work.changes, sent))
    left = left_of(texts, known, work.settled, actions, profile) if profile.answer else {}
    return Redacted(redacted, vault, work.counts, left)


def nothing_found(texts: Sequence[str], told: Told | None) -> Redacted:
    """The texts as they are."""
    if told:
        told([()] * len(texts))
    return Redacted(tuple(texts), Vault(), {})


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
    raise _unseen(said, is_missing)


def _unseen(said: str, is_missing: bool) -> Unavailable:
    what = "The gateway lacks what has to look: tell whoever runs it." if is_missing else _LATER
    return Unavailable(
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
