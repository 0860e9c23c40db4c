"""What to look for in texts, and what to do with what is found. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


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
    """What is done with pictures, in which text may stand that nobody reads."""

    ALLOW = "allow"
    REFUSE = "refuse"


class Scope(StrEnum):
    """Where the same value has the same placeholder and the same hash."""

    ORGANIZATION = "organization"
    PROJECT = "project"
    CONVERSATION = "conversation"


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do with one kind of entity.

    Findings below `score_min` (0..1) are not acted on. Fewer findings than `count_min` in all texts
    of a request get `below` instead of `action`. `keep_last`: characters of a masked value that
    stay to be seen; of a value of which that would be more than half, none."""

    action: Action
    score_min: float = 0.4
    keep_last: int = 0
    count_min: int = 1
    below: Action = Action.REPORT

    def action_for(self, count: int) -> Action:
        return self.action if count >= self.count_min else self.below


@dataclass(frozen=True, slots=True)
class Profile:
    """Kinds of entities that no rule is about are not looked for. `answer` are the rules for what
    the model writes of itself; `note` is told to it where placeholders were put into a chat."""

    name: str
    rules: Mapping[str, Rule]
    answer: Mapping[str, Rule] = field(default_factory=dict)
    images: Images = Images.ALLOW
    scope: Scope = Scope.PROJECT
    note: str = ""
