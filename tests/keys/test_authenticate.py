"""A header becomes a key, or a 401 that says why as OpenAI's does."""

import asyncio
import dataclasses
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Unauthenticated, Unavailable
from gateway.keys.authenticate import authenticate
from gateway.keys.key import Key, Secret, digest, mint

PEPPER = b"a pepper of at least 32 characters"
NOW = 1_800_000_000.0
MINTED = mint(lambda count: bytes(range(7, 7 + count)))
KEY = Key(id="key_1", organization="acme", project="demo", name="laptop")
GOOD = Secret(MINTED.prefix, digest(MINTED.text, PEPPER), KEY)


class Ring:
    def __init__(self, *stored: Secret) -> None:
        self.stored = {secret.prefix: secret for secret in stored}
        self.asked: list[str] = []

    async def find(self, prefix: str) -> Secret | None:
        self.asked.append(prefix)
        return self.stored.get(prefix)


class BrokenRing:
    async def find(self, prefix: str) -> Secret | None:
        raise Unavailable("The database cannot be reached.", code="database_unavailable")


def key_of(header: str | None, ring=None, now: float = NOW) -> Key:
    return asyncio.run(authenticate(header, ring or Ring(GOOD), PEPPER, now))


def refusal(header: str | None, ring=None, now: float = NOW) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        key_of(header, ring, now)
    assert caught.value.status == 401
    assert caught.value.type == "invalid_request_error"
    return caught.value


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_read_whatever_its_case(scheme):
    assert key_of(f"{scheme} {MINTED.text}") == KEY


def test_more_than_one_space_does_not_matter():
    assert key_of(f"  Bearer   {MINTED.text}  ") == KEY


@pytest.mark.parametrize("header", [None, "", "   ", "Bearer", "Bearer ", "bearer    "])
def test_no_key_at_all_has_no_code(header):
    error = refusal(header)
    assert error.code is None
    assert "didn't provide an API key" in error.message


@pytest.mark.parametrize("header", [
    MINTED.text, f"Basic {MINTED.text}", f"Token {MINTED.text}", "Bearer sk-nonsense",
    "Bearer " + MINTED.text[:-1], f"Bearer {MINTED.text} {MINTED.text}", "Bearer \ud800",
])  # fmt: skip
def test_a_malformed_key_is_refused_without_a_look_into_the_store(header):
    ring = Ring(GOOD)
    assert refusal(header, ring).code == "invalid_api_key"
    assert ring.asked == []


def test_an_unknown_and_a_wrong_key_are_told_the_same():
    wrong = f"sk-{MINTED.prefix}-" + mint(secrets.token_bytes).text[-43:]
    unknown = mint(secrets.token_bytes).text
    told = [refusal(f"Bearer {text}") for text in (wrong, unknown)]
    assert [error.code for error in told] == ["invalid_api_key"] * 2
    assert told[0].message.replace(wrong[-4:], "") == told[1].message.replace(unknown[-4:], "")


def test_a_secret_stored_under_another_pepper_is_wrong():
    foreign = dataclasses.replace(GOOD, digest=digest(MINTED.text, b"another pepper"))
    assert refusal(f"Bearer {MINTED.text}", Ring(foreign)).code == "invalid_api_key"


def test_a_digest_of_zeros_opens_nothing():
    zeros = dataclasses.replace(GOOD, digest=bytes(32))
    assert refusal(f"Bearer {MINTED.text}", Ring(zeros)).code == "invalid_api_key"


def test_a_message_holds_the_last_four_characters_and_no_more():
    unknown = mint(secrets.token_bytes).text
    message = refusal(f"Bearer {unknown}").message
    assert f"sk-…{unknown[-4:]}" in message
    assert unknown[-12:] not in message
    assert unknown[:15] not in message


def test_a_revoked_key_is_refused():
    revoked = dataclasses.replace(GOOD, key=dataclasses.replace(KEY, revoked_at=NOW - 1))
    error = refusal(f"Bearer {MINTED.text}", Ring(revoked))
    assert error.code == "invalid_api_key"
    assert "revoked" in error.message


def test_a_key_works_until_the_moment_it_expires():
    ending = dataclasses.replace(GOOD, key=dataclasses.replace(KEY, expires_at=NOW))
    assert key_of(f"Bearer {MINTED.text}", Ring(ending), NOW - 0.001).id == KEY.id
    error = refusal(f"Bearer {MINTED.text}", Ring(ending), NOW)
    assert error.code == "invalid_api_key"
    assert "expired at 2027-01-15 08:00 UTC" in error.message


def test_a_rotated_text_works_until_its_grace_ends():
    old = dataclasses.replace(GOOD, expires_at=NOW)
    assert key_of(f"Bearer {MINTED.text}", Ring(old), NOW - 0.001) == KEY
    assert "replaced" in refusal(f"Bearer {MINTED.text}", Ring(old), NOW).message


def test_that_a_key_was_revoked_is_told_only_to_who_has_it():
    revoked = dataclasses.replace(GOOD, key=dataclasses.replace(KEY, revoked_at=NOW - 1))
    wrong = f"sk-{MINTED.prefix}-" + mint(secrets.token_bytes).text[-43:]
    assert "revoked" not in refusal(f"Bearer {wrong}", Ring(revoked)).message


def test_trouble_with_the_store_is_never_a_401():
    with pytest.raises(Unavailable):
        key_of(f"Bearer {MINTED.text}", BrokenRing())


@given(st.text())
def test_no_header_but_the_right_one_gets_in(header):
    refusal(header)
    refusal("Bearer " + header)
