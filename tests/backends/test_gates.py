"""What lets the engine pass over a recognizer: too few digits in a text, or no word that it needs.

It may save time only: each finding with it is one without it."""

from __future__ import annotations

import string
from random import Random
from threading import Event

import pytest

from gateway.backends.engine import Engine
from gateway.backends.recognizers.built_in import recognizers
from gateway.backends.recognizers.finder import Finder
from gateway.backends.recognizers.gates import Gate, Gates
from gateway.backends.recognizers.reading import COUNTED_MAX, Reading
from private_corpus import generated
from private_values import VALUES

FINDERS = [one for one in recognizers() if isinstance(one, Finder)]
BY_ENTITY = {one.ENTITY: one for one in FINDERS}
GATED = [one for one in FINDERS if one.gate != Gate()]

# The fewest digits with which each is found at all, where the generated values have more.
SHORTEST = {
    "BR_CNPJ": ["12.ABC.345/01DE-35"],
    "CN_LICENSE_PLATE": ["沪AKL12学"],
    "CN_PASSPORT": ["护照EA1234567"],
    "DATE_OF_BIRTH": ["出生于昭和元年1月", "born 1 May '99"],
    "FR_NIR": ["insee 1 85 12 2A 123 456"],
    "HK_ID_CARD": ["A123456(3)"],
    "IBAN_CODE": ["MT84MALT011000012345MTLCAST001S"],
    "IP_ADDRESS": ["1.2.3.4", "fe80::a:b:c"],
    "NL_BSN": ["bsn 10000008"],
    "API_KEY": ["AKIAJ7Q2MZX4KD5RWT3B"],
    "CN_MOBILE": ["138 0013 8000"],
    "CREDIT_CARD": ["4111%201111%201111%201111", "4111_1111_1111_1111", "3782 822463 10005"],
    "PHONE_NUMBER": ["tel 5552671", "tel 5 5 5. 2 6 71", "+44 (0) 20-7946/0958"],
    "US_SSN": ["536 90 4399"],
    "STREET_ADDRESS": ["東京都港区芝公園四丁目", "1 Main Street"],
    "EMAIL_ADDRESS": ["dave%40example.org"],
    "PASSWORD": ["amqp://a:gR8!kq@b", "a:gR8!kq@tcp(b)", "密码:gR8!kq", "PW: gR8!kq7"],
    "SECRET": ["token=gR8kqW2mZ5", "密钥:gR8kqW2mZ5"],
}
BEHIND = {"PASSWORD": "password: ", "SECRET": "secret="}
"""The word that makes a value one of these."""


def gated(text: str, one: Finder) -> bool:
    """Whether the engine passes over it."""
    return not Gates([(one.gate, one)]).open(Reading(text))


@pytest.mark.parametrize("one", GATED, ids=lambda one: one.ENTITY)
def test_no_value_has_fewer_digits_than_are_asked_for(one: Finder) -> None:
    chance = Random(7)
    made = [VALUES[one.ENTITY](chance) for _ in range(300)] if one.ENTITY in VALUES else []
    for value in made:
        assert not gated(BEHIND.get(one.ENTITY, "") + value, one), value
    for value in SHORTEST.get(one.ENTITY, ()):
        assert list(one.find(value)), value
        assert not gated(value, one), value


@pytest.mark.parametrize("seed", range(8))
def test_what_is_passed_over_would_have_found_nothing(seed: int) -> None:
    """Texts of the corpus with values cut in pieces, and of characters that values are made of."""
    chance = Random(seed)
    samples = [one.text for one in generated(200, seed)]
    pieces = [
        "@",
        "%40",
        "eyJ",
        ":",
        "::",
        "-",
        ".",
        " ",
        "/",
        "cpf ",
        "born ",
        "护照",
        "号",
        "号楼",
        "pw: ",
        "://",
        "@tcp(",
        "PASSWORD=",
        "密码：",
        "Bearer ",
        "token=",
    ]
    for text in samples:
        begin = chance.randrange(len(text))
        cut = text[begin : begin + chance.randint(1, 60)]
        drawn = "".join(chance.choice([*pieces, *string.hexdigits]) for _ in range(30))
        for one in GATED:
            for tried in (cut, drawn):
                assert not (gated(tried, one) and list(one.find(tried))), (one.ENTITY, tried)


def test_the_engine_finds_with_its_gates_what_the_recognizers_find_without() -> None:
    engine = Engine(recognizers())
    for sample in generated(120, 3):
        found = engine.find(sample.text, frozenset(BY_ENTITY), Event())
        for entity, one in BY_ENTITY.items():
            alone = {(start, end) for start, end, _ in one.find(sample.text)}
            assert {(s.start, s.end) for s in found if s.entity == entity} <= alone
            assert bool(alone) == any(s.entity == entity for s in found), (entity, sample.text)


def test_a_gate_asks_for_digits_and_for_any_of_its_words() -> None:
    gates = Gates(
        [
            (Gate(), "always"),
            (Gate(digits_min=2), "two digits"),
            (Gate(needles=("@", "号")), "sign"),
            (Gate(needles=("@",), small_needles=("key", "密")), "sign or word"),
            (Gate(digits_min=1, small_needles=("key",)), "digit and word"),
            (Gate(close_digits_min=2), "two together"),
            (Gate(shapes=(b"0a",)), "digit before letter"),
            (Gate(needs_long_run=True), "long run"),
        ]
    )
    opened = {
        text: set(gates.open(Reading(text)))
        for text in ("", "KEY", "a@1", "密 12", "号 7key", "(1)-2", "A/b-" * 5)
    }
    assert opened == {
        "": {"always"},
        "KEY": {"always", "sign or word"},
        "a@1": {"always", "sign", "sign or word"},
        "密 12": {"always", "two digits", "two together", "sign or word"},
        "号 7key": {"always", "sign", "sign or word", "digit and word", "digit before letter"},
        "(1)-2": {"always", "two digits", "two together"},
        "A/b-A/b-A/b-A/b-A/b-": {"always", "long run"},
    }


def test_digits_are_close_that_one_number_can_have() -> None:
    assert Reading("1 (2)-3/4.5_6%7").close_digits(b"0") == 7
    assert Reading("12, 345 and ６７").close_digits(b"0") == 3
    assert Reading("12, 345").close_digits(b"0000") == 0
    assert Reading("").close_digits(b"0") == 0
    assert Reading("a" * (COUNTED_MAX + 1)).close_digits(b"0") > COUNTED_MAX


def test_digits_are_counted_in_short_texts_only() -> None:
    assert Reading("a1b2 卡3\ud800").digits == 3
    assert Reading("").digits == 0
    assert Reading("a" * (COUNTED_MAX + 1)).digits > COUNTED_MAX
