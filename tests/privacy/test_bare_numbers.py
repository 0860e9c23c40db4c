"""What stands in place of a number keeps a JSON document one."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.presidio_detector import Patience, PresidioDetector
from gateway.privacy.bare_numbers import Document, bare_numbers, without_point_zeros
from gateway.privacy.leads import see
from gateway.privacy.profile import Action, Profile, Rule
from gateway.privacy.redact import Redacted, redact
from gateway.privacy.spans import Span

KEY = b"k" * 32


class Digits:
    """Finds runs of seven digits and more, also in groups."""

    async def detect(self, texts: Sequence[str], *_: object) -> list[list[Span]]:
        shape = re.compile("[0-9][0-9 ]{5,}[0-9]")
        return [[Span(*m.span(), "CREDIT_CARD", 1.0) for m in shape.finditer(t)] for t in texts]


def redacted(text: str, action: Action) -> Redacted:
    profile = Profile("test", {"CREDIT_CARD": Rule(action)})
    return asyncio.run(redact([text], profile, Digits(), KEY))


@pytest.mark.parametrize("action", [Action.PLACEHOLDER, Action.MASK, Action.HASH, Action.REPLACE])
@pytest.mark.parametrize(
    "number", ["4111111111111111", "-4111111111111111", "4111111111111111.0", "4111111111111e3"]
)
def test_a_document_with_a_number_stays_one(number: str, action: Action) -> None:
    text = f' {{"card":{number}, "n": [{number},1.5], "s": "\\"4111111111111111"}}'
    (sent,) = redacted(text, action).texts
    told = json.loads(sent)
    assert told["card"] == told["n"][0] != json.loads(number)
    assert told["n"][1] == 1.5
    assert told["s"].startswith('"')
    assert "4111111111111" not in sent


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ('{"card":4111111111111111.0}', '{"card":4111111111111111  }'),
        ("[-4111111111111111.00,\n411111111.0]", "[-4111111111111111   ,\n411111111  ]"),
        ('{"a":[41111111.0,411111111.01,411111111.0e3],"s":"411111111.0"}', None),
        ('{"unfinished":4111111111111111.0', None),
        ("4111111111111111.0", None),
    ],
)
def test_of_a_long_whole_number_in_json_the_point_zero_is_not_seen(
    text: str, seen: str | None
) -> None:
    assert without_point_zeros(text) == (seen or text)
    assert see([text], [""]).shown == [seen or text]


def test_a_card_with_point_zero_is_found_by_what_looks_for_cards() -> None:
    detector = PresidioDetector(1, Patience(60))

    async def run() -> None:
        await detector.warm()
        using = Profile("test", {"CREDIT_CARD": Rule(Action.PLACEHOLDER)})
        result = await redact(['{"card":4111111111111111.0}'], using, detector, KEY)
        name = json.loads(result.texts[0])["card"]
        assert result.vault[name] == "4111111111111111.0"
        await detector.aclose()

    asyncio.run(run())


def test_a_number_is_restored_as_it_was_written_and_the_stand_in_is_a_string() -> None:
    result = redacted('{"card": -4111111111111111.0}', Action.PLACEHOLDER)
    name = json.loads(result.texts[0])["card"]
    assert re.fullmatch("CREDIT_CARD_[A-Z2-7]{8}", name)
    assert result.vault[name] == "-4111111111111111.0"


def test_a_number_that_is_put_there_stays_one() -> None:
    made = json.loads(redacted("[4111111111111111]", Action.REPLACE).texts[0])[0]
    assert isinstance(made, int)


@pytest.mark.parametrize("text", ["4111111111111111", "[see 4111111111111111]", "{a: 4111111111}"])
def test_what_is_no_document_is_a_text_like_others(text: str) -> None:
    assert bare_numbers(text) == []
    assert '"' not in redacted(text, Action.MASK).texts[0]


def test_a_number_of_thousands_of_digits_stands_in_a_document_too() -> None:
    assert bare_numbers(f"[{'1' * 5000}, 2]") == [(1, 5001), (5003, 5004)]


def test_brackets_without_an_end_are_no_document() -> None:
    assert bare_numbers("[" * 100_000) == []


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text('ab {}[],:-"\\é😀\n', max_size=8)
    | st.from_regex(r"[0-9]{7}", fullmatch=True),
    lambda below: st.lists(below) | st.dictionaries(st.text(max_size=4), below),
)


@given(JSON, st.sampled_from([Action.PLACEHOLDER, Action.MASK, Action.REPLACE]), st.booleans())
def test_any_document_stays_one(value: Any, action: Action, ascii_only: bool) -> None:
    text = json.dumps([value], ensure_ascii=ascii_only)
    json.loads(redacted(text, action).texts[0])


@given(JSON, st.booleans(), st.lists(st.integers(0, 99), max_size=20))
def test_the_numbers_of_a_document_in_pieces_are_those_of_the_whole(
    value: Any, ascii_only: bool, cuts: list[int]
) -> None:
    text = json.dumps([value], ensure_ascii=ascii_only)
    whole, pieces, begin = bare_numbers(text), Document(), 0
    for end in [*sorted(cut for cut in cuts if cut < len(text)), len(text)]:
        if any(a < end < b for a, b in whole):
            continue
        coming = pieces.numbers(text[begin:], 0)
        assert [(a + begin, b + begin) for a, b in coming] == [n for n in whole if n[0] >= begin]
        pieces.passed(text[begin:end])
        begin = end
