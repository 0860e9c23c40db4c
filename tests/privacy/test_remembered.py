"""What was found in a text is remembered, by a hash of it and never the text."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gateway.privacy.profile import BUILT_IN, Custom, Using
from gateway.privacy.redact import DetectionFailed
from gateway.privacy.remembered import Remembered
from gateway.privacy.spans import Span

MAIL, PHONE = frozenset({"EMAIL_ADDRESS"}), frozenset({"PHONE_NUMBER"})
KEY = b"k" * 32


class Counting:
    """Finds one value in each text that has an `@`, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.broken = False

    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], using: Using = BUILT_IN
    ) -> list[list[Span]]:
        self.asked += texts
        if self.broken:
            raise DetectionFailed("broke")
        (entity,) = entities
        return [[Span(0, len(t), entity, 1.0)] if "@" in t else [] for t in texts]


def found(detector: Remembered, *texts: str, using: Using = BUILT_IN) -> list[list[Span]]:
    return asyncio.run(detector.detect(texts, MAIL, using))


def test_only_new_texts_are_looked_at_and_each_text_has_its_own_findings() -> None:
    inner = Counting()
    detector = Remembered(inner, KEY, 100)
    found(detector, "a@b", "plain")
    answers = found(detector, "plain", "c@d@e", "a@b", "plain")
    assert inner.asked == ["a@b", "plain", "c@d@e"]
    assert [[(s.start, s.end) for s in spans] for spans in answers] == [[], [(0, 5)], [(0, 3)], []]


def test_a_text_that_stands_there_twice_is_looked_at_once() -> None:
    inner = Counting()
    assert len(found(Remembered(inner, KEY, 100), "a@b", "a@b", "a@b")) == 3
    assert inner.asked == ["a@b"]


def test_other_entities_and_other_recognizers_are_another_question() -> None:
    inner = Counting()
    detector = Remembered(inner, KEY, 100)
    found(detector, "a@b")
    assert asyncio.run(detector.detect(["a@b"], PHONE))[0][0].entity == "PHONE_NUMBER"
    found(detector, "a@b", using=Using((Custom("STAFF_ID", deny=("x",)),)))
    assert inner.asked == ["a@b"] * 3


def test_what_looks_is_hashed_once_though_it_holds_ten_thousand_words() -> None:
    hashed = []

    class Word(str):
        def __hash__(self) -> int:
            hashed.append(self)
            return super().__hash__()

    using = Using((Custom("STAFF_ID", deny=(Word("x"),)),))
    assert len({using, using, Using(using.custom)}) == 1
    assert len(hashed) == 2


def test_a_failure_is_told_and_not_remembered() -> None:
    inner = Counting()
    detector = Remembered(inner, KEY, 100)
    inner.broken = True
    with pytest.raises(DetectionFailed):
        found(detector, "a@b")
    inner.broken = False
    assert found(detector, "a@b") == [[Span(0, 3, "EMAIL_ADDRESS", 1.0)]]


def test_what_is_kept_is_bounded_and_what_was_asked_for_last_stays() -> None:
    inner = Counting()
    detector = Remembered(inner, KEY, 10)
    found(detector, *(f"text {n}" for n in range(10)))
    found(detector, "text 0", "new")
    inner.asked.clear()
    found(detector, "text 0", "new", "text 2")
    assert (inner.asked, detector.weight) == ([], 10)
    found(detector, "text 1")
    assert inner.asked == ["text 1"]


def test_a_text_with_more_findings_than_are_kept_is_not_remembered() -> None:
    inner = Counting()
    detector = Remembered(inner, KEY, 1)
    found(detector, "a@b")
    found(detector, "a@b")
    assert (inner.asked, detector.weight) == (["a@b"] * 2, 0)


def test_nothing_that_is_kept_is_text() -> None:
    detector = Remembered(Counting(), KEY, 100)
    found(detector, "planted@secret")
    kept, todo = [], [detector._kept]
    while todo:
        one = todo.pop()
        kept.append(one)
        todo += [o for o in gc.get_referents(one) if not isinstance(o, type)]
    assert not any("planted" in one for one in kept if isinstance(one, str))


def test_changing_what_was_told_does_not_change_what_is_remembered() -> None:
    detector = Remembered(Counting(), KEY, 100)
    found(detector, "a@b")[0].clear()
    assert len(found(detector, "a@b")[0]) == 1


def test_many_texts_are_hashed_aside_and_the_event_loop_has_its_turns() -> None:
    class Bench(ThreadPoolExecutor):
        done = 0

        def submit(self, *args: Any, **named: Any) -> Any:
            self.done += 1
            return super().submit(*args, **named)

    async def turns_of(count: int, size: int = 1) -> tuple[int, int]:
        with Bench(1) as pool:
            detector, turns = Remembered(Counting(), KEY, 10**6, pool), 0
            texts = [f"{'x' * size}@{n}" for n in range(count)]
            work = asyncio.create_task(detector.detect(texts, MAIL))
            while not work.done():
                turns += 1
                await asyncio.sleep(0)
            assert len(work.result()) == count
            return pool.done, turns

    assert asyncio.run(turns_of(10))[0] == 0
    assert asyncio.run(turns_of(1, 100_000))[0] == 1
    hashed, turns = asyncio.run(turns_of(10_000))
    assert hashed == 1
    assert turns > 2 * 10


def test_half_a_surrogate_pair_is_a_text_too() -> None:
    assert found(Remembered(Counting(), KEY, 100), "\ud800") == [[]]
