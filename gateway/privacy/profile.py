"""What to look for in texts, and what to do with what is found. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache


class Action(StrEnum):
    ALLOW = "allow"  # not looked for
    REPORT = "report"  # counted, and left as it is
    MASK = "mask"
    HASH = "hash"
    PLACEHOLDER = "placeholder"  # restored in the answer
    REPLACE = "replace"  # by a made-up value of the same form; restored in the answer
    BLOCK = "block"  # refuses the request, or ends the answer


REVERSIBLE = frozenset({Action.PLACEHOLDER, Action.REPLACE})


class Images(StrEnum):
    """What is done with pictures, in which text may stand."""

    ALLOW = "allow"
    REFUSE = "refuse"
    OCR = "ocr"  # they are read, and what is private in them is covered


class Scope(StrEnum):
    """Where the same value has the same placeholder and the same hash."""

    ORGANIZATION = "organization"
    PROJECT = "project"
    CONVERSATION = "conversation"


class OnDetectorFailure(StrEnum):
    """What becomes of a request while the NER engine fails or is late."""

    REFUSE = "refuse"
    WITHOUT_NER = "without_ner"  # the other recognizers have looked all the same


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do with one kind of entity.

    Findings below `score_min` (0..1) are not acted on. Fewer different values than `count_min` in
    all texts of a request get `below` instead of `action`. `keep_last`: letters and digits of a
    masked value that stay to be seen; of a value of which that would be more than half, none."""

    action: Action
    score_min: float = 0.4
    keep_last: int = 0
    count_min: int = 1
    below: Action = Action.REPORT

    def action_for(self, count: int) -> Action:
        return self.action if count >= self.count_min else self.below


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression in RE2's syntax, and how sure a match is (0..1)."""

    regex: str
    score: float = 0.6


@dataclass(frozen=True, slots=True)
class Custom:
    """An admin's recognizer. A match of `patterns`, or a whole word of `deny` (score 1), is one of
    `entity`; `check` is the name of a checksum that a match must pass. With a word of `context`
    within `context_chars` before it the score rises by `context_score`. What `allow` names is none
    of the entity, whoever finds it, in any case."""

    entity: str
    patterns: tuple[Pattern, ...] = ()
    deny: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    check: str | None = None
    context: tuple[str, ...] = ()
    context_score: float = 0.35
    context_chars: int = 60

    @property
    def finds(self) -> bool:
        """Whether it finds something itself; else it only says what is none of the entity."""
        return bool(self.patterns or self.deny)


NER_LABELS: Mapping[str, str] = {
    "PERSON": "PERSON",
    "PER": "PERSON",
    "ORG": "ORGANIZATION",
    "GPE": "LOCATION",
    "LOC": "LOCATION",
    "FAC": "LOCATION",
    "NORP": "NRP",
    "DATE": "DATE_TIME",
    "TIME": "DATE_TIME",
}
"""Labels of OntoNotes 5 and CoNLL-2003 → Presidio's names for them; MISC and numbers are not."""


@dataclass(frozen=True, slots=True)
class Ner:
    """An engine that knows names by what stands around them. `kind`: spacy, huggingface or gliner;
    `model`: its package or path; `labels`: the model's labels → entities."""

    name: str
    kind: str
    model: str
    labels: tuple[tuple[str, str], ...] = ()
    score: float = 0.85
    timeout_seconds: float = 2.0
    on_failure: OnDetectorFailure = OnDetectorFailure.REFUSE


@dataclass(frozen=True, slots=True)
class Using:
    """What looks for entities beside the recognizers that are built in. It is part of every
    question, and may hold ten thousand words, so it is hashed once."""

    custom: tuple[Custom, ...] = ()
    ner: Ner | None = None
    patterned: frozenset[str] = field(init=False, repr=False, compare=False)
    """The entities that patterns of the policy find."""
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        patterned = frozenset(custom.entity for custom in self.custom if custom.patterns)
        object.__setattr__(self, "patterned", patterned)
        object.__setattr__(self, "_hash", hash((self.custom, self.ner)))

    def __hash__(self) -> int:
        return self._hash

    @property
    def learned(self) -> frozenset[str]:
        """The entities that the NER engine finds."""
        return frozenset(entity for _, entity in self.ner.labels) if self.ner else frozenset()

    def without_ner(self) -> Using:
        return replace(self, ner=None) if self.ner else self


BUILT_IN = Using()


@dataclass(frozen=True, slots=True)
class Profile:
    """Kinds of entities that no rule is about are not looked for. `answer` are the rules for what
    the model writes of itself; `note` is told to it where placeholders were put into a chat.
    `entities`, those with a rule, are always the same set, so that it is hashed and compared but
    once."""

    name: str
    rules: Mapping[str, Rule]
    answer: Mapping[str, Rule] = field(default_factory=dict)
    images: Images = Images.ALLOW
    scope: Scope = Scope.PROJECT
    note: str = ""
    using: Using = BUILT_IN
    entities: frozenset[str] = field(init=False, repr=False, compare=False)
    lets_all_pass: bool = field(init=False, repr=False, compare=False)
    """Whether nothing is looked for, in no direction: then no text is walked to."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "entities", frozenset(self.rules))
        object.__setattr__(self, "using", _same(self.using))
        lets_all_pass = not self.rules and not self.answer and self.images is Images.ALLOW
        object.__setattr__(self, "lets_all_pass", lets_all_pass)


@lru_cache(256)
def _same(using: Using) -> Using:
    """The first that is equal: a policy that was read again asks with what its questions are kept
    under, and nobody has to compare the two."""
    return using
