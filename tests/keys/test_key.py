"""A key's text: minted with 256 bits, found by its prefix, proved by its digest, shown masked."""

import hmac
import secrets
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.keys.key import digest, mask, matches, mint, mint_id, prefix_of

PEPPER = b"p" * 32
LETTERS = string.ascii_lowercase + string.digits


def some_bytes(seed: int):
    return lambda count: bytes((seed * 31 + i * 7) % 256 for i in range(count))


@given(st.integers(0, 10**6))
def test_a_minted_key_is_found_by_its_own_prefix(seed):
    minted = mint(some_bytes(seed))
    assert prefix_of(minted.text) == minted.prefix
    assert len(minted.prefix) == 12
    assert set(minted.prefix) <= set(LETTERS)


def test_a_key_carries_every_one_of_its_256_bits():
    nothing = mint(lambda count: bytes(count)).text
    texts = set()
    for bit in range(256):
        flipped = mint(lambda n, bit=bit: (1 << bit).to_bytes(32) if n == 32 else bytes(n)).text
        texts.add(flipped)
    assert len(texts) == 256
    assert nothing not in texts
    assert len(nothing) == len("sk-") + 12 + len("-") + 43


def test_many_keys_and_ids_are_all_different():
    assert len({mint(secrets.token_bytes).prefix for _ in range(2000)}) == 2000
    assert len({mint_id(secrets.token_bytes) for _ in range(2000)}) == 2000


def test_an_id_has_its_own_form():
    name = mint_id(secrets.token_bytes)
    assert name.startswith("key_")
    assert len(name) == 20
    assert set(name[4:]) <= set(LETTERS)


def test_a_minted_key_does_not_show_its_text_in_a_repr():
    minted = mint(secrets.token_bytes)
    assert minted.text[20:] not in repr(minted)


@pytest.mark.parametrize("change", [
    lambda text: text + "A",
    lambda text: text[:-1],
    lambda text: text.upper(),
    lambda text: " " + text,
    lambda text: text + "\n",
    lambda text: text.replace("sk-", "pk-"),
    lambda text: "sk-" + text,
    lambda text: text[:3] + "é" + text[4:],
    lambda text: text[:3] + "٣" + text[4:],  # a digit, but not an ASCII one
    lambda text: text[:-1] + "=",
    lambda text: text[:15] + text[16:],
    lambda text: "",
])  # fmt: skip
def test_what_is_not_exactly_a_key_has_no_prefix(change):
    text = mint(some_bytes(1)).text
    assert prefix_of(text) is not None
    assert prefix_of(change(text)) is None


@given(st.text())
def test_no_text_makes_the_parser_stumble(text):
    prefix = prefix_of(text)
    assert prefix is None or text.startswith(f"sk-{prefix}-")


@given(st.text(max_size=80), st.binary(max_size=200))
def test_a_digest_is_the_hmac_of_the_text_under_the_pepper(text, pepper):
    encoded = text.encode("utf-8", "surrogatepass")
    assert digest(text, pepper) == hmac.digest(pepper, encoded, "sha256")


@given(st.text(st.characters(codec=None)), st.text(st.characters(codec=None)))
def test_a_digest_matches_its_own_text_only(one, other):
    assert len(digest(one, PEPPER)) == 32
    assert matches(digest(one, PEPPER), one, PEPPER)
    assert matches(digest(one, PEPPER), other, PEPPER) == (one == other)
    assert not matches(digest(one, PEPPER), one, b"another pepper")


def test_a_text_that_matched_matches_no_other_digest_and_under_no_other_pepper():
    text, other = mint(some_bytes(3)).text, mint(some_bytes(4)).text
    for _ in range(2):  # the second time it is known
        assert matches(digest(text, PEPPER), text, PEPPER)
        assert not matches(digest(other, PEPPER), text, PEPPER)
        assert not matches(bytes(32), text, PEPPER)
        assert not matches(digest(text, PEPPER), text, b"another pepper")
        assert not matches(digest(text, PEPPER), other, PEPPER)


def test_the_digest_is_the_published_hmac_sha_256():
    # RFC 4231, test case 2.
    known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert digest("what do ya want for nothing?", b"Jefe").hex() == known


def test_a_mask_shows_the_last_four_characters_of_a_key():
    text = mint(some_bytes(3)).text
    assert mask(text) == "sk-…" + text[-4:]


@given(st.text())
def test_a_mask_never_shows_more_than_four_characters(text):
    shown = mask(text).removeprefix("sk-").removeprefix("…")
    assert len(shown) in (0, 4)
    assert len(text) >= 16 or shown == ""


@pytest.mark.parametrize("text", ["", "hunter2", "sk-abc", "x" * 40 + "\r\nEv", "sk-" + "é" * 40])
def test_a_mask_hides_what_is_short_or_odd(text):
    assert mask(text) in ("…", "sk-…")
