"""A made-up value has the form of the one that it stands for, and is the same each time."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.recognizers.numbers import luhn
from gateway.privacy.synthetic import synthetic

KEY = b"k" * 32
ENTITIES = ["CREDIT_CARD", "PERSON", "PHONE_NUMBER", "EMAIL_ADDRESS", "API_KEY", "LOCATION"]


def test_the_same_value_has_the_same_stand_in_and_another_key_has_another() -> None:
    made = synthetic(KEY, "PERSON", "Ada Lovelace")
    assert made == synthetic(KEY, "PERSON", "Ada Lovelace") != "Ada Lovelace"
    assert made != synthetic(b"o" * 32, "PERSON", "Ada Lovelace")
    assert made != synthetic(KEY, "PERSON", "Ada Lovelace", salt=1)
    assert len(made.split()) == 2


@pytest.mark.parametrize("card", ["4111111111111111", "3782 822463 10005", "5555-5555-5555-4444"])
def test_a_card_keeps_its_groups_its_issuer_and_a_right_check_digit(card: str) -> None:
    made = synthetic(KEY, "CREDIT_CARD", card)
    assert re.sub("[0-9]", "9", made) == re.sub("[0-9]", "9", card)
    assert made[0] == card[0]
    assert luhn(re.sub("[^0-9]", "", made))
    assert made != card


def test_an_iban_keeps_its_country_and_a_right_check_sum() -> None:
    made = synthetic(KEY, "IBAN_CODE", "DE89 3704 0044 0532 0130 00")
    account = made.replace(" ", "")
    number = "".join(str(int(letter, 36)) for letter in account[4:] + account[:4])
    assert made.startswith("DE")
    assert len(made) == 27
    assert int(number) % 97 == 1


def test_an_address_of_a_machine_or_of_a_person_is_nobodys() -> None:
    assert re.fullmatch(r"\S+@example\.(com|net|org)", synthetic(KEY, "EMAIL_ADDRESS", "a@b.de"))
    assert synthetic(KEY, "IP_ADDRESS", "10.1.2.3").startswith(("192.0.2", "198.51", "203.0"))
    assert synthetic(KEY, "IP_ADDRESS", "fe80::1").startswith("2001:db8::")


def test_a_chinese_name_stays_one_and_other_forms_are_kept() -> None:
    assert re.fullmatch("[\u4e00-\u9fff]{3}", synthetic(KEY, "PERSON", "王小明") or "")
    assert re.fullmatch("[a-z]{2}-[a-z]{3}[A-Z]{3}[0-9]{3}", synthetic(KEY, "X", "sk-abcDEF123"))


@given(st.sampled_from(ENTITIES), st.text(min_size=1), st.integers(0, 40))
def test_any_value_has_one(entity: str, value: str, salt: int) -> None:
    if entity == "CREDIT_CARD":
        value += "12"
    assert isinstance(synthetic(KEY, entity, value, salt), str)


YEAR, MONTH, DAY = "(19[3-9][0-9]|200[0-5])", "(0[1-9]|1[0-2])", "(1[0-9]|2[0-8])"
NAME = "(January|February|March|April|May|June|July|August|September|October|November|December)"


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("1985-03-12", f"{YEAR}-{MONTH}-{MONTH}"),
        ("12.03.1985", rf"{MONTH}\.{MONTH}\.{YEAR}"),
        ("03/12/1985", f"{MONTH}/{MONTH}/{YEAR}"),
        ("3.2.85", r"[1-9]\.[1-9]\.[0-9][0-9]"),
        ("19850312", f"{YEAR}{MONTH}([01][1-9]|[12]0|2[1-8])"),
        ("1985年3月12日", f"{YEAR}年[1-9]月1[0-2]日"),
        ("12 March 1985", f"{DAY} {NAME} {YEAR}"),
        ("March 3, 1985", f"{NAME} [1-9], {YEAR}"),
        ("the 12th of March, 1985", f"the (1[0-9]|20)th of {NAME}, {YEAR}"),
        ("21st MAY 1990", f"21st {NAME.upper()} {YEAR}"),
        ("12-Mar-1985", f"{DAY}-[A-Z][a-z][a-z]-{YEAR}"),
        ("2. Juli 1985", rf"[1-9]\. (Januar|Februar|März|Mai|Juni|Juli|[ASOND]\w+) {YEAR}"),
        ("3 de mayo de 1977", f"[1-9] de (enero|abril|[fmjasond][a-z]+) de {YEAR}"),
        ("2 août 1980", rf"[1-9] [a-zéû]+ {YEAR}"),
    ],
)
def test_another_birthday_is_a_day_of_a_life_in_the_same_words(written: str, form: str) -> None:
    made = [synthetic(KEY, "DATE_OF_BIRTH", written, salt) for salt in range(40)]
    assert all(re.fullmatch(form, day or "") for day in made), made
    assert len(set(made)) > 10


@pytest.mark.parametrize(
    "written", ["昭和60年3月12日", "1er mai 1970", "12 March 1985 Ann", "born"]
)
def test_a_birthday_in_words_that_are_not_known_has_no_other(written: str) -> None:
    assert synthetic(KEY, "DATE_OF_BIRTH", written) is None


@pytest.mark.parametrize("written", ["13800138000", "+86 138 0013 8000", "0086 138-0013-8000"])
def test_a_chinese_mobile_stays_one(written: str) -> None:
    made = [synthetic(KEY, "CN_MOBILE", written, salt) or "" for salt in range(20)]
    form = re.sub("[0-9]", "9", written)
    assert {re.sub("[0-9]", "9", number) for number in made} == {form}
    assert all(re.search("1[3-9][0-9]{9}$", re.sub("[^0-9]", "", number)) for number in made)
    country = written.partition("1")[0]
    assert all(number.startswith(f"{country}1") for number in made)
    assert synthetic(KEY, "CN_MOBILE", "138001") is None


@pytest.mark.parametrize("entity", ["CREDIT_CARD", "IBAN_CODE", "PHONE_NUMBER", "IP_ADDRESS"])
def test_a_finding_that_is_wider_than_its_form_keeps_what_it_looks_like(entity: str) -> None:
    for value in ("x.DE89370400440532013000.", "none", "ＤＥ89370400440532013000", "卡4111 1111@"):
        assert synthetic(KEY, entity, value)
