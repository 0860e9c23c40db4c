"""The verb redact: texts → texts without private values, and the Vault that can put them back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar
from unicodedata import normalize

from gateway.errors import TextBlocked, Unavailable
from gateway.privacy.bare_numbers import Range, bare_numbers, quoted, with_numbers
from gateway.privacy.leads import bare, in_texts, shown, with_bare
from gateway.privacy.mint import Mint, Vault, with_stand_ins
from gateway.privacy.profile import BUILT_IN, REVERSIBLE, Action, Profile, Rule, Using
from gateway.privacy.spans import Span, outside, resolve, unquoted, whole_words

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
        if told:
            told([()] * len(texts))
        return Redacted(tuple(texts), Vault(), {})
    seen = await aside(lambda: shown(texts, leads))
    found, alone = await unless_failed(
        look(seen, bare(texts, leads), profile, detector),
        2,
        "Private values could not be looked for",
    )

    def replaced() -> Redacted:
        known = with_bare(in_texts(found, texts, leads), alone, leads)
        return _replace(texts, known, profile, scope_key, told, pictured)

    return await aside(replaced)


async def look(
    seen: Sequence[str], alone: Sequence[str], profile: Profile, detector: Detector
) -> tuple[list[list[Span]], list[list[Span]]]:
    """What the detector finds in the texts as they are shown, and what the policy's own patterns,
    which may be anchored, find in those that have a lead alone: nothing at all where it has no
    pattern. Raises DetectionFailed."""
    entities, using = frozenset(profile.rules), profile.using
    found = _for_each(seen, await detector.detect(seen, entities, using))
    own = entities & using.patterned
    if not own or not alone:
        return found, []
    return found, _for_each(alone, await detector.detect(alone, own, using.without_ner()))


def _for_each(texts: Sequence[str], found: list[list[Span]]) -> list[list[Span]]:
    if len(found) != len(texts):
        raise DetectionFailed("the detector did not look at every text")
    return found


def decide(
    texts: Sequence[str], found: Sequence[Sequence[Span]], rules: Mapping[str, Rule]
) -> tuple[list[list[Span]], Mapping[str, Action]]:
    """Of what was found that which rules are about, and what is done with each of its kinds: that
    depends on how many different values of it there are."""
    known = [_known(text, spans, rules) for text, spans in zip(texts, found, strict=True)]
    kinds = {span.entity for spans in known for span in spans}
    values: dict[str, set[str]] = {kind: set() for kind in kinds if rules[kind].count_min > 1}
    for text, spans in zip(texts, known, strict=True) if values else ():
        for span in resolve_each([span for span in spans if span.entity in values]):
            of_kind = values[span.entity]
            if len(of_kind) < rules[span.entity].count_min:
                of_kind.add(normalize("NFKC", text[span.start : span.end]).casefold())
    return known, {kind: rules[kind].action_for(len(values.get(kind, "1"))) for kind in kinds}


def _known(text: str, spans: Sequence[Span], rules: Mapping[str, Rule]) -> list[Span]:
    sure = (s for s in spans if s.entity in rules and s.score >= rules[s.entity].score_min)
    return [span for span in (unquoted(text, s) for s in sure) if span.start < span.end]


@dataclass(frozen=True, slots=True)
class Settled:
    """What is done in one text, each disjoint and sorted. `acted`, which counts, are findings that
    something is done with; `changes` are those as they are replaced: grown to whole words, and to
    whole numbers of a document, where two may have become one. `reports` are outside of them."""

    acted: Sequence[Span] = ()
    changes: Sequence[Span] = ()
    reports: Sequence[Span] = ()


def settle(
    text: str, spans: Sequence[Span], actions: Mapping[str, Action], numbers: Sequence[Range]
) -> Settled:
    """What is only reported takes no part in what is done with the others: it hides nothing."""
    acted = resolve(span for span in spans if actions[span.entity] is not Action.REPORT)
    changes = with_numbers(whole_words(text, acted), numbers)
    return Settled(acted, changes, resolve(_reported(spans, actions, changes)))


def _reported(
    spans: Sequence[Span], actions: Mapping[str, Action], changes: Sequence[Span]
) -> list[Span]:
    return outside((span for span in spans if actions[span.entity] is Action.REPORT), changes)


def resolve_each(spans: Sequence[Span]) -> list[Span]:
    """The disjoint spans of each kind."""
    kinds: dict[str, list[Span]] = {}
    for span in spans:
        kinds.setdefault(span.entity, []).append(span)
    return [span for kind in kinds.values() for span in resolve(kind)]


def _replace(
    texts: Sequence[str],
    found: Sequence[Sequence[Span]],
    profile: Profile,
    scope_key: bytes,
    told: Told | None,
    pictured: int,
) -> Redacted:
    """What `redact` does with what the detector found. Pure; its time is linear in both."""
    rules = profile.rules
    known, actions = decide(texts, found, rules)
    counts: Counter[str] = Counter()
    covered = {entity: _COVERED.get(action, action) for entity, action in actions.items()}
    done = [actions] * (len(texts) - pictured) + [covered] * pictured
    numbers = [
        bare_numbers(text) if any(what[s.entity] is not Action.REPORT for s in spans) else []
        for text, spans, what in zip(texts, known, done, strict=True)
    ]
    settled = [
        settle(text, spans, what, in_document) if spans else Settled()
        for text, spans, what, in_document in zip(texts, known, done, numbers, strict=True)
    ]
    for one, what in zip(settled, done, strict=True):
        counts.update(f"{s.entity}:{what[s.entity]}" for s in (*one.reports, *one.acted))
    reports = [one.reports for one in settled]
    changes = [
        [
            (span, what[span.entity], 0 if what is covered else rules[span.entity].keep_last)
            for span in one.changes
        ]
        for one, what in zip(settled, done, strict=True)
    ]
    blocked = {entity for entity, action in actions.items() if action is Action.BLOCK}
    if blocked := {entity for entity in blocked if counts[f"{entity}:{Action.BLOCK}"]}:
        if told:
            told(_findings(texts, reports, changes))
        raise _refusal(blocked, counts)
    names_values = any(action in REVERSIBLE for action in actions.values())
    mint = Mint(scope_key, texts if names_values else ())
    spans_of = [one.changes for one in settled]
    sent = list(map(quoted, spans_of, numbers, mint.stand_ins(texts, changes)))
    redacted = tuple(map(with_stand_ins, texts, spans_of, sent))
    if told:
        told(_findings(texts, reports, changes, sent))
    left: dict[str, set[str]] = {}
    for text, spans, changed in zip(texts, known, spans_of, strict=True):
        for span in resolve_each(_reported(spans, actions, changed)) if profile.answer else ():
            if span.entity in profile.answer:
                left.setdefault(span.entity, set()).add(text[span.start : span.end])
    return Redacted(redacted, mint.vault(), dict(counts), left)


def _findings(
    texts: Sequence[str],
    reports: Sequence[Sequence[Span]],
    changes: Sequence[Sequence[tuple[Span, Action, int]]],
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
            for span in reports[number]
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
