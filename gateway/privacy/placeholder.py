"""What stands in a text instead of a private value: a placeholder, a hash or a mask. Pure.

A placeholder is `TYPE_XXXXXXXX`: the entity, and 40 bits of HMAC-SHA-256 over entity and value
under the scope's key, in base32. The same value has the same placeholder in every turn, with no
state kept, so that a quoted one still resolves and the upstream's prompt cache still hits; without
the key nobody can try values against it.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from gateway.privacy.spans import WORD_END, word_start

TOKEN_LENGTH: Final = 8
"""Letters of a placeholder behind its type and the `_`: these tell it from all others."""
_TOKEN = f"[A-Z2-7]{{{TOKEN_LENGTH}}}"
_TOKEN_BYTES = 5
_HASH_BYTES = 8
MASK = "*" * 8
"""However long the value was."""
_LOOK_ALIKE = re.compile(rf"[_ -]([A-Za-z2-7]{{8}}){WORD_END}")


def placeholder(scope_key: bytes, entity: str, value: str, salt: int = 0) -> str:
    """The placeholder of a value; another one for each `salt`, for the case that one is taken."""
    purpose = "placeholder" if salt == 0 else f"placeholder {salt}"
    bits = int.from_bytes(_digest(scope_key, purpose, entity, value)[:_TOKEN_BYTES])
    pairs = _BASE32_PAIRS  # as RFC 4648 writes them: two letters at a time, out of a table
    return (
        f"{entity}_{pairs[bits >> 30]}{pairs[bits >> 20 & 1023]}"
        f"{pairs[bits >> 10 & 1023]}{pairs[bits & 1023]}"
    )


def hashed(scope_key: bytes, entity: str, value: str) -> str:
    """A name for the value that nobody can turn back: the entity and 64 bits in lower-case hex."""
    return f"{entity}_{_digest(scope_key, 'hash', entity, value)[:_HASH_BYTES].hex()}"


def masked(value: str, keep_last: int = 0) -> str:
    """Its last letters and digits stay to be seen, without what parts them, unless that were more
    than half of them."""
    told = "".join(filter(str.isalnum, value)) if keep_last else ""
    return MASK + told[-keep_last:] if 0 < keep_last * 2 <= len(told) else MASK


def begin(entities: Iterable[str]) -> str:
    """A pattern for the first character of what may be a placeholder of these entities."""
    letters = {letter for entity in entities for letter in (entity[0], entity[0].lower())}
    return rf"[{''.join(sorted(letters))}]{word_start(1)}"


def may_begin(entities: Iterable[str]) -> str:
    """A pattern for the first character of what may become one, of a text that is not all there:
    the second is as theirs, or yet to come."""
    seconds = {entity[1:2].replace("_", "") for entity in entities}
    gap = r"_\\ -" if "" in seconds else ""
    letters = "".join(sorted(seconds))
    return rf"{begin(entities)}(?=[{letters}{letters.lower()}{gap}]|\Z)"


def pattern(entities: Iterable[str], backslashes_max: int) -> re.Pattern[str]:
    """Whatever may be a placeholder of these entities after a model has written it.

    The case may differ, and `_` may be `\\_` (with so many backslashes), a space or `-`."""
    gap = rf"(?:\\{{0,{backslashes_max}}}_|[ -])"
    types = [
        f"(?<={entity[0]}){re.escape(entity[1:]).replace('_', gap)}" for entity in sorted(entities)
    ]
    rest = f"(?i:(?:{'|'.join(types)}){gap}{_TOKEN}){WORD_END}"
    return re.compile(begin(entities) + rest, re.ASCII)


def canonical(written: str) -> str:
    """What a model wrote, as the placeholder that it may be: one `_` a gap, in capitals.

    Backslashes at the end may be the first half of `\\_`."""
    return re.sub(r"\\*_|[ -]|\\+\Z", "_", written).upper()


def look_alikes(text: str) -> set[str]:
    """The tokens of everything in a text that may pass for a placeholder of any type."""
    return set(map(str.upper, _LOOK_ALIKE.findall(text)))


_BASE32: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_BASE32_PAIRS: Final = tuple(first + second for first in _BASE32 for second in _BASE32)


def _digest(scope_key: bytes, purpose: str, entity: str, value: str) -> bytes:
    normal = value if value.isascii() else unicodedata.normalize("NFKC", value)
    begun = _begun(scope_key).copy()
    begun.update(f"{purpose}\0{entity}\0{normal}".encode("utf-8", "surrogatepass"))
    return begun.digest()


@lru_cache(256)  # scopes; one of a conversation goes with it
def _begun(scope_key: bytes) -> hmac.HMAC:
    """The HMAC once it has read the scope's key: `hmac.digest` would do so for each placeholder,
    and let go of the interpreter meanwhile, which another thread then keeps."""
    return hmac.new(scope_key, digestmod="sha256")
