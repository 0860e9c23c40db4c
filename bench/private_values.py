"""Values that look private and belong to nobody: one generator for each entity, with right checks.

Written from the published formats, not from the recognizers: what these make and a recognizer does
not find is a miss, and counts as one."""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Callable, Mapping
from itertools import pairwise
from random import Random

Make = Callable[[Random], str]
"""One value; the same chance makes the same."""

LATIN = [
    "anna",
    "ben",
    "carla",
    "dora",
    "emil",
    "fatou",
    "goran",
    "hanna",
    "ivo",
    "jana",
    "kemal",
    "lea",
    "marco",
    "nadia",
    "omar",
    "paula",
]
FAMILY = [
    "kovacs",
    "okafor",
    "jimenez",
    "aydin",
    "larsson",
    "noor",
    "dubois",
    "keller",
    "rossi",
    "silva",
    "tanaka",
    "weber",
]
DOMAINS = [
    "example.com",
    "example.org",
    "mail.example.net",
    "firma.de",
    "entreprise.fr",
    "corp.example",
]
ALNUM = string.ascii_letters + string.digits


def digits(chance: Random, count: int, first: str = string.digits) -> str:
    return chance.choice(first) + "".join(chance.choices(string.digits, k=count - 1))


def token(chance: Random, count: int, of: str = ALNUM) -> str:
    return "".join(chance.choices(of, k=count))


def email(chance: Random) -> str:
    shape = chance.choice(["{0}.{1}", "{0}", "{1}{2}", "{0}_{1}", "{0}+news"])
    local = shape.format(chance.choice(LATIN), chance.choice(FAMILY), chance.randint(1, 99))
    return f"{local}@{chance.choice(DOMAINS)}"


def phone(chance: Random) -> str:
    return chance.choice(
        [
            f"+1 415 555 {digits(chance, 4)}",
            f"(212) 736-{digits(chance, 4)}",
            f"+44 20 7946 0{digits(chance, 3)}",
            f"+49 30 {digits(chance, 8, '2345')}",
            f"+33 6 12 34 {digits(chance, 2)} {digits(chance, 2)}",
            f"+34 612 {digits(chance, 3)} {digits(chance, 3)}",
            f"0171 {digits(chance, 7, '23456')}",
            f"06 12 {digits(chance, 2)} {digits(chance, 2)} {digits(chance, 2)}",
        ]
    )


def with_luhn(body: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(body)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return body + str(-total % 10)


def card(chance: Random) -> str:
    prefix, length = chance.choice([("4", 16), ("51", 16), ("2221", 16), ("37", 15), ("6011", 16)])
    number = with_luhn(prefix + digits(chance, length - len(prefix) - 1))
    mark = chance.choice(["", " ", "-"])
    cuts = (4, 10) if length == 15 else (4, 8, 12)
    ends = [0, *cuts, length]
    return mark.join(number[a:b] for a, b in pairwise(ends))


def iban(chance: Random) -> str:
    country, length = chance.choice([("DE", 18), ("GB", 18), ("FR", 23), ("ES", 20), ("NL", 14)])
    bank = token(chance, 4, string.ascii_uppercase) if country in ("GB", "NL") else ""
    body = bank + digits(chance, length - len(bank))
    number = "".join(str(int(one, 36)) for one in f"{body}{country}00")
    whole = f"{country}{98 - int(number) % 97:02d}{body}"
    return (
        whole
        if chance.random() < 0.5
        else " ".join(whole[at : at + 4] for at in range(0, len(whole), 4))
    )


def ip_address(chance: Random) -> str:
    if chance.random() < 0.3:
        return "2001:db8:" + ":".join(f"{chance.randint(1, 65535):x}" for _ in range(6))
    return ".".join(str(chance.randint(11, 223)) for _ in range(4))


def us_ssn(chance: Random) -> str:
    return f"{chance.randint(100, 665)}-{chance.randint(10, 99)}-{chance.randint(1000, 9999)}"


def date_of(chance: Random) -> tuple[int, int, int]:
    return chance.randint(1940, 2010), chance.randint(1, 12), chance.randint(1, 28)


def cn_id_card(chance: Random) -> str:
    region = chance.choice(["110101", "310104", "440305", "510107"])
    year, month, day = date_of(chance)
    body = f"{region}{year}{month:02d}{day:02d}{digits(chance, 3)}"
    weighed = sum(int(digit) * pow(2, 17 - at, 11) for at, digit in enumerate(body))
    return body + "10X98765432"[weighed % 11]


def cn_mobile(chance: Random) -> str:
    number = chance.choice(["13", "15", "18"]) + digits(chance, 9)
    return chance.choice([number, f"{number[:3]} {number[3:7]} {number[7:]}", f"+86 {number}"])


def cn_bank_card(chance: Random) -> str:
    return with_luhn("62" + digits(chance, 16))


def cn_license_plate(chance: Random) -> str:
    return f"{chance.choice('京沪粤川')}{chance.choice('ABCDE')}{digits(chance, 5)}"


def br_cpf(chance: Random) -> str:
    body = digits(chance, 9)
    for _ in range(2):
        total = sum(int(d) * w for d, w in zip(reversed(body), range(2, 12), strict=False))
        body += str(0 if total % 11 < 2 else 11 - total % 11)
    return f"{body[:3]}.{body[3:6]}.{body[6:9]}-{body[9:]}"


def fr_nir(chance: Random) -> str:
    year, month, _ = date_of(chance)
    body = (
        f"{chance.choice('12')}{year % 100:02d}{month:02d}75{digits(chance, 3)}{digits(chance, 3)}"
    )
    return f"{body}{97 - int(body) % 97:02d}"


def hk_id_card(chance: Random) -> str:
    letter, number = chance.choice("ABCDEFG"), digits(chance, 6)
    values = [36, ord(letter) - 55, *map(int, number)]
    rest = -sum(value * (9 - at) for at, value in enumerate(values)) % 11
    return f"{letter}{number}({'0123456789A'[rest]})"


def date_of_birth(chance: Random) -> str:
    year, month, day = date_of(chance)
    return chance.choice([f"{year}-{month:02d}-{day:02d}", f"{day:02d}.{month:02d}.{year}"])


def street_address(chance: Random) -> str:
    number = chance.randint(2, 240)
    return chance.choice(
        [
            f"{number} Maple Street, Springfield, IL 62704",
            f"{number} Baker Street, London NW1 6XE",
            f"Lindenstraße {number}, 10969 Berlin",
            f"{number} rue de la République, 69002 Lyon",
            f"Calle Mayor {number}, 28013 Madrid",
            f"北京市朝阳区建国路{number}号",
        ]
    )


def api_key(chance: Random) -> str:
    return chance.choice(
        [
            "sk-proj-" + token(chance, 48),
            "AKIA" + token(chance, 16, string.ascii_uppercase + "234567"),
            "ghp_" + token(chance, 36),
            "AIza" + token(chance, 35),
            "sk_live_" + token(chance, 24),
            "glpat-" + token(chance, 20),
        ]
    )


def jwt(chance: Random) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    payload = {"sub": digits(chance, 10), "name": chance.choice(LATIN)}
    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(payload)}.{token(chance, 43)}"


def private_key(chance: Random) -> str:
    kind = chance.choice(["RSA ", "EC ", ""])
    lines = "\n".join(token(chance, 64, ALNUM + "+/") for _ in range(3))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{lines}\n-----END {kind}PRIVATE KEY-----"


def password(chance: Random) -> str:
    return token(chance, 6) + chance.choice("!#%*") + digits(chance, 3) + token(chance, 4)


def secret(chance: Random) -> str:
    return token(chance, 40)


VALUES: Mapping[str, Make] = {
    "API_KEY": api_key,
    "BR_CPF": br_cpf,
    "CN_BANK_CARD": cn_bank_card,
    "CN_ID_CARD": cn_id_card,
    "CN_LICENSE_PLATE": cn_license_plate,
    "CN_MOBILE": cn_mobile,
    "CREDIT_CARD": card,
    "DATE_OF_BIRTH": date_of_birth,
    "EMAIL_ADDRESS": email,
    "FR_NIR": fr_nir,
    "HK_ID_CARD": hk_id_card,
    "IBAN_CODE": iban,
    "IP_ADDRESS": ip_address,
    "JWT": jwt,
    "PASSWORD": password,
    "PHONE_NUMBER": phone,
    "PRIVATE_KEY": private_key,
    "SECRET": secret,
    "STREET_ADDRESS": street_address,
    "US_SSN": us_ssn,
}
