"""Recognizers that a policy writes down, alone and through the detector."""

import asyncio
import random
import time

import pytest

from gateway.backends.presidio_detector import Patience, PresidioDetector
from gateway.backends.recognizers.checksums import CHECKS
from gateway.backends.recognizers.custom import CustomRecognizer, examine
from gateway.policy.format_redaction import CHECKS as CHECKS_IN_POLICIES
from gateway.privacy.profile import Custom, Pattern, Using
from gateway.privacy.redact import DetectionFailed


def found(custom: Custom, text: str) -> list[tuple[str, float]]:
    return [
        (text[start:end], round(score, 6))
        for start, end, score in CustomRecognizer(custom).find(text)
    ]


def test_a_pattern_finds_its_matches_with_its_score() -> None:
    badge = Custom("BADGE", (Pattern(r"\bB-[0-9]{4}\b", 0.7), Pattern("ZZ[0-9]")))
    assert found(badge, "号B-1234码 xB-1234 B-12345 ZZ9") == [("B-1234", 0.7), ("ZZ9", 0.6)]


def test_a_group_called_value_is_the_finding() -> None:
    badge = Custom("BADGE", (Pattern(r"(?i)badge (?P<value>[0-9]+)"),))
    assert found(badge, "é😀 Badge 77 and BADGE 78") == [("77", 0.6), ("78", 0.6)]


def test_denied_words_are_whole_words_of_any_case_and_allowed_values_are_none() -> None:
    project = Custom(
        "PROJECT", (Pattern("P[0-9]+"),), deny=("Nightfall", "Nightfall II", "C++"), allow=("P0",)
    )
    text = "Nightfalls nightfall II，NIGHTFALL码 C++ P0 P1"
    assert found(project, text) == [("P1", 0.6), ("nightfall II", 1), ("NIGHTFALL", 1), ("C++", 1)]


def test_a_word_of_the_context_before_it_makes_a_match_surer() -> None:
    room = Custom("ROOM", (Pattern("[0-9]{3}", 0.3),), context=("Room", "raum"), context_chars=10)
    assert found(room, "ROOM 123") == [("123", 0.65)]
    assert found(room, "123 room") == [("123", 0.3)]
    assert found(room, "room and so on 123") == [("123", 0.3)]
    sure = Custom("ROOM", (Pattern("[0-9]{3}", 0.9),), context=("room",))
    assert found(sure, "room 123") == [("123", 1)]


def test_a_check_is_made_of_letters_and_digits_alone() -> None:
    card = Custom("CARD", (Pattern("[0-9-]{19}"),), check="luhn")
    assert found(card, "4111-1111-1111-1111 4111-1111-1111-1112") == [("4111-1111-1111-1111", 0.6)]


GOOD = {
    "luhn": ["79927398713", "4111111111111111"],  # the first of ISO/IEC 7812-1's common examples
    "mod97": ["3214282912345698765432161182", "5493001KJTIIGC8Y1R12"],
    "mod11": ["0000000218250097", "11010519491231002X"],  # ISNI and ORCID; GB 11643
    "verhoeff": ["2363", "234123412346"],
    "iban": ["DE89370400440532013000", "GB29NWBK60161331926819"],
}


def test_the_checksums_of_policies_are_those_that_there_are() -> None:
    assert set(CHECKS) == set(CHECKS_IN_POLICIES) == set(GOOD)


@pytest.mark.parametrize("name", GOOD)
def test_a_checksum_passes_good_values_and_no_value_with_one_other_digit(name: str) -> None:
    check = CHECKS[name]
    for value in GOOD[name]:
        assert check(value), value
        for at, digit in enumerate(value):
            for other in set("0123456789") - {digit}:
                if digit.isdigit():
                    assert not check(value[:at] + other + value[at + 1 :]), (value, at, other)


@pytest.mark.parametrize("name", GOOD)
def test_a_checksum_of_anything_is_an_answer(name: str) -> None:
    chance = random.Random(4)
    assert not any(CHECKS[name](value) for value in ("", "1", "X", "É", "A1B2", "--", "١٢٣"))
    for _ in range(500):
        CHECKS[name]("".join(chance.choices("0123456789AXZ", k=chance.randint(0, 30))))


def test_examples_are_tried() -> None:
    case = Custom("CASE", (Pattern("C-[0-9]{4}"),))
    assert not examine(case, ["my C-1234"], ["C-12", ""])
    told = [(one.field, one.index, one.message) for one in examine(case, ["", "C-1"], ["x C-1234"])]
    assert told == [
        ("matches", 0, "CASE finds nothing here"),
        ("matches", 1, "CASE finds nothing here"),
        ("not", 0, "CASE finds `C-1234` here"),
    ]


@pytest.mark.parametrize("regex", [r"(?<=a)b", r"(a)\1", "(a", "a{5000}", "[", "a++", "(?>a)"])
def test_what_re2_cannot_hold_is_a_fault(regex: str, capfd: pytest.CaptureFixture[str]) -> None:
    (fault,) = examine(Custom("X", (Pattern("fine"), Pattern(regex))), ["fine"], [])
    assert (fault.field, fault.index) == ("patterns", 1)
    assert "RE2 cannot hold" in fault.message
    assert capfd.readouterr().err == ""


def test_a_pattern_of_nothing_is_a_fault() -> None:
    (fault,) = examine(Custom("X", (Pattern("[0-9]*"),)), [], [])
    assert "empty" in fault.message


def test_what_makes_other_engines_exponential_takes_linear_time() -> None:
    evil = Custom("EVIL", (Pattern("(a|aa)+$"), Pattern("(a*)*b"), Pattern("(x+x+)+y")))
    text = ("a" * 50_000 + "!" + "x" * 50_000) * 2
    began = time.process_time()
    assert found(evil, text) == []
    assert time.process_time() - began < 30  # for re, more than the age of the universe


BADGE = Custom("BADGE", (Pattern("B-[0-9]{4}"),))
MORE_SSN = Custom("US_SSN", (Pattern("SSN-[0-9]+"),))


def test_the_detector_runs_those_of_the_question_only() -> None:
    async def run() -> None:
        detector = PresidioDetector(1, Patience(60))
        await detector.warm()
        text = "B-1234 SSN-12 536-90-4399"
        using = Using(custom=(BADGE, MORE_SSN))
        both = frozenset({"BADGE", "US_SSN"})
        for _ in range(2):
            (spans,) = await detector.detect([text], both, using)
            assert sorted((span.entity, text[span.start : span.end]) for span in spans) == [
                ("BADGE", "B-1234"),
                ("US_SSN", "536-90-4399"),
                ("US_SSN", "SSN-12"),
            ]
            (spans,) = await detector.detect([text], frozenset({"US_SSN"}))
            assert [text[span.start : span.end] for span in spans] == ["536-90-4399"]
            with pytest.raises(DetectionFailed, match="BADGE"):
                await detector.detect([text], both)
        await detector.aclose()

    asyncio.run(run())


def test_the_detector_finds_what_one_country_has() -> None:
    async def run() -> None:
        detector = PresidioDetector(1, Patience(60))
        await detector.warm()
        text = "NHS 943-476-5919，1EG4-TE5-MK73。"
        (spans,) = await detector.detect([text], frozenset({"UK_NHS", "US_MBI"}))
        assert [(span.entity, text[span.start : span.end]) for span in spans] == [
            ("UK_NHS", "943-476-5919"),
            ("US_MBI", "1EG4-TE5-MK73"),
        ]
        await detector.aclose()

    asyncio.run(run())
