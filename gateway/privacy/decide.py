"""What is done with what was found: which findings the rules are about, and which of those that
overlap is acted on. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from unicodedata import normalize

from gateway.privacy.bare_numbers import Range, with_numbers
from gateway.privacy.profile import Action, Rule
from gateway.privacy.spans import Span, outside, resolve, unquoted, whole_words

_REPORT: Final = Action.REPORT  # as an enum's member, each use is a look-up in its class


def decide(
    texts: Sequence[str], found: Sequence[Sequence[Span]], rules: Mapping[str, Rule]
) -> tuple[list[Sequence[Span]], Mapping[str, Action]]:
    """Of what was found that which rules are about, and what is done with each of its kinds: that
    depends on how many different values of it there are."""
    known: list[Sequence[Span]] = []
    actions: dict[str, Action] = {}
    values: dict[str, set[str]] = {}
    for text, spans in zip(texts, found, strict=True):
        if not spans:
            known.append(())
            continue
        kept: list[Span] = []
        known.append(kept)
        for span in spans:
            kind = span.entity
            rule = rules.get(kind)
            if rule is None or span.score < rule.score_min:
                continue
            span = unquoted(text, span)
            if span.start >= span.end:
                continue
            kept.append(span)
            if kind not in actions:
                actions[kind] = rule.action
                if rule.count_min > 1:
                    values[kind] = set()
    if values:
        _collect(values, texts, known, rules)
        for kind, different in values.items():
            actions[kind] = rules[kind].action_for(len(different))
    return known, actions


def _collect(
    values: Mapping[str, set[str]],
    texts: Sequence[str],
    known: Sequence[Sequence[Span]],
    rules: Mapping[str, Rule],
) -> None:
    """The different values of these kinds, of each up to the number that its rule asks for."""
    for text, spans in zip(texts, known, strict=True):
        for span in _disjoint([span for span in spans if span.entity in values]):
            of_kind = values[span.entity]
            if len(of_kind) < rules[span.entity].count_min:
                of_kind.add(normalize("NFKC", text[span.start : span.end]).casefold())


class Settled(NamedTuple):
    """What is done in one text, each disjoint and sorted. `acted`, which counts, are findings that
    something is done with; `changes` are those as they are replaced: grown to whole words, and to
    whole numbers of a document, where two may have become one. `reports` are outside of them."""

    acted: Sequence[Span] = ()
    changes: Sequence[Span] = ()
    reports: Sequence[Span] = ()


NOTHING: Final = Settled()


def any_acts(spans: Sequence[Span], actions: Mapping[str, Action]) -> bool:
    """Whether anything is done with one of them but to report it."""
    for span in spans:  # noqa: SIM110, a generator costs more than most loops do
        if actions[span.entity] is not _REPORT:
            return True
    return False


def settle(
    text: str, spans: Sequence[Span], actions: Mapping[str, Action], numbers: Sequence[Range]
) -> Settled:
    """What is only reported takes no part in what is done with the others: it hides nothing."""
    acting: list[Span] = []
    reporting: list[Span] = []
    for span in spans:
        (reporting if actions[span.entity] is _REPORT else acting).append(span)
    acted = resolve(acting) if len(acting) > 1 else acting
    changes = whole_words(text, acted)
    if numbers:
        changes = with_numbers(changes, numbers)
    return Settled(acted, changes, resolve(outside(reporting, changes)) if reporting else ())


def reported(
    spans: Sequence[Span], actions: Mapping[str, Action], changes: Sequence[Span]
) -> list[Span]:
    """The disjoint spans of each kind that is only reported, outside of what is changed."""
    reporting = [span for span in spans if actions[span.entity] is _REPORT]
    return _disjoint(outside(reporting, changes))


def _disjoint(spans: Sequence[Span]) -> list[Span]:
    """The disjoint spans of each kind."""
    kinds: dict[str, list[Span]] = {}
    for span in spans:
        kinds.setdefault(span.entity, []).append(span)
    return [span for same in kinds.values() for span in resolve(same)]
