"""Texts that are made to be slow, or to hide a value: read to their end, with stated behaviour.

How long they take is measured by `make privacy-report`. Here a quadratic step would take minutes,
and end as DetectionFailed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from gateway.backends.entities import ENTITIES
from gateway.backends.presidio_detector import Patience, PresidioDetector
from gateway.privacy.spans import resolve
from private_latency import HOSTILE, hostile

SIZE = 100_000
CARD = "4111111111111111"


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def detector(loop: asyncio.Runner) -> Iterator[PresidioDetector]:
    detector = PresidioDetector(1, Patience(60))
    loop.run(detector.warm())
    yield detector
    loop.run(detector.aclose())


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_text_that_is_made_to_be_slow_is_read_to_its_end(
    name: str, loop: asyncio.Runner, detector: PresidioDetector
) -> None:
    text = f"{hostile(name, SIZE)}\nann@example.com {CARD}"
    (spans,) = loop.run(detector.detect([text], ENTITIES))
    found = {text[one.start : one.end] for one in resolve(spans)}
    assert {"ann@example.com", CARD} <= found


FOUND = {
    "full-width digits": "４１１１１１１１１１１１１１１１",
    "Arabic-Indic digits": "٤١١١١١١١١١١١١١١١",
    "Persian digits": "۴۱۱۱۱۱۱۱۱۱۱۱۱۱۱۱",
    "Devanagari digits": "४१११११११११११११११",
    "mathematical digits": "𝟒𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏",
    "no-break spaces": "4111\u00a01111\u00a01111\u00a01111",
    "typographic dashes": "4111–1111–1111–1111",
    "a horizontal bar": "4111\u20151111\u20151111\u20151111",
    "en and em spaces": "4111\u20021111\u20031111\u20021111",
    "full-width mail": "ａｎｎ＠ｅｘａｍｐｌｅ．ｃｏｍ",
}


@pytest.mark.parametrize("value", FOUND.values(), ids=FOUND)
@pytest.mark.parametrize(
    "around", ["{}", "我的卡号是{}。", "[[[({})]]]", "رقم{}هنا", "\u200b{}\u200b"]
)
def test_a_value_in_other_characters_is_found_whole(
    value: str, around: str, loop: asyncio.Runner, detector: PresidioDetector
) -> None:
    text = around.format(value)
    (spans,) = loop.run(detector.detect([text], frozenset({"CREDIT_CARD", "EMAIL_ADDRESS"})))
    assert {text[one.start : one.end] for one in spans} == {value}


MISSED = {
    "zero-width characters inside": "4111\u200b1111\u200b1111\u200b1111",
    "a soft hyphen inside": "4111\u00ad111111111111",
    "a line end inside": "41111111\n11111111",
    "groups on lines of their own": "4111\n1111\n1111\n1111",
    "letters that look like digits": "4lll1111l11111l1",
    "circled digits": "④①①①①①①①①①①①①①①①",
    "superscript digits": "⁴¹¹¹¹¹¹¹¹¹¹¹¹¹¹¹",
    "letters of another script": "аnn@ехаmрlе",
    "spelled out": "ann at example dot com",
}


@pytest.mark.parametrize("value", MISSED.values(), ids=MISSED)
def test_what_the_guide_says_is_missed(
    value: str, loop: asyncio.Runner, detector: PresidioDetector
) -> None:
    """Should one be found one day, the guide has to say so."""
    (spans,) = loop.run(
        detector.detect([f"card {value} end"], frozenset({"CREDIT_CARD", "EMAIL_ADDRESS"}))
    )
    assert spans == []
