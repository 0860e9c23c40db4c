"""Recognizers and an NER engine look at the same texts; the policy says what a failure means."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.privacy.ensemble import Ensemble
from gateway.privacy.profile import BUILT_IN, Ner, OnDetectorFailure, Using
from gateway.privacy.redact import DetectionFailed
from gateway.privacy.spans import Span

ENTITIES = frozenset({"PERSON"})
TEXTS = ["Anna", "Ben"]


class Finds:
    def __init__(self, entity: str, broken: bool = False) -> None:
        self.entity, self.broken, self.calls = entity, broken, 0

    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], using: Using = BUILT_IN
    ) -> list[list[Span]]:
        self.calls += 1
        if self.broken:
            raise DetectionFailed("broke")
        return [[Span(0, len(text), self.entity, 1.0)] for text in texts]


def using(on_failure: OnDetectorFailure = OnDetectorFailure.REFUSE) -> Using:
    return Using(ner=Ner("english", "spacy", "x", on_failure=on_failure))


def test_both_are_asked_and_what_either_finds_is_found() -> None:
    both = Ensemble(Finds("EMAIL_ADDRESS"), Finds("PERSON"), lambda: None)
    found = asyncio.run(both.detect(TEXTS, ENTITIES, using()))
    assert [{s.entity for s in spans} for spans in found] == [{"EMAIL_ADDRESS", "PERSON"}] * 2


def test_without_an_engine_in_the_policy_none_is_asked() -> None:
    ner = Finds("PERSON")
    found = asyncio.run(Ensemble(Finds("JWT"), ner, lambda: None).detect(TEXTS, ENTITIES))
    assert ([len(spans) for spans in found], ner.calls) == ([1, 1], 0)


def test_a_failed_engine_refuses_unless_the_policy_goes_on_without_it() -> None:
    told: list[str] = []
    both = Ensemble(Finds("JWT"), Finds("PERSON", broken=True), lambda: told.append("without"))
    with pytest.raises(DetectionFailed):
        asyncio.run(both.detect(TEXTS, ENTITIES, using()))
    assert told == []
    found = asyncio.run(both.detect(TEXTS, ENTITIES, using(OnDetectorFailure.WITHOUT_NER)))
    assert [[s.entity for s in spans] for spans in found] == [["JWT"], ["JWT"]]
    assert told == ["without"]


def test_failed_recognizers_refuse_whatever_the_engine_finds() -> None:
    both = Ensemble(Finds("JWT", broken=True), Finds("PERSON"), lambda: None)
    with pytest.raises(DetectionFailed):
        asyncio.run(both.detect(TEXTS, ENTITIES, using(OnDetectorFailure.WITHOUT_NER)))
