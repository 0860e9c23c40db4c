"""That most events of a stream are known by the one before changes nothing that can be seen."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_answer import (
    CARD,
    DONE,
    EMPTY,
    FULL,
    HEAD,
    MAIL,
    ROLE,
    USAGE,
    Played,
    call,
    end,
    play,
    said,
    sse,
)

import gateway.answer_text
from gateway.answer_text import AnswerText
from gateway.openai.overrun import Cap

TEXTS = st.lists(
    st.sampled_from(
        [" word", MAIL, MAIL[:9], MAIL[9:], CARD.lower(), "e", ' "a"\n', "我", "", "\\"]
    ),
    max_size=4,
).map("".join)
EVENTS = st.one_of(
    st.builds(said, TEXTS),
    st.builds(said, TEXTS),
    st.builds(said, TEXTS, index=st.just(1)),
    st.builds(lambda text, pad: said(text, obfuscation=pad), TEXTS, TEXTS),
    st.builds(lambda text: said(text, usage=None), TEXTS),
    st.builds(lambda text: said(text, "stop"), TEXTS),
    st.builds(call, TEXTS),
    st.builds(lambda n: said("x", usage={**USAGE, "completion_tokens": n}), st.integers(0, 60)),
    st.builds(lambda text: sse({**HEAD, "model": "other", "choices": [
        {"index": 0, "delta": {"content": text}}]}), TEXTS),
    st.builds(lambda text: sse({"error": {"message": text}}), TEXTS),
    st.sampled_from([ROLE, end(), end(1), b": ping\n\n", b"data: text\n\n",
                     b"event: x\ndata: {}\n\n",
                     said("a").replace(b"\n", b"\r\n"), b"data: \xff\n\n"]),
)  # fmt: skip


def facts(played: Played) -> Any:
    answer = played.answer
    return (
        played.body,
        [type(played.error), getattr(played.error, "code", None)],
        [answer.complete, answer.cut, answer.told, answer.served_model],
        dict(answer.said),
        Counter(answer.untold_text),
    )


@settings(deadline=None, max_examples=150)
@given(
    st.lists(EVENTS | EVENTS.map(lambda one: one * 3), max_size=14),
    st.sampled_from([EMPTY, FULL]),
    st.booleans(),
    st.sampled_from([None, 1, 5, 40]),
    st.sampled_from(["o200k", "bytes"]),
    st.sampled_from([100_000, 150]),
    st.booleans(),
    st.data(),
)
def test_all_is_as_if_each_event_were_read_whole(
    events: list[bytes],
    vault: Any,
    wants_usage: bool,
    cap: int | None,
    tokenizer: str,
    most: int,
    ends: bool,
    drawn: st.DataObject,
) -> None:
    stream = b"".join([said("Hello"), *events, *([DONE] if ends else [])])
    at = drawn.draw(st.lists(st.integers(0, len(stream)), max_size=4).map(sorted))
    cut = [stream[a:b] for a, b in zip([0, *at], [*at, len(stream)], strict=True)]
    how: dict[str, Any] = {
        "vault": vault,
        "wants_usage": wants_usage,
        "cap": None if cap is None else Cap(cap, cap, 9, tokenizer),
        "answer_bytes_max": most,
    }
    for pieces in (cut, [said("Hello"), *events, *([DONE] if ends else [])]):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(gateway.answer_text, "_VAIN_MAX", 0)
            expected = play(pieces, **how)
        assert facts(play(pieces, **how)) == facts(expected)


def test_as_many_events_as_need_not_be_counted_pass_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passed: list[int] = []
    real = AnswerText.passed

    def counted(text: AnswerText, piece: bytes) -> bytes:
        told = real(text, piece)
        passed.append(told.count(b"\n\n"))
        return told

    monkeypatch.setattr(AnswerText, "passed", counted)
    events = [said(f" word{number}") for number in range(100)]
    stream = b"".join([*events, end(), DONE])
    assert play([stream], cap=Cap(400, 400, 9, "o200k")).body == stream
    assert sum(passed) >= 97  # all but those by which it is counted
    assert len([one for one in passed if one]) <= 3


def test_a_caller_that_leaves_has_what_was_said_so_far_in_its_entry() -> None:
    events = [said(f" word{number}") for number in range(20)]
    played = play([*events, b"data: half"])
    assert played.answer.said == {(0, "content"): "".join(f" word{n}" for n in range(20))}
    assert played.answer.untold_text == played.answer.said[0, "content"]
    assert not played.answer.complete
    assert played.body == b"".join(events)


def test_events_that_are_alike_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str | bytes] = []
    real = gateway.answer.read_object

    def counted(text: str | bytes) -> Any:
        read.append(text)
        return real(text)

    monkeypatch.setattr(gateway.answer, "read_object", counted)
    events = [ROLE, *[said(f" word{number}") for number in range(50)], end(), DONE]
    play(events, vault=FULL)
    assert len(read) < 6
    read.clear()
    assert play([b"".join(events)], vault=FULL).body == b"".join(events)
    assert len(read) < 6


def test_events_that_are_never_alike_are_not_looked_at_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[Any] = []
    monkeypatch.setattr(gateway.answer_text, "alike", lambda *event: looked.append(event))
    play([said("a", created=number) for number in range(50)])
    assert len(looked) == gateway.answer_text._VAIN_MAX
