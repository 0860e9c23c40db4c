"""What is done in each of the texts of one request, and what is told of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final

from gateway.privacy.bare_numbers import (
    DOCUMENT_FIRST,
    Range,
    bare_numbers,
    begins_document,
    quoted,
)
from gateway.privacy.decide import NOTHING, Settled, any_acts, reported, settle
from gateway.privacy.mint import Changes, Mint, Vault, with_stand_ins
from gateway.privacy.profile import REVERSIBLE, Action, Profile, Rule
from gateway.privacy.spans import Span

_BLOCK: Final = Action.BLOCK  # as an enum's member, each use is a look-up in its class
_COVERED: Final = dict.fromkeys((Action.HASH, *REVERSIBLE), Action.MASK)
"""What becomes of actions in a picture; others stay."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is done with the value at `span`. `sent` leaves in its place: the value itself where it
    is only reported, nothing where it is blocked."""

    span: Span
    action: Action
    sent: str = field(repr=False, default="")


Findings = Sequence[Sequence[Finding]]
"""Of each text, in its order."""


class Work:
    """What is done in each of `count` texts, in their order, and how often by `ENTITY:action`;
    `changed`: the numbers of those in which something is put, `changing`: these themselves, and
    what is done in each. A text in which nothing was found costs nothing."""

    __slots__ = (
        "_actions",
        "_first_picture",
        "_rules",
        "changed",
        "changes",
        "changing",
        "counts",
        "numbers",
        "settled",
    )

    def __init__(
        self, rules: Mapping[str, Rule], actions: Mapping[str, Action], count: int, pictured: int
    ) -> None:
        self._rules = rules
        self._actions = actions
        self._first_picture = count - pictured
        self.counts: dict[str, int] = {}
        self.settled: list[Settled] = [NOTHING] * count
        self.changes: list[Changes] = [()] * count
        self.numbers: list[Sequence[Range]] = [()] * count
        self.changed: list[int] = []
        self.changing: tuple[list[str], list[Changes]] = ([], [])

    def settle(self, at: int, text: str, spans: Sequence[Span]) -> None:
        actions, in_picture = self._actions, at >= self._first_picture
        if in_picture:
            actions = {entity: _COVERED.get(action, action) for entity, action in actions.items()}
        may_be = text[:1] in DOCUMENT_FIRST  # hardly any is: no pattern has to say so
        is_document = may_be and begins_document(text) and any_acts(spans, actions)
        numbers = bare_numbers(text) if is_document else ()
        one = settle(text, spans, actions, numbers)
        counts = self.counts
        for span in (*one.reports, *one.acted) if one.reports else one.acted:
            name = f"{span.entity}:{actions[span.entity]}"
            counts[name] = counts[name] + 1 if name in counts else 1
        self.settled[at], self.numbers[at] = one, numbers
        if not one.changes:
            return
        changes: list[tuple[Span, Action, int]] = []
        for span in one.changes:
            entity = span.entity
            keep_last = 0 if in_picture else self._rules[entity].keep_last
            changes.append((span, actions[entity], keep_last))
        self.changes[at] = changes
        self.changed.append(at)
        self.changing[0].append(text)
        self.changing[1].append(changes)

    def blocked(self) -> Set[str]:
        """The kinds of what was found that must not leave."""
        if _BLOCK not in self._actions.values():
            return frozenset()
        return {
            entity
            for entity, action in self._actions.items()
            if action is _BLOCK and f"{entity}:{_BLOCK}" in self.counts
        }


def left_of(
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


def findings_of(
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


def made_of(
    texts: Sequence[str], work: Work, mint: Mint
) -> tuple[tuple[str, ...], Vault, Sequence[Sequence[str]]]:
    """The texts with what is put into them, and that, of each text. Only those that change are
    looked at."""
    redacted = list(texts)
    sent: list[Sequence[str]] = [()] * len(texts)
    stand_ins = mint.stand_ins(*work.changing)
    for at, made in zip(work.changed, stand_ins, strict=True):
        spans = work.settled[at].changes
        if numbers := work.numbers[at]:
            made = quoted(spans, numbers, made)
        redacted[at] = with_stand_ins(texts[at], spans, made)
        sent[at] = made
    return tuple(redacted), mint.vault(), sent
