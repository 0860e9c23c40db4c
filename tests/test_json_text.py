"""JSON is read and written as Python's own json does it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.json_text import read, write

# Halves of surrogate pairs, integers of any size and numbers that are not finite are among them.
TEXT = st.text(st.characters(codec=None, exclude_categories=()))
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=12,
)
NUMBERS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,4})?", fullmatch=True
)
NOT_QUITE = st.text('0123456789-+.eE[]{}:,"\\ud8 \t\n\x00naNfI/é\ufeff', max_size=12)


def outcome(read: Any, text: str | bytes) -> tuple[str, str]:
    """`repr` tells kinds of numbers, zeros and NaNs apart, and the order of keys."""
    try:
        return "value", repr(read(text))
    except (ValueError, RecursionError) as error:
        return "error", type(error).__name__


def dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@given(VALUE, st.booleans(), st.sampled_from([None, 1]))
def test_what_json_writes_is_read_as_json_reads_it(value: Any, ascii: bool, indent: int) -> None:
    text = json.dumps(value, ensure_ascii=ascii, indent=indent)
    assert outcome(read, text) == outcome(json.loads, text)


@given(VALUE)
def test_what_was_read_is_written_as_the_same(value: Any) -> None:
    value = read(dumped(value))
    assert repr(json.loads(write(value))) == repr(json.loads(dumped(value)))
    assert repr(read(write(value))) == repr(value)


@given(NUMBERS)
@example("-0")
@example("-0.0")
@example("18446744073709551616")
@example("-9223372036854775809")
@example("1e400")
@example("-1.7976931348623159e308")
@example("9" * 5000)
def test_a_number_is_read_and_written_as_json_does(number: str) -> None:
    for text in (number, f"[{number}]", f'{{"a":{number}}}'.encode()):
        assert outcome(read, text) == outcome(json.loads, text)
        if outcome(read, text)[0] == "value":
            assert repr(json.loads(write(read(text)))) == repr(json.loads(text))


@given(NOT_QUITE | NUMBERS | st.binary(max_size=12))
@example("NaN")
@example('{"a":1,"a":2}')
@example("[1]\u00a0")
@example("\ufeff1")
@example('"\ud800"')
@example('"\\ud800"')
@example('"\x00"')
@example('"\x1f"')
@example(b"\xef\xbb\xbf1")
@example('{"a":1}'.encode("utf-16"))
@example('{"a":1}'.encode("utf-32-le"))
@example(b'"\xed\xa0\x80"')
@example("[" * 100_000)
@example("[" * 10_000 + "]" * 10_000)
def test_whatever_comes_is_read_or_refused_as_json_does(text: str | bytes) -> None:
    assert outcome(read, text) == outcome(json.loads, text)


@pytest.mark.parametrize("depth", [253, 254, 255, 300, 600])
@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}")])
def test_what_is_deep_is_written_too(depth: int, opens: str, closes: str) -> None:
    text = opens * depth + "1" + closes * depth
    assert write(read(text)) == text.encode()


def test_nothing_is_read_that_could_not_be_written() -> None:
    for depth in range(900, 1100):
        text = "[" * depth + "]" * depth
        if outcome(read, text)[0] == "value":
            assert write(read(text)) == text.encode()
    assert outcome(read, "[" * 1020 + "]" * 1020) == outcome(json.loads, "[" * 1020 + "]" * 1020)


@pytest.mark.parametrize("value", ["我😀é/\u2028\x7f", {"a": [1, 2.5, None]}, (1, "b"), {1: 2}])
def test_what_is_written_is_compact_utf_8(value: Any) -> None:
    assert write(value) == dumped(value).encode()


def test_half_a_surrogate_pair_is_escaped_and_all_beside_it() -> None:
    assert write(["\ud83d", "我"]) == b'["\\ud83d","\\u6211"]'


@dataclass
class Thing:
    a: int = 1


@pytest.mark.parametrize("value", [Thing(), datetime(2026, 1, 1), {1, 2}, b"a", object()])
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        write([value])
