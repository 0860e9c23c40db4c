"""People, places and organizations by lists and cues, without a model."""

from __future__ import annotations

from functools import cache

import pytest

from gateway.backends.recognizers.finder import Finder
from gateway.backends.recognizers.organizations import Organization
from gateway.backends.recognizers.people import Person
from gateway.backends.recognizers.places import Place
from gateway.privacy.spans import Span, resolve


@cache
def recognizer(kind: type[Finder]) -> Finder:
    return kind()


def found(kind: type[Finder], text: str) -> list[str]:
    spans = [Span(start, end, "X", score) for start, end, score in recognizer(kind).find(text)]
    return [text[one.start : one.end] for one in resolve(spans) if one.score >= 0.4]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("John Smith called twice.", ["John Smith"]),
        ("My name is Priya Natarajan.", ["Priya Natarajan"]),
        ("Dear Ms. Schneider, thank you", ["Schneider"]),
        ("as Maria García López said", ["Maria García López"]),
        ("by Guido van Rossum", ["Guido van Rossum"]),
        ("J. R. Smith wrote this", ["J. R. Smith"]),
        ("Schneider, Michael", ["Schneider, Michael"]),
        ("Smith, John", ["Smith, John"]),
        ("SMITH, JOHN", ["SMITH, JOHN"]),
        ("Mr. Will Smith", ["Will Smith"]),
        ("Will Smith came by", ["Will Smith"]),
        ("Mr. Mark Will", ["Mark Will"]),
        ("name: Xzqyw Blorb", ["Xzqyw Blorb"]),
        ('"first_name":"Ada","last_name":"Lovelace"', ["Ada", "Lovelace"]),
        ('{"name": "Emily Clark"}', ["Emily Clark"]),
        ("MICHAEL JOHNSON", ["MICHAEL JOHNSON"]),
        ("Michael Johnson left. Johnson's desk", ["Michael Johnson", "Johnson"]),
        ("Regards,\nSarah", ["Sarah"]),
        ("Mein Name ist Anna Schmidt und Herr Müller auch", ["Anna Schmidt", "Müller"]),
        ("Je m'appelle Jean Dupont", ["Jean Dupont"]),
        ("Me llamo Carlos Rodríguez", ["Carlos Rodríguez"]),
        ("\\nJohn Smith\\n", ["John Smith"]),
        ("My Name Is Don Priya", ["Don Priya"]),
        ("So said Don Priya", ["Priya"]),
        ("我叫王小明,你好", ["王小明"]),
        ("联系人:张伟", ["张伟"]),
        ("请找李明先生", ["李明"]),
        ("欧阳娜娜女士", ["欧阳娜娜"]),
        ("由陈建国和刘洋负责", ["陈建国", "刘洋"]),
    ],
)
def test_names_of_people(text: str, names: list[str]) -> None:
    assert found(Person, text) == names


@pytest.mark.parametrize(
    "text",
    [
        "Will you mark the page in May?",
        "Hi, Will the server be up?",
        "last_name: Xzqyw",
        '"file_name": "Xzqyw Blorb"',
        "name: Total Amount",
        "Grant Access to the Power User Role",
        "class HttpServer(BaseModel): pass",
        "Apple Pie and Green Tea, Rose Garden",
        "Der Kunde hat die Rechnung im April bezahlt",
        "from typing import Any, Final",
        "New York City and San Francisco",
        "我们的项目和时间都在安排",
        "平安银行的成功",
        "john smith",
    ],
)
def test_what_is_no_name_of_a_person(text: str) -> None:
    assert found(Person, text) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("I live in Berlin.", ["Berlin"]),
        ("from New York to Rio de Janeiro", ["New York", "Rio de Janeiro"]),
        ("United States, Germany", ["United States", "Germany"]),
        ("she moved to Aalen", ["Aalen"]),
        ("BERLIN", ["BERLIN"]),
        ("London is big, and Paris, Zurich", ["London", "Paris", "Zurich"]),
        ("Sydney, LONDON", ["Sydney", "LONDON"]),
        ("nach München, à Lyon, en Sevilla", ["München", "Lyon", "Sevilla"]),
        ("我在北京市朝阳区工作", ["北京市"]),
        ("他住在上海", ["上海"]),
    ],
)
def test_places(text: str, names: list[str]) -> None:
    assert found(Place, text)[: len(names)] == names


@pytest.mark.parametrize(
    "text",
    [
        "Nice Reading",
        "the Mobile App",
        "Aalen",
        "a split java",
        "你好",
        "Paris Hilton",
        "Jack London wrote. London had a dog.",
        "Mr. London",
        "Sex: Male",
    ],
)
def test_what_is_no_place(text: str) -> None:
    assert found(Place, text) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Acme Widgets Inc. pays", ["Acme Widgets Inc."]),
        ("at Siemens AG in", ["Siemens AG"]),
        ("Example Data, Ltd.", ["Example Data, Ltd."]),
        ("Muster Bau GmbH & more", ["Muster Bau GmbH"]),
        ("the University of Oxford", ["University of Oxford"]),
        ("First Example Bank", ["First Example Bank"]),
        ("Dear Ms. Grace Hopper of Siemens AG", ["Siemens AG"]),
        ("Herr Weber Bau GmbH", ["Weber Bau GmbH"]),
        ("ask John Smith for Acme Ltd", ["Acme Ltd"]),
        ("the Institute for Data Ltd", ["Institute for Data Ltd"]),
        ("Bank of Example Corp", ["Bank of Example Corp"]),
        ("John Deere Inc", ["John Deere Inc"]),
        ("就职于深圳市腾讯计算机系统有限公司。", ["深圳市腾讯计算机系统有限公司"]),
        ("我在清华大学读书", ["清华大学"]),
    ],
)
def test_organizations(text: str, names: list[str]) -> None:
    assert found(Organization, text) == names


@pytest.mark.parametrize(
    "text", ["Inc.", "the bank", "The Group", "公司", "在公司", "def SE(x): AB"]
)
def test_what_is_no_organization(text: str) -> None:
    assert found(Organization, text) == []


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Person, "Emily Clark"), (Place, "New York"), (Organization, "Example Bau GmbH")],
)
@pytest.mark.parametrize(
    "piece", ["A ", "Aa ", "A-", "A'", "John ", "New ", "王", "张伟", "公司", "A of ", "Mr. ", "O'"]
)
def test_a_text_that_is_made_to_be_slow_is_read_to_its_end(
    kind: type[Finder], name: str, piece: str
) -> None:
    """A quadratic step would take minutes here."""
    text = (piece * 60_000)[:60_000] + f". see {name}."
    assert name in found(kind, text)
