"""A made-up value of the same form as a private one: what `replace` puts into a text. Pure.

Digits become digits, letters become letters of the same case, all else stays, so that what reads
the form (a model, a program, a check) goes on working. Which ones, HMAC-SHA-256 says under the
scope's key: the same value has the same stand-in in every turn. Checks of cards and of bank
accounts hold; e-mail addresses lie in a domain that is reserved (RFC 2606); names are made up;
dates are days of a life, in the same words.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from collections.abc import Callable, Iterator

from gateway.privacy.dates import another_day

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_GIVEN = [
    "Alex",
    "Robin",
    "Sam",
    "Jamie",
    "Taylor",
    "Morgan",
    "Casey",
    "Riley",
    "Avery",
    "Quinn",
    "Rowan",
    "Skyler",
    "Finley",
]
_FAMILY = [
    "Ashby",
    "Birkett",
    "Calloway",
    "Denholm",
    "Everly",
    "Farrow",
    "Garland",
    "Hollis",
    "Ingram",
    "Kestrel",
]
_CHINESE_FAMILY, _CHINESE_GIVEN = "赵钱孙周吴郑冯陈褚卫", "安宁嘉和文清若云子墨书言景行"
_PLACES = [
    "Ashford",
    "Brookfield",
    "Claymore",
    "Dunmore",
    "Eastvale",
    "Fairhaven",
    "Greywater",
    "Highmoor",
]
_COMPANIES = [
    "Arbourlight",
    "Bluecrest",
    "Cinderfield",
    "Dovetail",
    "Emberline",
    "Foxglove",
    "Granitewood",
]
_CJK = re.compile("[\u4e00-\u9fff]")
Dice = Iterator[int]
"""Bytes without an end."""


def synthetic(scope_key: bytes, entity: str, value: str, salt: int = 0) -> str | None:
    """Another one for each `salt`, for the case that one is taken or cannot be used. It may be the
    value itself where its form leaves nothing to choose. None where it cannot be told what one in
    this form would be."""
    maker = _MAKERS.get(entity, _same_form)
    if entity in _FORMS and not _FORMS[entity].fullmatch(value):
        maker = _same_form
    return maker(value, _dice(scope_key, entity, value, salt))


def _dice(scope_key: bytes, entity: str, value: str, salt: int) -> Dice:
    normal = unicodedata.normalize("NFKC", value)
    block = 0
    while True:
        message = "\0".join(("synthetic", str(salt), str(block), entity, normal))
        yield from hmac.digest(scope_key, message.encode("utf-8", "surrogatepass"), "sha256")
        block += 1


def _pick(options: str | list[str], dice: Dice) -> str:
    return options[(next(dice) << 8 | next(dice)) % len(options)]


def _same_form(value: str, dice: Dice) -> str:
    """The first digit of a run stays none where it is none, so that numbers keep their length."""
    made, before = [], ""
    for character in value:
        if character.isdecimal():
            digits = "123456789" if character != "0" and not before.isdecimal() else "0123456789"
            made.append(_pick(digits, dice))
        elif character.isascii() and character.isalpha():
            letter = _pick(_LETTERS, dice)
            made.append(letter.upper() if character.isupper() else letter)
        elif _CJK.match(character):
            made.append(_pick(_CHINESE_GIVEN, dice))
        else:
            made.append(character)
        before = character
    return "".join(made)


def _email(value: str, dice: Dice) -> str:
    local = f"{_pick(_GIVEN, dice)}.{_pick(_FAMILY, dice)}".lower()
    return f"{local}{next(dice) % 100:02}@example.{_pick(['com', 'net', 'org'], dice)}"


def _person(value: str, dice: Dice) -> str:
    if _CJK.match(value):
        given = "".join(_pick(_CHINESE_GIVEN, dice) for _ in range(max(1, len(value) - 1)))
        return _pick(_CHINESE_FAMILY, dice) + given
    words = max(1, len(value.split()))
    names = [_pick(_GIVEN, dice) for _ in range(words - 1)] + [_pick(_FAMILY, dice)]
    return " ".join(names if words > 1 else [_pick(_GIVEN, dice)])


def _card(value: str, dice: Dice) -> str:
    """The issuer's first digit stays; the last digit makes the Luhn sum (ISO/IEC 7812-1)."""
    made = list(_same_form(value, dice))
    places = [at for at, character in enumerate(made) if character.isdecimal()]
    made[places[0]] = value[places[0]]
    digits = [int(made[at]) for at in places[-2::-1]]
    total = sum(sum(divmod(2 * d, 10)) if i % 2 == 0 else d for i, d in enumerate(digits))
    made[places[-1]] = str(-total % 10)
    return "".join(made)


def _iban(value: str, dice: Dice) -> str:
    """The country stays, and the two check digits are right (ISO 7064 MOD 97-10)."""
    body = _same_form(value[4:], dice)
    plain = re.sub("[ -]", "", body + value[:2]).upper() + "00"
    number = int("".join(str(int(character, 36)) for character in plain))
    return f"{value[:2]}{98 - number % 97:02}{body}"


def _phone(value: str, dice: Dice) -> str:
    """What leads to a country stays: the sign, and the first third of the digits."""
    made, places = list(value), [at for at, c in enumerate(value) if c.isdecimal()]
    for at in places[len(places) // 3 :]:
        made[at] = _pick("0123456789", dice)
    return "".join(made)


def _chinese_mobile(value: str, dice: Dice) -> str | None:
    """Eleven digits from 13 to 19; what leads to the country stays."""
    places = [at for at, c in enumerate(value) if c in "0123456789"][-11:]
    if len(places) < 11 or value[places[0]] != "1":
        return None
    made = list(value)
    for at, options in zip(places[1:], ["3456789", *["0123456789"] * 9], strict=True):
        made[at] = _pick(options, dice)
    return "".join(made)


def _address(value: str, dice: Dice) -> str:
    """Of the networks that documents use (RFC 5737, RFC 3849)."""
    if ":" in value:
        return f"2001:db8::{next(dice) << 8 | next(dice):x}:{next(dice):x}"
    return f"{_pick(['192.0.2', '198.51.100', '203.0.113'], dice)}.{1 + next(dice) % 254}"


_FORMS = {
    "CREDIT_CARD": re.compile(r"\d[\d -]*+"),
    "IBAN_CODE": re.compile("[A-Za-z]{2}[0-9]{2}[0-9A-Za-z -]++"),
}
"""Those whose maker needs the form: a finding that overlapped another one is wider than its own."""


def _one_of(options: list[str]) -> Callable[[str, Dice], str]:
    return lambda value, dice: _pick(options, dice)


_MAKERS: dict[str, Callable[[str, Dice], str | None]] = {
    "CN_MOBILE": _chinese_mobile,
    "CREDIT_CARD": _card,
    "DATE_OF_BIRTH": another_day,
    "EMAIL_ADDRESS": _email,
    "IBAN_CODE": _iban,
    "IP_ADDRESS": _address,
    "LOCATION": _one_of(_PLACES),
    "ORGANIZATION": _one_of(_COMPANIES),
    "PERSON": _person,
    "PHONE_NUMBER": _phone,
}
