"""The verb redact: texts → texts without private values, and the Vault that can put them back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, KeysView, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NoReturn, Protocol, TypeVar

from gateway.errors import TextBlocked, Unavailable
from gateway.privacy.placeholder import MASK, hashed, look_alikes, placeholder, token
from gateway.privacy.spans import Span, resolve, whole_words

T = TypeVar("T")


class Action(StrEnum):
    ALLOW = "allow"
    MASK = "mask"
    HASH = "hash"
    PLACEHOLDER = "placeholder"  # restored in the answer
    BLOCK = "block"  # refuses the request


@dataclass(frozen=True, slots=True)
class Profile:
    """What to look for, and what to do with it. Entities that are not named are not looked for."""

    name: str
    actions: Mapping[str, Action]
    score_min: float = 0.4


class DetectionFailed(Exception):
    """The detector broke or took too long. Never holds text."""


class Detector(Protocol):
    """Runs off the event loop. Raises DetectionFailed."""

    async def detect(self, texts: Sequence[str], entities: frozenset[str]) -> list[list[Span]]:
        """One list of spans a text: any order, overlaps possible."""
        ...


class Aside(Protocol):
    """Where pure work is done that can be long: it returns, or raises, what `work` does."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


async def in_place(work: Callable[[], T]) -> T:
    """An Aside for those with no event loop to keep free."""
    return work()


class Vault:
    """What stands for what in one request. It lives in that request's frame and nowhere else: it
    shows counts only, and refuses to be copied or pickled."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = dict(values or {})

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, placeholder: object) -> bool:
        return placeholder in self._values

    def __getitem__(self, placeholder: str) -> str:
        return self._values[placeholder]

    def placeholders(self) -> KeysView[str]:
        return self._values.keys()

    def entities(self) -> Mapping[str, int]:
        """How many values of each entity there are."""
        return Counter(name.rpartition("_")[0] for name in self._values)

    def __repr__(self) -> str:
        counts = sorted(self.entities().items())
        return f"Vault({', '.join(f'{entity}={count}' for entity, count in counts)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a vault stays in its request")


@dataclass(frozen=True, slots=True)
class Redacted:
    """Texts that may leave, in the order of those that came; `counts` by `ENTITY:action`."""

    texts: tuple[str, ...] = field(repr=False)
    vault: Vault
    counts: Mapping[str, int]


async def redact(
    texts: Sequence[str],
    profile: Profile,
    detector: Detector,
    scope_key: bytes,
    aside: Aside = in_place,
) -> Redacted:
    """Do to every private value in `texts` what the profile says.

    `scope_key` decides where the same value has the same placeholder or hash: 32 bytes, secret, one
    a project. What the profile allows is counted and left, and hides nothing that it overlaps.
    `aside` does what follows detection: some 15 µs a value, which add up in a long text.
    Raises TextBlocked (pii_blocked) if something is found that the profile blocks, and Unavailable
    (redaction_failed) if the detector fails: nothing leaves unseen."""
    if not profile.actions or not texts:
        return Redacted(tuple(texts), Vault(), {})
    found = await _detect(texts, profile, detector)
    return await aside(lambda: _replace(texts, found, profile, scope_key))


def _replace(
    texts: Sequence[str], found: Sequence[Sequence[Span]], profile: Profile, scope_key: bytes
) -> Redacted:
    """What `redact` does with what the detector found. Pure; its time is linear in both."""
    counts: Counter[str] = Counter()
    to_replace: list[list[Span]] = []
    blocked: set[str] = set()
    for text, spans in zip(texts, found, strict=True):
        known = [s for s in spans if s.entity in profile.actions and s.score >= profile.score_min]
        allowed = [span for span in known if profile.actions[span.entity] is Action.ALLOW]
        others = [span for span in known if profile.actions[span.entity] is not Action.ALLOW]
        blocked |= {s.entity for s in others if profile.actions[s.entity] is Action.BLOCK}
        resolved = resolve(others)
        for span in resolve(allowed) + resolved:
            counts[f"{span.entity}:{profile.actions[span.entity]}"] += 1
        to_replace.append(whole_words(text, resolved))
    if blocked:
        raise _refusal(blocked, counts)
    mint = _Mint(scope_key, profile)
    if any(to_replace):
        mint.taken.update(*map(look_alikes, texts))
    redacted = tuple(map(mint.replaced, texts, to_replace))
    return Redacted(redacted, Vault(mint.values), dict(counts))


async def _detect(texts: Sequence[str], profile: Profile, detector: Detector) -> list[list[Span]]:
    """The failure is not chained: its frames hold text."""
    try:
        found = await detector.detect(texts, frozenset(profile.actions))
    except DetectionFailed:
        found = []
    if len(found) != len(texts):
        raise Unavailable(
            "Private values could not be looked for, so nothing was sent. Try again later.",
            code="redaction_failed",
        )
    return found


def _refusal(blocked: Set[str], counts: Mapping[str, int]) -> TextBlocked:
    refusal = TextBlocked(
        f"The text holds {', '.join(sorted(blocked))}, which the policy does not let out. "
        "Take it out and send the request again.",
        code="pii_blocked",
        param="messages",
    )
    refusal.counts = counts
    return refusal


class _Mint:
    """Makes what stands for values, over all texts of one request."""

    def __init__(self, scope_key: bytes, profile: Profile) -> None:
        self.values: dict[str, str] = {}
        self.taken: set[str] = set()  # tokens that the texts themselves hold
        self._scope_key = scope_key
        self._profile = profile
        self._given: dict[tuple[str, str], str] = {}
        self._salts: dict[str, int] = {}  # by unsalted placeholder: those below are taken

    def replaced(self, text: str, spans: Sequence[Span]) -> str:
        """`text` with something else at each of the disjoint, sorted `spans`."""
        pieces: list[str] = []
        done = 0
        for span in spans:
            pieces += (text[done : span.start], self._stand_in(span, text[span.start : span.end]))
            done = span.end
        return "".join((*pieces, text[done:]))

    def _stand_in(self, span: Span, value: str) -> str:
        action = self._profile.actions[span.entity]
        if action is Action.MASK:
            return MASK
        if action is Action.HASH:
            return hashed(self._scope_key, span.entity, value)
        return self._placeholder(span.entity, value)

    def _placeholder(self, entity: str, value: str) -> str:
        """Salted where it is taken: by another value (also one that only differs in how its
        characters are encoded, and one number can be written in thousands of ways), or by what
        somebody wrote into a text."""
        if name := self._given.get((entity, value)):
            return name
        made = unsalted = placeholder(self._scope_key, entity, value)
        salt = self._salts.get(unsalted, 0)
        if salt:
            made = placeholder(self._scope_key, entity, value, salt)
        while made in self.values or token(made) in self.taken:
            salt += 1
            made = placeholder(self._scope_key, entity, value, salt)
        self._salts[unsalted] = salt + 1
        self._given[entity, value] = made
        self.values[made] = value
        return made
