"""The thin engine beside Presidio's own, with the same recognizers: the same entities, spans and
scores, in texts made of values, words that raise scores, several scripts, and pieces of them."""

import inspect
import random
import re
from functools import cache
from threading import Event

import pytest
import regex
import spacy
from presidio_analyzer import (
    AnalyzerEngine,
    EntityRecognizer,
    Pattern,
    PatternRecognizer,
    RecognizerRegistry,
    predefined_recognizers,
)
from presidio_analyzer.nlp_engine import SpacyNlpEngine
from spacy.language import Language
from spacy.tokens import Doc

from gateway.backends.engine import Engine
from gateway.backends.entities import SELECTABLE
from gateway.backends.recognizers.built_in import recognizers
from gateway.backends.recognizers.countries import country_recognizers
from gateway.backends.recognizers.custom import CustomRecognizer
from gateway.privacy.profile import Custom
from gateway.privacy.profile import Pattern as CustomPattern
from gateway.privacy.redact import DetectionFailed

TEXTS = 3000
CUSTOM = Custom(
    "CASE_NUMBER", (CustomPattern("C-[0-9]{4}", 0.3),), deny=("Nightfall",), context=("case",)
)

_VALUES = """
4111111111111111 4111-1111-1111-1111 alice@example.com 13800138000 203.0.113.7 536-90-4399
536904399 DE89370400440532013000 11010519491231002X +14155552671 2001:db8::1 078-05-1120
A1234567 912803456 021000021 51824753556 004085616 2123456701 123456782 876543210 K1A0B1
046454286 1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2 1990-05-17 12/31/1999 31.12.2020 75-345-6789
L01X00T47 T22000129 12345678901 DE136695976 12345678Z X1234567L AAA1234567 131052-308T
ABCDE1234F 234123412346 27AAPFU0939F1Z5 J8369854 MH12DE1433 AB1234567 DMLPRY77D15H501F CA12345AB
01333550323 124-86-23875 110-15-123456 M12345678 900101-1234568 00:1A:2B:3C:4D:5E AB1234563
12345678901 ABC-123-DE P1234567A 123-456-789-000 44051401359 5560360793 811218-9876 S1234567D
53333333A 1112034563562 34ABC123 10000000146 MORGA657054SM9IJ 943-476-5919 AA123456C SW1A1AA
BD51SMR https://www.example.org/a?b=c http://example.com 945456787 H12234567 912-70-1234
1EG4-TE5-MK73 1245319599 C03005988 550e8400-e29b-41d4-a716-446655440000 2005/123456/07
8001015009087 CA123456 0821234567 4012888888881881 C-1234 Nightfall AKIAIOSFODNN7EXAMPLE
5893011234567 13-9876543 RX1234567 PA-123456789 REF-998877 22/1/12345/6 HRB123456
"""

_WORDS = """
phone call ssn social security card credit visa passport number license driver aadhaar pan abn
acn medicare tfn sin cpr bank account routing aba mac uuid nhs nino tax id vat case member
insurance date birthday the of is and my , . : ; ( ) " - # = / 护照 电话 号码 身份证 です الرقم é ß
😀 Führerschein Steuernummer Kennzeichen patente carta codice fiscale plate
"""

VALUES, WORDS = _VALUES.split(), _WORDS.split()

GLUE = ["", " ", " ", " ", " ", "\n", "\t", "  ", ", ", ": ", "号", "'", "…"]


def generated(seed: int) -> str:
    """Up to 30 values and words, some of them cut, glued in one of many ways."""
    chance = random.Random(seed)
    pieces = []
    for _ in range(chance.randint(0, 30)):
        piece = chance.choice(VALUES if chance.random() < 0.4 else WORDS)
        if chance.random() < 0.1:
            piece = piece[: chance.randint(0, len(piece))]
        pieces += [piece, chance.choice(GLUE)]
    return "".join(pieces)


@cache
def all_recognizers() -> list[EntityRecognizer]:
    return [*recognizers(), *country_recognizers().values(), CustomRecognizer(CUSTOM)]


@Language.component("own_lemma")
def own_lemma(doc: Doc) -> Doc:
    for token in doc:
        token.lemma_ = token.text
    return doc


class BlankSpacy(SpacyNlpEngine):
    """Tokens and stop words, as our engine knows them, and no model: a word is its own lemma."""

    def __init__(self) -> None:
        super().__init__()
        self.nlp = {"en": spacy.blank("en")}
        self.nlp["en"].add_pipe("own_lemma")


@cache
def stock() -> AnalyzerEngine:
    registry = RecognizerRegistry(recognizers=all_recognizers(), supported_languages=["en"])
    return AnalyzerEngine(registry=registry, nlp_engine=BlankSpacy(), supported_languages=["en"])


Findings = set[tuple[str, int, int, float]]


def of_stock(text: str) -> Findings:
    found = stock().analyze(text, "en", score_threshold=0)
    return {
        (one.entity_type, one.start, one.end, round(one.score, 6)) for one in found if one.score > 0
    }


def of_ours(engine: Engine, text: str) -> Findings:
    entities = SELECTABLE | {CUSTOM.entity}
    return {
        (one.entity, one.start, one.end, round(one.score, 6))
        for one in engine.find(text, entities, Event())
    }


def test_it_finds_what_presidios_own_engine_finds() -> None:
    engine = Engine(all_recognizers())
    found: set[str] = set()
    surer = 0
    for seed in range(TEXTS):
        text = generated(seed)
        ours = of_ours(engine, text)
        assert ours == of_stock(text), (seed, text)
        found |= {entity for entity, *_ in ours}
        surer += len(ours - without_context(text))
    assert len(found) > 0.8 * len(SELECTABLE), sorted(SELECTABLE - found)
    assert surer > TEXTS / 10, "context words were hardly tried"


@cache
def _plain_engine() -> Engine:
    return Engine([one for one in all_recognizers() if not one.context])


def without_context(text: str) -> Findings:
    """What those find that know no context words."""
    return of_ours(_plain_engine(), text)


class Slow(PatternRecognizer):
    """Exponential on a run of `a`."""

    def __init__(self) -> None:
        pattern = Pattern("slow", r"(?:a|aa|a?b)+(?:(?<!a)c|c(?<!ac)d)$", 0.5)
        super().__init__("SLOW", patterns=[pattern], supported_language="en")


def test_a_pattern_that_takes_too_long_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.backends.engine.PATTERN_SECONDS", 0.05)
    engine = Engine([Slow()])
    assert engine.find("b", {"SLOW"}, Event()) == []
    with pytest.raises(DetectionFailed, match="SLOW took longer") as failure:
        engine.find("a" * 5000 + "c", {"SLOW"}, Event())
    assert failure.value.__context__ is None


def test_what_touches_chinese_text_is_found_by_presidios_recognizers_too() -> None:
    engine = Engine(all_recognizers())
    for value in ("1EG4-TE5-MK73", "00:1A:2B:3C:4D:5E", "AAA1234567"):
        (alone, touching) = (of_ours(engine, text) for text in (value, f"号{value}码"))
        assert {(e, s + 1, t + 1, p) for e, s, t, p in alone} <= touching


def test_every_recognizer_of_presidio_is_there() -> None:
    room = re.compile(r"\.(?:country_specific|generic)\.")
    kinds = [one for one in vars(predefined_recognizers).values() if inspect.isclass(one)]
    theirs = {
        kind(supported_language="en").supported_entities[0]
        for kind in kinds
        if room.search(kind.__module__)
    }
    ours = {entity for one in recognizers() for entity in one.supported_entities}
    assert set(country_recognizers()) == theirs - ours
    assert theirs | ours == SELECTABLE


GUARDED = {"URL": "UrlRecognizer", "IN_PAN": "InPanRecognizer"}


def matches_of(recognizer: PatternRecognizer, text: str) -> list[tuple[str, int, int]]:
    flags = recognizer.global_regex_flags | regex.ASCII
    return [
        (pattern.name, *found.span())
        for pattern in recognizer.patterns  # type: ignore[has-type]
        for found in regex.finditer(pattern.regex, text, flags)
    ]


def test_a_guard_before_a_pattern_changes_nothing_that_it_finds() -> None:
    alphabet = [
        "example",
        ".",
        "..",
        "com",
        "рф",
        "www1.",
        "-",
        "7",
        "1234",
        "ab",
        "@",
        " ",
        '"',
        "a" * 250,
    ]
    chance = random.Random(3)
    for entity, name in GUARDED.items():
        theirs = getattr(predefined_recognizers, name)(supported_language="en")
        ours = country_recognizers()[entity]
        assert isinstance(ours, PatternRecognizer)
        assert [p.regex for p in ours.patterns] != [p.regex for p in theirs.patterns]
        found = 0
        for seed in range(600):
            text = "".join(chance.choices(alphabet, k=12)) if seed % 2 else generated(seed)
            expected = matches_of(theirs, text)
            assert matches_of(ours, text) == expected, text
            found += len(expected)
        assert found > 100


@pytest.mark.parametrize(
    "text",
    ["Chapter 1 " + "." * 30_000 + " 12", "Introduction ................ 12\n" * 1000,
     "function(a,b){return a.b(c[d])};var e=f.g;" * 800, "https://a.example.com/b?c=d " * 1000],
    ids=["dots", "contents", "one-line-code", "urls"],
)  # fmt: skip
def test_ordinary_texts_are_not_refused(text: str) -> None:
    found = country_recognizers()
    engine = Engine([found["URL"], found["IN_PAN"]])
    engine.look(text[:32_000], {"URL", "IN_PAN"}, Event())
