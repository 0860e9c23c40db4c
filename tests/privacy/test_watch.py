"""What the model writes of itself is looked at while it comes, however it is cut."""

import asyncio
import re
from collections.abc import Sequence
from itertools import pairwise

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


def told(watch: Watch, *pieces: str) -> str:
    async def play() -> str:
        return "".join([await watch.feed("lane", p) for p in pieces]) + await watch.flush("lane")

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
