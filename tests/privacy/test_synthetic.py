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
    assert re.fullmatch("[\u4e00-\u9fff]{3}", synthetic(KEY, "PERSON", "王小明"))
    assert re.fullmatch("[a-z]{2}-[a-z]{3}[A-Z]{3}[0-9]{3}", synthetic(KEY, "X", "sk-abcDEF123"))


@given(st.sampled_from(ENTITIES), st.text(min_size=1), st.integers(0, 40))
def test_any_value_has_one(entity: str, value: str, salt: int) -> None:
    if entity == "CREDIT_CARD":
        value += "12"
    assert isinstance(synthetic(KEY, entity, value, salt), str)


@pytest.mark.parametrize("entity", ["CREDIT_CARD", "IBAN_CODE", "PHONE_NUMBER", "IP_ADDRESS"])
def test_a_finding_that_is_wider_than_its_form_keeps_what_it_looks_like(entity: str) -> None:
    for value in ("x.DE89370400440532013000.", "none", "ＤＥ89370400440532013000", "卡4111 1111@"):
        assert synthetic(KEY, entity, value)
