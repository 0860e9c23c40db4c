"""The port Detector: what every backend of it does, and what Presidio's does besides."""

import asyncio
import threading
import traceback
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from presidio_analyzer import (
    AnalyzerEngine,
    EntityRecognizer,
    RecognizerRegistry,
    RecognizerResult,
)
from presidio_analyzer.nlp_engine import NoOpNlpEngine

from gateway.backends.entities import ENTITIES
from gateway.backends.presidio_detector import (
    SMALL_CHARACTERS,
    TINY_CHARACTERS,
    TINY_TEXTS,
    Patience,
    PresidioDetector,
)
from gateway.backends.recognizers.built_in import recognizers
from gateway.backends.recognizers.finder import Finder, Found
from gateway.privacy.redact import DetectionFailed, Detector
from gateway.privacy.spans import Span

T = TypeVar("T")
SECRET = "4111111111111111"
MIXED = f"我的卡号是{SECRET}，邮箱alice@example.com，手机13800138000。"


def presidio() -> PresidioDetector:
    return PresidioDetector(threads=2, patience=Patience(60))


BACKENDS = [presidio]


def using(make: Callable[[], PresidioDetector], work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    async def run() -> T:
        detector = make()
        try:
            await detector.warm()
            return await work(detector)
        finally:
            await detector.aclose()

    return asyncio.run(run())


async def all_done(detector: PresidioDetector) -> None:
    """The pools of one thread have come to the end of what they were given."""
    for pool in (detector._pool, detector._small_pool):
        await asyncio.get_running_loop().run_in_executor(pool, lambda: None)


def broken(*recognizers: EntityRecognizer, **settings: Any) -> Callable[[], PresidioDetector]:
    settings = {"threads": 1, "patience": Patience(60), "tiny_characters": 0, **settings}
    return lambda: PresidioDetector(**settings, using=recognizers)


# What every backend does.


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_text_has_its_own_spans_in_its_own_code_points(
    backend: Callable[[], PresidioDetector],
) -> None:
    async def work(detector: Detector) -> None:
        texts = ["", MIXED, "nothing here", f"😀é {SECRET}"]
        entities = frozenset({"CREDIT_CARD", "EMAIL_ADDRESS"})
        found = await detector.detect(texts, entities)
        values = [
            sorted((span.entity, text[span.start : span.end]) for span in spans)
            for text, spans in zip(texts, found, strict=True)
        ]
        assert values == [
            [],
            [("CREDIT_CARD", SECRET), ("EMAIL_ADDRESS", "alice@example.com")],
            [],
            [("CREDIT_CARD", SECRET)],
        ]
        assert all(0 < span.score <= 1 for spans in found for span in spans)

    using(backend, work)


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_what_is_asked_for_is_found(backend: Callable[[], PresidioDetector]) -> None:
    async def work(detector: Detector) -> None:
        (found,) = await detector.detect([MIXED], frozenset({"CN_MOBILE"}))
        assert {span.entity for span in found} == {"CN_MOBILE"}
        assert await detector.detect([MIXED], frozenset()) == [[]]
        assert await detector.detect([], frozenset({"CN_MOBILE"})) == []

    using(backend, work)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_entity_that_it_cannot_find_is_a_failure_and_not_a_finding_of_nothing(
    backend: Callable[[], PresidioDetector],
) -> None:
    async def work(detector: Detector) -> None:
        with pytest.raises(DetectionFailed, match="SHOE_SIZE"):
            await detector.detect([MIXED], frozenset({"CREDIT_CARD", "SHOE_SIZE"}))

    using(backend, work)


@pytest.mark.parametrize("backend", BACKENDS)
def test_many_requests_at_once_have_each_their_own_answer(
    backend: Callable[[], PresidioDetector],
) -> None:
    async def work(detector: Detector) -> None:
        texts = [f"{'x' * i} {SECRET}" for i in range(50)]
        asked = [detector.detect([text], frozenset({"CREDIT_CARD"})) for text in texts]
        for i, (spans,) in enumerate(await asyncio.gather(*asked)):
            assert [(span.start, span.end) for span in spans] == [(i + 1, i + 17)]

    using(backend, work)


# What Presidio's does besides.


def test_it_finds_every_entity_that_a_policy_may_name() -> None:
    supported = {name for one in recognizers() for name in one.get_supported_entities()}
    assert supported == ENTITIES


def test_before_it_is_warm_it_finds_nothing_and_says_so() -> None:
    async def run() -> None:
        detector = presidio()
        with pytest.raises(DetectionFailed):
            await detector.detect([SECRET], frozenset({"CREDIT_CARD"}))
        await detector.aclose()

    asyncio.run(run())


class Thing(Finder):
    """Finds the word `thing`; tests change what happens then."""

    ENTITY = "THING"

    def find(self, text: str) -> Iterator[Found]:
        if "thing" in text:
            at = text.index("thing")
            yield at, at + 5, 0.5


class Breaking(Thing):
    def find(self, text: str) -> Iterator[Found]:
        if "thing" in text:
            raise ValueError(f"cannot read {text}")
        return iter(())


def test_a_recognizer_that_breaks_fails_the_call_and_tells_no_text() -> None:
    async def work(detector: Detector) -> None:
        entities = frozenset({"THING"})
        assert await detector.detect(["well"], entities) == [[]]
        text = "-".join(("secret", "thing"))  # so that the line of a traceback does not show it
        with pytest.raises(DetectionFailed) as failure:
            await detector.detect(["well", text], entities)
        told = "".join(traceback.format_exception(failure.value))
        assert "ValueError" in told
        assert text not in told
        assert failure.value.__context__ is None
        assert failure.value.__cause__ is None

    using(broken(Breaking()), work)


class Waiting(Thing):
    """Says when it has begun, and waits until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()
        self.may_go_on = threading.Event()
        self.texts: list[str] = []

    def find(self, text: str) -> Iterator[Found]:
        self.texts.append(text)
        if "thing" in text:
            self.begun.set()
            self.may_go_on.wait()
        return iter(())


def test_what_takes_too_long_fails_the_call_and_is_not_gone_on_with() -> None:
    slow = Waiting()

    async def run() -> None:
        detector = PresidioDetector(
            threads=1, patience=Patience(0.05), using=[slow], tiny_characters=0
        )
        with pytest.raises(DetectionFailed, match="seconds"):
            await detector.detect(["thing", "later"], frozenset({"THING"}))
        slow.may_go_on.set()
        await all_done(detector)
        assert "later" not in slow.texts
        await detector.aclose()

    asyncio.run(run())


def test_the_event_loop_goes_on_while_a_text_is_looked_at() -> None:
    slow = Waiting()

    async def work(detector: Detector) -> None:
        task = asyncio.create_task(detector.detect(["thing"], frozenset({"THING"})))
        await asyncio.to_thread(slow.begun.wait)
        assert not task.done()
        slow.may_go_on.set()
        assert await task == [[]]

    using(broken(slow), work)


@pytest.mark.parametrize(("count", "in_place"), [(TINY_TEXTS, True), (TINY_TEXTS + 1, False)])
def test_many_texts_are_not_looked_at_on_the_event_loop_however_short(
    count: int, in_place: bool
) -> None:
    seen = set[int]()

    class Noting(Thing):
        def find(self, text: str) -> Iterator[Found]:
            seen.add(threading.get_ident())
            return iter(())

    async def work(detector: Detector) -> None:
        seen.clear()
        await detector.detect(["x"] * count, frozenset({"THING"}))
        assert (seen == {threading.get_ident()}) is in_place

    using(broken(Noting(), tiny_characters=TINY_CHARACTERS), work)


def test_a_small_text_does_not_wait_for_long_ones() -> None:
    slow = Waiting()

    async def work(detector: Any) -> None:
        entities = frozenset({"THING"})
        long = "thing".ljust(SMALL_CHARACTERS + 1)
        halves = ["thing".ljust(SMALL_CHARACTERS), "x"]  # long together
        tasks = [asyncio.create_task(detector.detect(one, entities)) for one in ([long], halves)]
        await asyncio.to_thread(slow.begun.wait)
        assert await detector.detect(["well"], entities) == [[]]
        assert await detector.detect(["x" * SMALL_CHARACTERS], entities) == [[]]
        assert not any(task.done() for task in tasks)
        slow.may_go_on.set()
        assert await asyncio.gather(*tasks) == [[[]], [[], []]]

    using(broken(slow), work)


def test_when_it_is_closed_no_text_is_taken_small_or_long() -> None:
    async def run() -> None:
        detector = broken(Thing())()
        await detector.warm()
        await detector.aclose()
        for text in ("x", "x" * (SMALL_CHARACTERS + 1)):
            with pytest.raises(RuntimeError):
                await detector.detect([text], frozenset({"THING"}))

    asyncio.run(run())


def test_a_caller_that_leaves_ends_the_work() -> None:
    slow = Waiting()

    async def work(detector: Any) -> None:
        task = asyncio.create_task(detector.detect(["thing", "later"], frozenset({"THING"})))
        await asyncio.to_thread(slow.begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        slow.may_go_on.set()
        await all_done(detector)
        assert "later" not in slow.texts

    using(broken(slow), work)


def test_a_recognizer_that_does_not_work_is_seen_before_the_first_request() -> None:
    class NeverWorks(Thing):
        def find(self, text: str) -> Iterator[Found]:
            raise RuntimeError

    with pytest.raises(DetectionFailed):
        using(broken(NeverWorks()), lambda detector: asyncio.sleep(0))


def test_twins_and_what_a_better_result_contains_are_one_finding() -> None:
    class Twins(Thing):
        def find(self, text: str) -> Iterator[Found]:
            yield from ((0, 5, 0.5), (0, 5, 0.5), (1, 4, 0.4), (3, 9, 0.9))

    async def work(detector: Detector) -> None:
        (found,) = await detector.detect(["some things"], frozenset({"THING"}))
        assert sorted(found, key=lambda span: span.start) == [
            Span(0, 5, "THING", 0.5),
            Span(3, 9, "THING", 0.9),
        ]

    using(broken(Twins()), work)


def test_full_width_characters_and_typographic_dashes_are_read_as_plain_ones() -> None:
    texts = [
        "４１１１１１１１１１１１１１１１",
        "ａｌｉｃｅ＠ｅｘａｍｐｌｅ．ｃｏｍ",
        "415\u2013555\u20112671",
        "（415） 555-2671",
        "2001：db8：：8a2e：370：7334",
        "4111\u00a01111\u00a01111\u00a01111",
    ]

    async def work(detector: Detector) -> None:
        for text, spans in zip(texts, await detector.detect(texts, ENTITIES), strict=True):
            assert [(span.start, span.end) for span in spans] == [(0, len(text))]

    using(presidio, work)


@cache
def engine() -> AnalyzerEngine:
    nlp = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": "none"}])
    nlp.load()
    registry = RecognizerRegistry(recognizers=recognizers(), supported_languages=["en"])
    return AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["en"])


VALUES = st.sampled_from(
    [
        SECRET, "alice@example.com", "13800138000", "+1 415 555 2671", "203.0.113.7", "536-90-4399",
        "DE89 3704 0044 0532 0130 00", "11010519491231002X", "AKIA" + "IOSFODNN7EXAMPLE", "eyJ",
        "tel 030 1234567", "sk-" + "a1" * 20, "号", "x", " ", "-", ".", "\n", "00", "1",
    ]
)  # fmt: skip


@settings(max_examples=200)
@given(st.lists(st.lists(VALUES, max_size=6).map("".join), min_size=1, max_size=5))
def test_the_thin_engine_finds_what_presidios_own_engine_finds(texts: Sequence[str]) -> None:
    async def work(detector: Detector) -> list[list[Span]]:
        return await detector.detect(texts, ENTITIES)

    ours = using(
        lambda: PresidioDetector(1, Patience(60), using=engine().registry.recognizers), work
    )
    for text, spans in zip(texts, ours, strict=True):
        theirs: list[RecognizerResult] = engine().analyze(text, "en", entities=sorted(ENTITIES))
        assert {(span.start, span.end, span.entity, span.score) for span in spans} == {
            (one.start, one.end, one.entity_type, one.score) for one in theirs
        }
        assert len(spans) == len(theirs)
