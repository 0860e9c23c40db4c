"""The verb authenticate, and its port Keyring: whose key is it, and is it good now?"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

from gateway.errors import Unauthenticated
from gateway.keys.key import Key, Secret, given_in, mask, matches, prefix_of

_NOBODY = bytes(32)  # what an unknown key is compared with, so that it costs what a wrong one does


class Keyring(Protocol):
    """Raises `errors.Unavailable` (code database_unavailable) where the store cannot be reached:
    trouble with the store is never a 401."""

    async def find(self, prefix: str) -> Secret | None: ...


async def authenticate(
    authorization: str | None, keyring: Keyring, pepper: bytes, now: float
) -> Key:
    """The key of an `Authorization: Bearer …` header (RFC 6750), good at `now` (unix seconds).

    Raises Unauthenticated, with code invalid_api_key but where no key was given at all, and what
    the keyring raises. Only who proved to have the key is told that it expired or was revoked."""
    given = given_in(authorization) if authorization else None
    text, prefix = given or _read(authorization or "")
    secret = await keyring.find(prefix)
    good = matches(secret.digest if secret else _NOBODY, text, pepper)
    if secret is None or not good:
        raise _refused(f"Incorrect API key provided: {mask(text)}.")
    refusal = _ended(secret, text, now)
    if refusal is not None:
        refusal.key = secret.key
        raise refusal
    return secret.key


def _read(authorization: str) -> tuple[str, str]:
    """The text of the key in the header, and its look-up prefix."""
    scheme, _, text = authorization.strip().partition(" ")
    text = text.strip()
    if not scheme or (scheme.lower() == "bearer" and not text):
        raise Unauthenticated(
            "You didn't provide an API key. Provide it in an Authorization header using Bearer "
            "auth (Authorization: Bearer YOUR_KEY)."
        )
    if scheme.lower() != "bearer":
        raise _refused("The Authorization header is not of the form `Bearer YOUR_KEY`.")
    prefix = prefix_of(text)
    if prefix is None:
        raise _refused(f"Incorrect API key provided: {mask(text)}. It is not a key of this server.")
    return text, prefix


def _ended(secret: Secret, text: str, now: float) -> Unauthenticated | None:
    key = secret.key
    if key.revoked_at is not None:
        return _refused(f"The API key {mask(text)} was revoked. Ask for a new one.")
    if key.expires_at is not None and key.expires_at <= now:
        return _refused(f"The API key {mask(text)} expired at {_date(key.expires_at)}.")
    if secret.expires_at is not None and secret.expires_at <= now:
        return _refused(
            f"The API key {mask(text)} was replaced by a new one and ended at "
            f"{_date(secret.expires_at)}."
        )
    return None


def _refused(message: str) -> Unauthenticated:
    return Unauthenticated(message, code="invalid_api_key")


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
