"""Recognizers that a policy writes down, alone and through the detector."""

import asyncio
import random
import time
from dataclasses import replace
from threading import Event
from typing import Any

import pytest

from gateway.backends.engine import Engine
from gateway.backends.examine import examine
from gateway.backends.presidio_detector import Patience, PresidioDetector
from gateway.backends.recognizers.allowed import allowed_by
from gateway.backends.recognizers.checksums import CHECKS
from gateway.backends.recognizers.custom import CustomRecognizer, compiled
from gateway.backends.recognizers.search import Searched
from gateway.policy.format_redaction import CHECKS as CHECKS_IN_POLICIES
from gateway.privacy.profile import Action, Custom, Pattern, Profile, Rule, Using
from gateway.privacy.redact import DetectionFailed, redact


def found(custom: Custom, text: str) -> list[tuple[str, float]]:
    engine = Engine([CustomRecognizer(custom)], allowed_by((custom,)))
    spans = engine.look(text, {custom.entity}, Event())
    ordered = sorted(spans, key=lambda one: (one.score, one.start))
    return [(text[span.start : span.end], round(span.score, 6)) for span in ordered]


def test_a_pattern_finds_its_matches_with_its_score() -> None:
    badge = Custom("BADGE", (Pattern(r"\bB-[0-9]{4}\b", 0.7), Pattern("ZZ[0-9]")))
    assert found(badge, "号B-1234码 xB-1234 B-12345 ZZ9") == [("ZZ9", 0.6), ("B-1234", 0.7)]


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
        ("matches", 0, "CASE finds nothing in ``"),
        ("matches", 1, "CASE finds nothing in `C-1`"),
        ("not", 0, "CASE finds `C-1234` in `x C-1234`"),
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


def look(custom: Custom, text: str) -> list[str]:
    """As the detector does: values as they stand in the text."""
    engine = Engine([CustomRecognizer(custom)], allowed_by((custom,)))
    spans = engine.look(text, {custom.entity}, Event())
    return [text[span.start : span.end] for span in sorted(spans, key=lambda one: one.start)]


@pytest.mark.parametrize(
    "word",
    ["Projekt Süd – Nord", "東京　支店", "Ａ社", "Café\u00a0Noir", "１２３ Tower", "٤٤ Tower"],
)
def test_a_word_is_found_however_its_characters_are_written(word: str) -> None:
    custom = Custom("SITE", deny=(word,), allow=())
    assert look(custom, f"in {word.upper()} today") == [word.upper()]
    assert not examine(custom, [f"in {word} today"], [])
    assert look(Custom("SITE", deny=(word,), allow=(word.lower(),)), f"in {word}") == []


def test_what_is_allowed_is_none_however_it_is_written() -> None:
    number = Custom("NUMBER", (Pattern("[0-9]{3}-[0-9]+"),), allow=("１２３–４", "Ab-1"))
    assert look(number, "123-4 １２３-４ 123-5") == ["123-5"]


@pytest.mark.parametrize("regex", ["№ ?[０-９]{4}", "Süd – Nord", r"\x{FF10}", r"\xa0", "a\u3000b"])
def test_a_pattern_of_characters_that_no_text_has_is_a_fault(regex: str) -> None:
    (fault,) = examine(Custom("X", (Pattern(regex),)), [], [])
    assert "is read as" in fault.message
    assert not examine(Custom("X", (Pattern(r"№ ?[0-9]{4}，\\xa0"),)), [], [])


def test_examples_are_tried_as_texts_are() -> None:
    custom = Custom("X", (Pattern("№ ?[0-9]{4}"), Pattern("Z", 0)))
    assert not examine(custom, ["№１２３４"], ["Z"])


@pytest.mark.parametrize(
    ("regex", "said"),
    [
        ("\bE-[0-9]", "control character `\\x08`"),
        ("(?P<value>a)|(?P<value>b)", "two groups called `value`"),
        ("(?s)x.{0,1000}y", "too large"),
    ],
)
def test_what_is_likely_a_slip_in_a_pattern_is_a_fault(regex: str, said: str) -> None:
    (fault,) = examine(Custom("X", (Pattern(regex),)), [], [])
    assert said in fault.message


def test_names_that_overlap_are_both_found() -> None:
    bird = Custom("PROJECT", deny=("Blue Heron", "Heron Project", "Heron"))
    assert look(bird, "the blue-Heron, the BLUE HERON Project") == [
        "Heron", "BLUE HERON", "HERON Project",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "gap", [" ", "  ", "\n", " \r\n\t", "\\n", " \\r\\n  ", "\u3000", "\u00a0 "]
)
def test_a_space_in_a_word_is_any_gap_of_the_text(gap: str) -> None:
    bird = Custom("PROJECT", deny=("Blue Heron", "ACME  Rail"))
    text = f"é  our blue{gap}heron\n and acme{gap}rail"
    assert look(bird, text) == [f"blue{gap}heron", f"acme{gap}rail"]
    assert look(bird, f"blueheron, blue,{gap}heron, blue{gap}herons") == []


def test_apostrophes_are_the_same() -> None:
    word = Custom("X", deny=("O'Hara's", "D\u2019Arcy"))
    assert look(word, "O\u2019Hara's d'arcy O\u2018HARA\u2019S") == [
        "O\u2019Hara's", "d'arcy", "O\u2018HARA\u2019S",
    ]  # fmt: skip


def test_words_are_found_behind_json_escapes_and_beside_other_scripts() -> None:
    word = Custom("X", deny=("nightfall", ".NET", "Straße", "İstanbul", "ΟΔΟΣ"))
    text = r"a\nNightfall \u5361nightfall xnightfall 号nightfall码 a.net .NETx istanbul οδος"
    assert look(word, text) == [
        "Nightfall", "nightfall", "nightfall", ".net", "istanbul", "οδος",
    ]  # fmt: skip


def test_long_lists_find_what_a_plain_search_does() -> None:
    chance = random.Random(9)
    letters = ["a", "b", "B", " ", "é", "京", "-", "都"]
    for _ in range(300):
        words = {
            "".join(chance.choices(letters, k=chance.randint(1, 4))).strip() for _ in range(20)
        }
        words -= {""}
        words = {" ".join(word.split()) for word in words}
        text = " ".join("".join(chance.choices(letters, k=60)).split())
        custom = Custom("X", deny=tuple(sorted(words)))
        covered = {
            at for start, end, _ in CustomRecognizer(custom).find(text) for at in range(start, end)
        }
        expected: set[int] = set()
        for word in words:
            for start in range(len(text)):
                end = start + len(word)
                if text[start:end].lower() == word.lower() and _is_whole(text, start, end):
                    expected |= set(range(start, end))
        assert covered == expected, (words, text)


def _is_whole(text: str, start: int, end: int) -> bool:
    def joined(at: int) -> bool:
        pair = text[max(0, at - 1) : at + 1]
        return len(pair) == 2 and at > 0 and all(one.isascii() and one.isalnum() for one in pair)

    return not joined(start) and not joined(end)


def test_a_match_that_fails_its_check_hides_none_that_begins_inside_of_it() -> None:
    card = Custom("CARD", (Pattern(r"\b[0-9]{4}-[0-9]{4}-[0-9]{4}\b"),), check="luhn")
    assert look(card, "0001-4008-1234-5678") == ["4008-1234-5678"]
    assert look(card, "0001-4008-1234-5679 4008-1234-5678") == ["4008-1234-5678"]
    free = replace(card, check=None, allow=("0001-4008-1234",))
    assert look(free, "0001-4008-1234-5678") == ["4008-1234-5678"]


def test_a_match_of_any_length_is_found_if_what_decides_is_near() -> None:
    rest = Custom("REST", (Pattern("Re: .+"),))
    for text in ("x" * 20_000, "今" * 5_000):
        assert look(rest, f"a\nRe: {text}\nb") == [f"Re: {text}"]
    quoted = Custom("QUOTED", (Pattern('"[^"]+"'),))
    for mark in "x今😀":
        near, far = f'"{mark * 990}"', f'"{mark * 9_000}"'
        assert look(quoted, f"é {near} {far}. ") == [near]


def test_a_long_text_is_searched_as_a_short_one_is() -> None:
    word = Custom("W", (Pattern(r"(?m)^E[0-9]+$|\bF[0-9]+\b"), Pattern(r"\AG[0-9]|H[0-9]\z")))
    text = "G1 " + "F22 今\nE33\nxE44 xF5 G6 H7 " * 900 + "H8"
    assert look(word, text).count("F22") == look(word, text).count("E33") == 900
    assert [one for one in look(word, text) if one[0] in "GH"] == ["G1", "H8"]


@pytest.mark.parametrize("regex", ["x(?:[^y]*y)?", "(?:[a-z]+ ?)+#|x", "x+y|x"])
def test_many_matches_take_a_time_that_is_linear_in_the_text(regex: str) -> None:
    class Counting:
        """Counts the bytes that searches may read."""

        def __init__(self) -> None:
            self.shape, self.read = compiled(Pattern(regex)), 0

        def search(self, raw: bytes, at: int, end: int) -> Any:
            self.read += end - at
            return self.shape.search(raw, at, end)

    reads = []
    for size in (10_000, 20_000, 40_000):
        counting = Counting()
        assert sum(1 for _ in Searched("x" * size).matches(counting, again=False)) == size
        reads.append(counting.read)
    assert reads[2] - reads[1] == 2 * (reads[1] - reads[0])


@pytest.mark.parametrize("given", ["\ud800 B-1234 \udfff", "\udfffB-1234"])
def test_half_a_surrogate_pair_hides_nothing(given: str) -> None:
    assert look(BADGE, given) == ["B-1234"]
    assert look(Custom("BADGE", deny=("b-1234",)), given) == ["B-1234"]


def test_an_anchored_pattern_finds_a_whole_value_of_arguments_as_it_does_a_whole_message() -> None:
    staff = Using((Custom("STAFF", (Pattern("^E-[0-9]{6}$"),)),))
    using = Profile("test", {"STAFF": Rule(Action.MASK)}, using=staff)

    async def run() -> None:
        detector = PresidioDetector(1, Patience(60))
        await detector.warm()
        texts, leads = ["E-123456", "E-123456", "not E-123456"], ["id", "", "id"]
        redacted = await redact(texts, using, detector, b"k" * 32, leads=leads)
        assert redacted.texts == ("********", "********", "not E-123456")
        await detector.aclose()

    asyncio.run(run())


def test_a_value_of_a_built_in_kind_can_be_allowed() -> None:
    async def run() -> None:
        detector = PresidioDetector(1, Patience(60))
        await detector.warm()
        mail = Custom("EMAIL_ADDRESS", allow=("info@example.com",))
        nhs = Custom("UK_NHS", allow=("943-476-5919",))
        text = "INFO@example.com info＠example.com ann@example.com NHS 943-476-5919"
        both = frozenset({"EMAIL_ADDRESS", "UK_NHS"})
        (spans,) = await detector.detect([text], both, Using(custom=(mail, nhs)))
        assert [text[span.start : span.end] for span in spans] == ["ann@example.com"]
        (spans,) = await detector.detect([text], both)
        assert len(spans) == 4
        await detector.aclose()

    asyncio.run(run())


def test_what_lies_inside_of_an_allowed_value_is_none_of_any_kind() -> None:
    async def run() -> None:
        detector = PresidioDetector(1, Patience(60))
        await detector.warm()
        customs = (
            Custom("EMAIL_ADDRESS", allow=("info@example.com",)),
            Custom("TICKET", (Pattern("T-[0-9]{4}-[0-9]{3}"),), allow=("T-1234-567",)),
            Custom("ROOM", (Pattern("[0-9]{3,4}(?:-[0-9]+)*"),)),
        )
        asked = frozenset({"EMAIL_ADDRESS", "URL", "TICKET", "ROOM"})
        text = "info@example.com, ann@example.net, example.com; T-1234-567 T-1234-568 T-1234-567-9"
        (spans,) = await detector.detect([text], asked, Using(custom=customs))
        found = sorted((s.start, s.entity, text[s.start : s.end]) for s in spans)
        assert [one[1:] for one in found] == [
            ("EMAIL_ADDRESS", "ann@example.net"),
            ("URL", "example.net"),
            ("URL", "example.com"),
            ("TICKET", "T-1234-568"),
            ("ROOM", "1234-568"),
            ("ROOM", "1234-567-9"),
        ]
        await detector.aclose()

    asyncio.run(run())


def test_an_example_of_a_built_in_kind_is_tried_with_what_is_built_in() -> None:
    mail = Custom("EMAIL_ADDRESS", allow=("info@example.com",))
    assert not examine(mail, ["ann@example.com"], ["to INFO@example.com"])
    (fault,) = examine(replace(mail, allow=("x",)), [], ["to info@example.com"])
    assert fault.message == "EMAIL_ADDRESS finds `info@example.com` in `to info@example.com`"
    assert not examine(
        Custom("UK_NHS", allow=("943-476-5919",)), ["401-023-2137"], ["943-476-5919"]
    )
