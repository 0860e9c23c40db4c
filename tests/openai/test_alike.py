"""An event is alike to another one only if nothing but its text, and padding, differs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.openai.alike import Alike, alike
from gateway.openai.chunks import put_text, text_at
from gateway.openai.texts import answer_places

HEAD = {"id": "c-1", "object": "chat.completion.chunk", "created": 7, "model": "m"}
TEXT = st.text(st.characters(codec=None, exclude_categories=())) | st.text(
    '"\\:{}[],content p', max_size=9
)


def event(value: Any, **how: Any) -> bytes:
    return b"data: " + json.dumps(value, **how).encode("utf-8", "surrogatepass")


def like(value: Any, **how: Any) -> Alike | None:
    (place,) = answer_places(value)
    return alike(event(value, **how), place)


def text_of(like: Alike, raw: bytes) -> str | None:
    texts = like.texts_in(raw + b"\n\n")
    assert texts is None or len(texts) == 1
    return texts[0] if texts else None


def chunk(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": None}], **more}


SHAPES: list[dict[str, Any]] = [
    chunk({"content": "hi"}),
    chunk({"content": "hi"}, obfuscation="x7"),
    chunk({"content": "hi"}, p="hi", usage=None),
    chunk({"content": "hi", "role": "assistant"}),
    chunk({"content": None, "reasoning_content": "hi"}),
    chunk({"tool_calls": [{"index": 1, "function": {"arguments": "hi"}}]}),
    {**HEAD, "choices": [{"index": 3, "text": "hi"}]},
    {"content": "hi", "x": {"content": "hi"}, **chunk({"content": "hi"})},
]


@pytest.mark.parametrize("shape", SHAPES[:-1])
@pytest.mark.parametrize("how", [{}, {"separators": (",", ":")}, {"ensure_ascii": False}])
def test_the_text_of_the_next_event_is_told(shape: dict[str, Any], how: Any) -> None:
    known = like(shape, **how)
    assert known is not None
    (place,) = answer_places(shape)
    next_one = json.loads(json.dumps(shape))
    put_text(next_one, place.path, 'a "b"\n我 \\')
    if "obfuscation" in next_one:
        next_one["obfuscation"] = "Z" * 17
    raw = event(next_one, **how)
    assert text_of(known, raw) == 'a "b"\n我 \\'
    put_text(next_one, place.path, "other")
    said = known.saying(raw + b"\n\n", ["other"])
    assert json.loads(said[6:]) == next_one


def test_of_equal_texts_the_one_at_the_place_is_meant() -> None:
    assert like(SHAPES[-1]) is None


@pytest.mark.parametrize(
    "raw",
    [
        event(chunk({"content": "a"}, created=8)),
        event(chunk({"content": "a"}, usage={"prompt_tokens": 1})),
        event(chunk({"content": None})),
        event(chunk({"content": 7})),
        event(chunk({"content": ["a"]})),
        event(chunk({"content": "a", "refusal": "b"})),
        event(chunk({"content": "a"})) + b"\n: comment",
        event(chunk({"content": "a"})).replace(b' "a"', b'\n"a"'),
        event(chunk({"content": "a"})).replace(b'"a"', b'"a\n"'),
        event(chunk({"content": "a"})).replace(b'"a"', b'"a", "b": "c"'),
        event(chunk({"content": "a"})).replace(b'"a"', b'"\xff"'),
        event(chunk({"content": "a"})).replace(b'"a"', b'"\\ud83d"'),
        event(chunk({"content": "a"})).replace(b'"a"', b'"'),
        event(chunk({"content": "a"})).replace(b'"a"', b""),
        b"data: [DONE]",
        b"",
    ],
)
def test_what_differs_in_anything_else_is_not_alike(raw: bytes) -> None:
    known = like(chunk({"content": "hi"}))
    assert known is not None
    assert text_of(known, raw) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"choices":[{"delta":{"content":"a","content":"a"}}]}',
        '{"choices":[{"delta":{"content":"a"}}],"p":"b","p":"c"}',
        '{"choices":[{"delta":{"content":"a"},"x":{"p":"b"}}]}',
        '{"choices":[{"delta":{"content":"\\ud83d"}}]}',
    ],
)
def test_where_it_is_not_easily_told_nothing_is_alike(text: str) -> None:
    (place,) = answer_places(json.loads(text))
    assert alike(b"data: " + text.encode(), place) is None


@given(st.sampled_from(SHAPES[:-1]), st.lists(st.text(), min_size=1, max_size=5))
def test_events_in_one_piece_are_told_together(shape: dict[str, Any], texts: list[str]) -> None:
    known = like(shape)
    assert known is not None
    (place,) = answer_places(shape)
    events = [json.loads(json.dumps(shape)) for _ in texts]
    for one, text in zip(events, texts, strict=True):
        put_text(one, place.path, text)
        if "obfuscation" in one:
            one["obfuscation"] = "Z" * len(text)
    piece = b"".join(event(one) + b"\n\n" for one in events)
    assert known.texts_in(piece) == texts
    other = [text.upper() + '"' for text in texts]
    for one, text in zip(events, other, strict=True):
        put_text(one, place.path, text)
    *said, behind = known.saying(piece, other).split(b"\n\n")
    assert [json.loads(one[6:]) for one in said] == events
    assert behind == b""
    for cut in (piece[:-1], piece[1:], piece + b"data: [DONE]\n\n", piece + b"\n", piece[:-2]):
        assert known.texts_in(cut) is None


@given(st.sampled_from(SHAPES[:-1]), TEXT, TEXT, st.data())
def test_whatever_is_taken_for_alike_is(
    shape: dict[str, Any], text: str, padding: str, drawn: st.DataObject
) -> None:
    """Also after random bytes of an event were changed."""
    known = like(shape)
    assert known is not None
    (place,) = answer_places(shape)
    expected = json.loads(json.dumps(shape))
    put_text(expected, place.path, text)
    for name in {"obfuscation", "p"} & expected.keys():
        expected[name] = padding
    raw = event(expected)
    at = drawn.draw(st.integers(0, len(raw)))
    changed = drawn.draw(
        st.sampled_from([b"", b'"', b"\\", b'","', b"1", b'"content": "a"', b"\n"])
    )
    raw = raw[:at] + changed + raw[at + drawn.draw(st.integers(0, 3)) :]
    if (found := text_of(known, raw)) is None:
        return
    read = json.loads(raw[6:])
    assert text_at(read, place.path) == found
    assert answer_places(read) == [place]
    put_text(read, place.path, text)
    for name in {"obfuscation", "p"} & expected.keys():
        assert isinstance(read[name], str)
        read[name] = padding
    assert read == expected
