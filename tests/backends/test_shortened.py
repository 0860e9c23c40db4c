"""Texts with JSON escapes, and gaps of any kind, read as shorter ones."""

from __future__ import annotations

import json
from functools import cache
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.engine import Engine
from gateway.backends.recognizers.built_in import recognizers
from gateway.backends.recognizers.shortened import on_one_line, unescaped
from gateway.privacy.spans import resolve

KINDS = frozenset(
    {"PERSON", "ORGANIZATION", "STREET_ADDRESS", "CN_ID_CARD", "PASSWORD", "LOCATION"}
)


@cache
def engine() -> Engine:
    return Engine(recognizers())


def found(text: str) -> list[str]:
    spans = resolve(engine().look(text, KINDS, Event()))
    return [text[one.start : one.end] for one in spans if one.score >= 0.5]


@pytest.mark.parametrize(
    ("value", "private"),
    [
        ({"name": "Jürgen Müller", "city": "München"}, ["Jürgen Müller", "München"]),
        ({"name": "王小明"}, ["王小明"]),
        ({"company": "Müller GmbH"}, ["Müller GmbH"]),
        ("Met José García", ["José García"]),
        (["é", "Hauptstraße 5, 10115 Köln", "ß"], ["Hauptstraße 5, 10115 Köln"]),
        ({"身份证": "11010519491231002X"}, ["11010519491231002X"]),
        ("密码：Tr0ub4dor&3", ["Tr0ub4dor&3"]),
    ],
)
def test_what_json_escapes_is_found_and_the_whole_escapes_are_of_it(
    value: object, private: list[str]
) -> None:
    text = json.dumps(value)
    assert "\\u" in text
    assert [json.loads(f'"{one}"') for one in found(text)] == private
    assert found(json.dumps(value, ensure_ascii=False)) == private


@pytest.mark.parametrize(
    "text", [r"J\\u00fcrgen", r"\ud83d\ude00", r"\u0041\n", r"C:\users\u00f", "\\u"]
)
def test_what_is_no_escape_of_a_letter_stays(text: str) -> None:
    assert unescaped(text) is None


@given(st.text(st.sampled_from('aü京\\"\n u0f\u00e4'), max_size=30))
def test_every_place_of_the_read_text_is_one_of_the_text(text: str) -> None:
    dumped = json.dumps(text)[1:-1]
    read = unescaped(dumped)
    if read is None:
        assert dumped == json.dumps(text, ensure_ascii=False)[1:-1]
        return
    assert read.text == json.dumps(text, ensure_ascii=False)[1:-1]
    for at, one in enumerate(read.text):
        written = dumped[read.original(at) : read.original(at + 1)]
        assert written in (one, json.dumps(one)[1:-1])


@given(st.text(st.sampled_from("ab \t\r\n"), max_size=30))
def test_gaps_become_one_space(text: str) -> None:
    read = on_one_line(text)
    line = read.text if read else text
    assert "".join(line.split(" ")) == "".join(text.split())
    assert "  " not in line or read is None
    for at, one in enumerate(read.text if read else ""):
        assert read is not None
        assert text[read.original(at) : read.original(at + 1)].strip() == one.strip()
