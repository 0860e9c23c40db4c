"""What the model writes of itself is looked at while it comes, however it is cut."""

import asyncio
import json
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import TextBlocked, Unavailable
from gateway.privacy.profile import Action, Profile, Rule
from gateway.privacy.redact import DetectionFailed
from gateway.privacy.spans import Span
from gateway.privacy.watch import HELD_MAX, Watch

SHAPES = {
    "API_KEY": re.compile(r"sk-[0-9a-z]{8,}"),
    "PHONE_NUMBER": re.compile(r"[0-9]{3} [0-9]{4}"),
    "PRIVATE_KEY": re.compile(r"--BEGIN--[a-z\n]*(?:--END--)?"),
    "CREDIT_CARD": re.compile(r"[0-9]{16}"),
    "URL": re.compile(r"http:[^ ]+"),
}


class Shapes:
    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], *_: object
    ) -> list[list[Span]]:
        return [
            [
                Span(*found.span(), entity, 1.0)
                for entity in sorted(entities)
                for found in SHAPES[entity].finditer(text)
            ]
            for text in texts
        ]


class Broken:
    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], *_: object
    ) -> list[list[Span]]:
        raise DetectionFailed("a recognizer broke")


def watch(**actions: str) -> Watch:
    rules = {name: Rule(Action(action)) for name, action in actions.items()}
    return Watch(Profile("test", {}, rules), Shapes(), b"k" * 32)


def told(watch: Watch, *pieces: str, is_json: bool = False) -> str:
    async def play() -> str:
        fed = [await watch.feed("lane", piece, is_json) for piece in pieces]
        return "".join(fed) + await watch.flush("lane")

    return asyncio.run(play())


TEXT = "use sk-abc12345678 or call 555 1234, see --BEGIN--abcdef\nghi--END-- and so on"
SEEN = "use ******** or call ********, see ******** and so on"
ALL = {"API_KEY": "mask", "PHONE_NUMBER": "mask", "PRIVATE_KEY": "mask"}


@given(st.lists(st.integers(0, len(TEXT)), max_size=20))
def test_it_is_found_however_the_answer_is_cut(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(TEXT)]
    one = watch(**ALL)
    pieces = [TEXT[start:end] for start, end in pairwise(ends)]
    assert told(one, *pieces) == SEEN
    assert one.counts == {f"{name}:mask": 1 for name in ALL}


def test_no_more_is_held_back_than_the_word_and_the_longest_finding_with_spaces() -> None:
    async def play() -> None:
        words, spaced = watch(API_KEY="mask"), watch(PHONE_NUMBER="mask")
        assert await words.feed("lane", "one two thr") == "one two "
        text = "word " * 20
        assert len(text) - len(await spaced.feed("lane", text)) == 40

    asyncio.run(play())


def test_what_is_longer_than_can_be_held_is_told_in_parts() -> None:
    long = "--BEGIN--" + "a" * HELD_MAX + "b" * HELD_MAX
    seen = told(watch(PRIVATE_KEY="mask"), *(long[i : i + 1000] for i in range(0, len(long), 1000)))
    assert seen.startswith("********")


def test_lanes_do_not_know_of_each_other() -> None:
    async def play() -> None:
        one = watch(API_KEY="mask")
        assert await one.feed("a", "sk-abcd") == ""
        assert await one.feed("b", "12345678 ") == "12345678 "
        assert one.held_lanes() == ["a"]
        assert await one.flush("a") == "sk-abcd"

    asyncio.run(play())


def test_a_blocked_entity_ends_the_answer_before_any_of_it_is_told() -> None:
    async def play() -> None:
        one = watch(API_KEY="block")
        assert await one.feed("lane", "here: sk-abc1") == "here: "
        with pytest.raises(TextBlocked) as refusal:
            await one.feed("lane", "2345678 and more")
        assert refusal.value.code == "answer_blocked"
        one.drop()
        assert await one.flush("lane") == ""

    asyncio.run(play())


def test_what_is_only_reported_is_told_and_counted() -> None:
    one = watch(API_KEY="report")
    assert told(one, TEXT) == TEXT
    assert one.counts == {"API_KEY:report": 1}


def test_an_answer_that_cannot_be_looked_at_is_not_told() -> None:
    rules = {"API_KEY": Rule(Action.MASK)}
    one = Watch(Profile("test", {}, rules), Broken(), b"k" * 32)
    with pytest.raises(Unavailable):
        told(one, TEXT)


WITH_KEY = "see http://a.de/?sk-abc12345678 and so on"


@pytest.mark.parametrize("size", [1, 7, 99])
def test_what_is_only_reported_hides_nothing(size: int) -> None:
    pieces = [WITH_KEY[i : i + size] for i in range(0, len(WITH_KEY), size)]
    one = watch(URL="report", API_KEY="mask")
    assert told(one, *pieces) == "see http://a.de/?******** and so on"
    assert one.counts == {"URL:report": 1, "API_KEY:mask": 1}
    with pytest.raises(TextBlocked):
        told(watch(URL="report", API_KEY="block"), *pieces)


def test_what_is_reported_inside_of_what_is_hidden_is_not_counted() -> None:
    one = watch(URL="mask", API_KEY="report")
    assert told(one, WITH_KEY) == "see ******** and so on"
    assert one.counts == {"URL:mask": 1}


def test_a_blocked_entity_is_blocked_also_where_its_word_joins_a_longer_one() -> None:
    one = watch(PRIVATE_KEY="mask", PHONE_NUMBER="block")
    with pytest.raises(TextBlocked):
        told(one, "call 555 1234--BEGIN--abcdefghi--END-- now")
    assert one.counts == {"PHONE_NUMBER:block": 1, "PRIVATE_KEY:mask": 1}


def test_a_long_reported_word_does_not_let_a_key_out_that_ends_later() -> None:
    long = "http://" + "a/" * (HELD_MAX // 2) + "sk-abc12345678"
    pieces = [*(long[i : i + 50] for i in range(0, len(long), 50)), "d" * 99, " end"]
    seen = told(watch(URL="report", API_KEY="mask"), *pieces)
    assert seen == f"{long.removesuffix('sk-abc12345678')}******** end"


def test_a_blocked_value_beside_one_too_long_to_hold_ends_the_answer() -> None:
    long = "call 555 1234--BEGIN--" + "a" * (2 * HELD_MAX)
    with pytest.raises(TextBlocked):
        told(watch(PRIVATE_KEY="mask", PHONE_NUMBER="block"), long, " end")


def test_of_what_is_found_in_a_value_of_the_callers_own_the_less_sure_is_a_part_of_it() -> None:
    class Scored(Shapes):
        async def detect(self, *asked: Any) -> list[list[Span]]:
            scores = {"URL": 0.6, "API_KEY": 0.9, "CREDIT_CARD": 0.5}
            found = await super().detect(*asked)
            return [[s._replace(score=scores[s.entity]) for s in spans] for spans in found]

    rules = {kind: Rule(Action.MASK) for kind in ("URL", "API_KEY", "CREDIT_CARD")}
    card = "4111111111111111"
    url = f"http://a.de/{card}?sk-abc12345678"
    own = {"URL": {url}}
    one = Watch(Profile("test", {}, rules), Scored(), b"k" * 32, (), own)
    assert told(one, f"{url} {card}") == f"http://a.de/{card}?******** ********"


CARDS = (
    ' {"card": 4111111111111111, "s\\"": "\\\\", "n": [-4111111111111111.0,1.5],'
    ' "t": "to \\"4111111111111111", "e": "", "f":4111111111111111}'
)
CARDS_SEEN = (
    ' {"card": "********", "s\\"": "\\\\", "n": ["********",1.5],'
    ' "t": "to \\"********", "e": "", "f":"********"}'
)


@given(st.lists(st.integers(0, len(CARDS)), max_size=99))
def test_a_number_in_json_is_hidden_by_a_string_however_it_is_cut(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(CARDS)]
    pieces = [CARDS[start:end] for start, end in pairwise(ends)]
    json.loads(CARDS_SEEN)
    for rules in ({"CREDIT_CARD": "mask"}, {"CREDIT_CARD": "mask", "API_KEY": "mask"}):
        assert told(watch(**rules), *pieces, is_json=True) == CARDS_SEEN


def test_a_number_in_a_text_that_is_no_json_gets_no_quotes() -> None:
    for text, is_json in (("[4111111111111111]", False), ("see 4111111111111111", True)):
        seen = told(watch(CREDIT_CARD="mask"), text, is_json=is_json)
        assert seen == text.replace("4111111111111111", "********")


def test_a_long_number_in_json_is_never_told_in_part() -> None:
    text = f"[-1.{'0' * 60}4111111111111111]"
    assert told(watch(CREDIT_CARD="mask"), *text, is_json=True) == '["********"]'
