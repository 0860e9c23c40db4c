"""What stands in for a value: stable where it should be, and telling nothing."""

import base64
import hmac
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.privacy.placeholder import (
    MASK,
    TOKEN_LENGTH,
    canonical,
    hashed,
    look_alikes,
    masked,
    pattern,
    placeholder,
)

KEY, OTHER = b"k" * 32, b"o" * 32


def token(of: str) -> str:
    """The part of a placeholder behind its type."""
    assert of[-TOKEN_LENGTH - 1] == "_"
    return of[-TOKEN_LENGTH:]


def test_a_placeholder_is_the_type_and_40_bits_in_base32() -> None:
    assert re.fullmatch("EMAIL_ADDRESS_[A-Z2-7]{8}", placeholder(KEY, "EMAIL_ADDRESS", "a@b.com"))


@given(st.text(), st.binary(min_size=32, max_size=32))
def test_its_token_is_the_begin_of_the_hmac_as_rfc_4648_writes_it(value: str, key: bytes) -> None:
    message = "\0".join(("placeholder", "A", unicodedata.normalize("NFKC", value)))
    digest = hmac.digest(key, message.encode("utf-8", "surrogatepass"), "sha256")
    assert token(placeholder(key, "A", value)) == base64.b32encode(digest[:5]).decode()


def test_a_placeholder_is_the_same_for_ever() -> None:
    """A known answer: conversations and prompt caches live longer than a release."""
    made = placeholder(b"\0" * 32, "EMAIL_ADDRESS", "alice@example.com")
    assert made == "EMAIL_ADDRESS_LWHTS6GH"


def test_it_depends_on_scope_type_value_and_salt() -> None:
    made = {
        placeholder(KEY, "A", "v"),
        placeholder(OTHER, "A", "v"),
        placeholder(KEY, "B", "v"),
        placeholder(KEY, "A", "w"),
        placeholder(KEY, "A", "v", salt=1),
        placeholder(KEY, "A", "v", salt=2),
    }
    assert len(made) == 6 == len({token(name) for name in made})


def test_full_width_characters_are_the_same_value() -> None:
    assert placeholder(KEY, "A", "４１１１") == placeholder(KEY, "A", "4111")


def test_type_and_value_cannot_be_shifted_into_one_another() -> None:
    assert token(placeholder(KEY, "A", "B\0C")) != token(placeholder(KEY, "A\0B", "C\0"))
    assert token(placeholder(KEY, "A", "BC")) != token(placeholder(KEY, "AB", "C"))


@given(st.text(), st.text())
def test_different_values_have_different_hashes(one: str, other: str) -> None:
    same = unicodedata.normalize("NFKC", one) == unicodedata.normalize("NFKC", other)
    assert (hashed(KEY, "A", one) == hashed(KEY, "A", other)) is same


def test_half_a_surrogate_pair_is_a_value_too() -> None:
    assert placeholder(KEY, "A", "\ud800") != placeholder(KEY, "A", "\ud801")


def test_a_hash_is_keyed_stable_and_no_placeholder() -> None:
    made = hashed(KEY, "EMAIL_ADDRESS", "a@b.com")
    assert re.fullmatch("EMAIL_ADDRESS_[0-9a-f]{16}", made)
    assert made == hashed(KEY, "EMAIL_ADDRESS", "a@b.com")
    assert made != hashed(OTHER, "EMAIL_ADDRESS", "a@b.com")
    assert not pattern(["EMAIL_ADDRESS"], 1).search(made)


def test_whatever_a_model_makes_of_a_placeholder_is_recognized() -> None:
    shape = pattern(["EMAIL_ADDRESS", "JWT"], 1)
    for written in (
        "EMAIL_ADDRESS_ABCDEFGH",
        "email_address_abcdefgh",
        r"EMAIL\_ADDRESS\_ABCDEFGH",
        "Email Address ABCDEFGH",
        "EMAIL-ADDRESS-ABCDEFGH",
    ):
        assert shape.fullmatch(written)
        assert canonical(written) == "EMAIL_ADDRESS_ABCDEFGH"


def test_what_is_no_whole_placeholder_is_not() -> None:
    shape = pattern(["EMAIL_ADDRESS", "JWT"], 1)
    for written in (
        "XEMAIL_ADDRESS_ABCDEFGH",
        "EMAIL_ADDRESS_ABCDEFGHI",
        "EMAIL_ADDRESS_ABCDEFG",
        "EMAIL_ADDRESS_ABCDEFG1",
        "EMAIL__ADDRESS_ABCDEFGH",
        "PHONE_NUMBER_ABCDEFGH",
        "ＪＷＴ_ABCDEFGH",
        "JWT_ABCDEFGſ",
    ):
        assert not shape.search(written)


def test_look_alikes_are_found_by_their_tokens_in_any_writing() -> None:
    text = r"see EMAIL_ADDRESS_ABCDEFGH, jwt\_abcdefg2 and Card-QQQQQQQQ but not X_ABCDEFGHI"
    assert look_alikes(text) == {"ABCDEFGH", "ABCDEFG2", "QQQQQQQQ"}


@pytest.mark.parametrize(
    ("value", "keep_last", "seen"),
    [
        ("4111 1111 1111 1234", 8, "11111234"),
        ("DE89-3704-0044-0532", 4, "0532"),
        ("1 2 3", 2, ""),
        ("12-34", 2, "34"),
        ("卡号123", 2, "23"),
        ("1234", 0, ""),
    ],
)
def test_what_stays_of_a_mask_are_letters_and_digits(value: str, keep_last: int, seen: str) -> None:
    assert masked(value, keep_last) == MASK + seen
