"""API keys: mint, hash, compare. Pure.

A key's text is `sk-` + look-up prefix (12 of a-z and 0-9) + `-` + 256 random bits in base64url (43
characters). Only the prefix and an HMAC-SHA-256 of the whole text under the server's pepper are
stored; the text is shown once. (A slow password hash would add nothing to 256 random bits but its
time on every request.)
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b

_LEAD = "sk-"
_PREFIX_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_PREFIX_CHARACTERS = 12
_SECRET_BYTES = 32
_SHAPE = re.compile(r"sk-([a-z0-9]{12})-[A-Za-z0-9_-]{43}", re.ASCII)
_HEADER = re.compile(rf"Bearer ({_SHAPE.pattern})", re.ASCII)
_SHOWABLE = re.compile(r"[A-Za-z0-9_-]{4}", re.ASCII)
_MASKABLE_CHARACTERS_MIN = 16  # of less, four characters would tell too much

_PROVEN_MAX = 10_000
_proven: dict[bytes, bytes] = {}
"""Digests of texts that matched, by hashes of the texts; all are forgotten when there are more."""

RandomBytes = Callable[[int], bytes]
"""So many bytes that nobody can guess: `secrets.token_bytes`, or a test's own."""


class Role(StrEnum):
    MEMBER = "member"  # may use the completion API
    ADMIN = "admin"  # for the admin API; may not use the completion API


@dataclass(frozen=True, slots=True)
class Key:
    """Who calls. Times are unix seconds. `models` and `endpoints` None: all that the project may.

    A key keeps its id over rotations, so that its limits and usage go on."""

    id: str
    organization: str
    project: str
    name: str
    role: Role = Role.MEMBER
    models: tuple[str, ...] | None = None
    endpoints: tuple[str, ...] | None = None
    created_at: float = 0.0
    expires_at: float | None = None
    revoked_at: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Secret:
    """One text of a key, as stored. A rotated key has two until the grace period ends."""

    prefix: str
    digest: bytes  # 32 bytes
    key: Key
    expires_at: float | None = None  # end of the grace period


@dataclass(frozen=True, slots=True)
class Minted:
    """A new key's text, to be shown once, and the prefix under which it is looked up."""

    text: str
    prefix: str

    def __repr__(self) -> str:
        return f"Minted(prefix={self.prefix!r})"


def mint(random_bytes: RandomBytes) -> Minted:
    """A new key text: 62 bits find it, 256 bits prove it."""
    prefix = _letters(random_bytes, _PREFIX_CHARACTERS)
    secret = base64.urlsafe_b64encode(random_bytes(_SECRET_BYTES)).rstrip(b"=").decode()
    return Minted(f"{_LEAD}{prefix}-{secret}", prefix)


def mint_id(random_bytes: RandomBytes) -> str:
    """A key's public name, `key_` + 16 characters: safe to log, and no part of its text."""
    return "key_" + _letters(random_bytes, 16)


def _letters(random_bytes: RandomBytes, count: int) -> str:
    # 64 bits more than the letters need, so that the remainder favours none of them.
    number = int.from_bytes(random_bytes(count + 8))
    letters = []
    for _ in range(count):
        number, digit = divmod(number, len(_PREFIX_ALPHABET))
        letters.append(_PREFIX_ALPHABET[digit])
    return "".join(letters)


def digest(text: str, pepper: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104) of a key's text: 32 bytes, of no use without the pepper."""
    begun = _begun(pepper).copy()
    begun.update(text.encode("utf-8", "surrogatepass"))
    return begun.digest()


@lru_cache(4)  # a process has one
def _begun(pepper: bytes) -> hmac.HMAC:
    """The HMAC once it has read the pepper, which is half of its work."""
    return hmac.new(pepper, digestmod="sha256")


def matches(expected: bytes, text: str, pepper: bytes) -> bool:
    """Whether the digest is that of the text, in a time that does not tell how nearly.

    A text that matched before is known by a hash that is keyed, too, and costs half of the HMAC:
    what is kept tells nothing of the text, and how a look-up by it goes tells no more."""
    encoded = text.encode("utf-8", "surrogatepass")
    seen = blake2b(encoded, digest_size=32, key=_quick_key(pepper)).digest()
    known = _proven.get(seen)
    if known is not None and hmac.compare_digest(expected, known):
        return True
    found = digest(text, pepper)
    good = hmac.compare_digest(expected, found)
    if good:
        if len(_proven) >= _PROVEN_MAX:
            _proven.clear()
        _proven[seen] = found
    return good


@lru_cache(4)  # a process has one pepper
def _quick_key(pepper: bytes) -> bytes:
    """Of the hashes by which texts that matched are known."""
    return hmac.digest(pepper, b"texts that matched", "sha256")


def given_in(header: str) -> tuple[str, str] | None:
    """The text and the look-up prefix of a key of ours in an `Authorization` header that is written
    as every client writes it; None where it has to be read with more care."""
    shape = _HEADER.fullmatch(header)
    return (shape[1], shape[2]) if shape else None


def prefix_of(text: str) -> str | None:
    """The look-up prefix, or None where the text cannot be a key of ours."""
    shape = _SHAPE.fullmatch(text)
    return shape[1] if shape else None


def mask(text: str) -> str:
    """What of a key may be said aloud: `sk-…abcd`. A short or an odd text is not shown at all."""
    lead = _LEAD if text.startswith(_LEAD) else ""
    tail = text[-4:]
    if len(text) < _MASKABLE_CHARACTERS_MIN or not _SHOWABLE.fullmatch(tail):
        tail = ""
    return f"{lead}…{tail}"
