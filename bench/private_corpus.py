"""Texts with private values at known places: templates of ours in several languages and forms.

`{ENTITY}` in a template is a value; lines without one are there to be left alone. A corpus of one's
own is a JSONL file of `{"text": str, "spans": [[start, end, label], …]}`, in code points."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from private_values import VALUES, Make

TEMPLATES = {
    "english": """
Please charge {CREDIT_CARD} and send the receipt to {EMAIL_ADDRESS}.
My name is Dora, born {DATE_OF_BIRTH}; I live at {STREET_ADDRESS}.
You can reach me at {PHONE_NUMBER}, or write to {EMAIL_ADDRESS} after 6 pm.
Her SSN is {US_SSN} and the account is {IBAN_CODE}.
The password is {PASSWORD}, please change it after 14 days.
The meeting of 12 March 2024 has 35 people in room 2.114; order 4711-0815 costs 1,299.00 EUR.
Version 10.4.18 fixed issue 20345 in 0.25 seconds; see chapter 3.2.1 of ISO 27001:2022.
""",
    "chinese": """
我的手机号是{CN_MOBILE}，请尽快联系。
身份证号码{CN_ID_CARD}，银行卡号{CN_BANK_CARD}。
收货地址：{STREET_ADDRESS}，邮箱{EMAIL_ADDRESS}。
车牌{CN_LICENSE_PLATE}停在B2层，编号20240311。
会议于2024年3月12日下午3点举行，共35人参加，预算128000元。
""",
    "german": """
Bitte überweisen Sie auf {IBAN_CODE}, Rückfragen an {EMAIL_ADDRESS}.
Geboren am {DATE_OF_BIRTH}, wohnhaft {STREET_ADDRESS}, Telefon {PHONE_NUMBER}.
Die Rechnung 2024-00817 über 1.250,00 € ist am 31.03.2024 fällig.
""",
    "french": """
Mon numéro de sécurité sociale est {FR_NIR} et je suis né le {DATE_OF_BIRTH}.
Écrivez à {EMAIL_ADDRESS} ou appelez le {PHONE_NUMBER}.
La facture 817 du 31/03/2024 s'élève à 1 250,00 €.
""",
    "other": """
Meu CPF é {BR_CPF}, e-mail {EMAIL_ADDRESS}.
香港身份證號碼 {HK_ID_CARD}，電郵 {EMAIL_ADDRESS}。
Vivo en {STREET_ADDRESS} y mi teléfono es {PHONE_NUMBER}.
""",
    "code": """
client = OpenAI(api_key="{API_KEY}")
DATABASE_URL = "postgresql://app:{PASSWORD}@db.internal:5432/main"
auth_token = "{SECRET}"
headers = {"Authorization": "Bearer {JWT}"}
KEY = \"\"\"{PRIVATE_KEY}\"\"\"
HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
x = 3.141592653589793 * 6.02214076e23 + 0x7fffffff - 1234567890123
password = getpass.getpass("Password: ")
commit 0a1b2c3d4e5f60718293a4b5c6d7e8f901234567
""",
    "log": """
2024-03-11T09:14:22.512Z INFO login user={EMAIL_ADDRESS} ip={IP_ADDRESS} status=200 ms=12
2024-03-11 09:14:23,001 WARN retry 3 from {IP_ADDRESS} trace=4bf92f3577b34da6a3ce929d0e0e4736
Mar 11 09:14:24 host sshd[2214]: Accepted publickey for root from {IP_ADDRESS} port 50522
level=info id=550e8400-e29b-41d4-a716-446655440000 bytes=1048576 duration=0.000213
""",
    "json": """
{"email": "{EMAIL_ADDRESS}", "phone": "{PHONE_NUMBER}", "age": 41, "id": 90210}
{"card": {"number": "{CREDIT_CARD}", "expires": "12/27"}, "iban": "{IBAN_CODE}"}
{"api_key": "{API_KEY}", "password": "{PASSWORD}", "retries": 3}
{"birth_date": "{DATE_OF_BIRTH}", "ssn": "{US_SSN}"}
{"version": "1.22.333", "sha": "d670460b4b4aece5915caf5c68d12f560a9fe3e4", "size": 8388608}
""",
    "csv": """
17,anna,{EMAIL_ADDRESS},{CN_MOBILE},Berlin
18,ben,{EMAIL_ADDRESS},{CREDIT_CARD},Lyon
19,carla,{US_SSN},{IP_ADDRESS},2024-03-11
20,dora,499.99,12,2024-03-11,SKU-0081-77
""",
    "chat": """
hey can u text me on {PHONE_NUMBER} thx
sure!! my mail is {EMAIL_ADDRESS} :)
here's the token: {SECRET} dont share
lol that was 2019, got like 300 likes
""",
}

SLOT = re.compile(r"\{([A-Z][A-Z_]+)\}")


@dataclass(frozen=True, slots=True)
class Sample:
    """`spans`: start, end, entity."""

    form: str
    text: str
    spans: tuple[tuple[int, int, str], ...]


def generated(count: int, seed: int = 4) -> Iterator[Sample]:
    """`count` texts of one to six lines of one form, each form as often as every other."""
    chance = Random(seed)
    forms = list(TEMPLATES)
    for number in range(count):
        form = forms[number % len(forms)]
        lines = TEMPLATES[form].strip().split("\n")
        chosen = [chance.choice(lines) for _ in range(chance.randint(1, 6))]
        yield Sample(form, *filled("\n".join(chosen), chance))


def filled(
    template: str, chance: Random, values: Mapping[str, Make] = VALUES
) -> tuple[str, tuple[tuple[int, int, str], ...]]:
    """The text, and where its values stand."""
    text, spans, done = "", [], 0
    for slot in SLOT.finditer(template):
        value = values[slot[1]](chance)
        text += template[done : slot.start()]
        spans.append((len(text), len(text) + len(value), slot[1]))
        text += value
        done = slot.end()
    return text + template[done:], tuple(spans)


def read(path: Path) -> Iterator[Sample]:
    """Samples of a JSONL file. Raises SystemExit with the line that is wrong."""
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            spans = tuple((int(start), int(end), str(label)) for start, end, label in row["spans"])
            yield Sample("data", str(row["text"]), spans)
        except (ValueError, KeyError, TypeError) as problem:
            raise SystemExit(
                f"{path}:{number}: {problem!r}; write "
                '{"text": "…", "spans": [[start, end, "LABEL"]]}'
            ) from None


def entities_of(samples: Iterable[Sample]) -> set[str]:
    return {label for sample in samples for _, _, label in sample.spans}
