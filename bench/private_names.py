"""Texts with names of people, places and organizations, for what is found of them without a model.

Names and sentences were written down here, not taken out of the gateway's lists; about one name of
five is on none of them, as in life."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from random import Random

from private_corpus import Sample, filled
from private_values import Make

ENTITIES = ("PERSON", "LOCATION", "ORGANIZATION")

_PEOPLE = [
    "Margaret Chen", "Tobias Lindqvist", "Aisha Rahman", "Peter O'Donnell", "Rebecca Stone",
    "Oluwaseun Adeyemi", "Helen Fairweather", "Kwame Mensah", "Priyanka Iyer",
    "Jonas Bergström", "Lucía Fernández", "Ivan Petrović", "Sophie Lambert", "Matthieu Girard",
    "Élodie Rousseau", "Heinrich Vogel", "Katharina Baumgartner", "Jürgen Hoffmann",
    "Miguel Ángel Torres", "Carmen Ruiz", "Tomasz Wójcik", "Yuki Nakamura", "Thanh Nguyen",
    "Gwendolyn Ashcroft", "Zbigniew Kaczmarek", "Fatoumata Diallo", "Rajesh Kumar",
    "Emma Wilson", "Noah Becker",
]  # fmt: skip
_CHINESE = [
    "王建华", "李娜", "张伟强", "陈晓燕", "刘洋", "赵敏", "欧阳修文", "周杰", "林志远", "徐静",
]  # fmt: skip
_PLACES = [
    "Rotterdam", "Lisbon", "Nairobi", "Edinburgh", "Stuttgart", "Toulouse", "Valencia",
    "Buenos Aires", "San Francisco", "Kyoto", "Melbourne", "Norway", "Portugal", "Kenya",
    "Graz", "Leipzig", "Bordeaux", "Zaragoza", "Tewkesbury", "Wolfsburg",
]  # fmt: skip
_CHINESE_PLACES = [
    "杭州市", "成都", "广州市", "南京", "浙江省", "哈尔滨", "苏州市", "拉萨",
]  # fmt: skip
_FIRMS = [
    "Northwind Traders Inc.", "Bluestone Logistics Ltd.", "Brandt & Söhne GmbH",
    "Helvetia Optik AG", "University of Leeds", "Crescent Bank", "Maison Dupuis SARL",
    "Tierra Verde SL", "Initech", "Umbrella Health",
]  # fmt: skip
_CHINESE_FIRMS = [
    "杭州云帆科技有限公司", "华东理工大学", "招商银行", "北京协和医院",
]  # fmt: skip

_TEMPLATES = {
    "english": """
My name is {PERSON} and I work for {ORGANIZATION} in {LOCATION}.
Dear Ms. {PERSON}, your order will be shipped to {LOCATION}.
{PERSON} met {PERSON} at the station and they travelled to {LOCATION} together.
Please forward this to {PERSON} ({ORGANIZATION}).
The quarterly report of {ORGANIZATION} was written by {PERSON}.
Patient: {PERSON}, admitted on Monday with a fever.
Thanks for the quick answer, it works now. The new Release Candidate is on Staging.
Will the Product Owner grant access in May, or shall we ask the Service Desk again?
""",
    "german": """
Mein Name ist {PERSON}, ich wohne in {LOCATION}.
Sehr geehrte Frau {PERSON}, Ihre Rechnung liegt bei.
Herr {PERSON} arbeitet bei {ORGANIZATION}.
Die neue Anlage wird im Herbst in Betrieb genommen, der Antrag ist gestellt.
""",
    "french": """
Je m'appelle {PERSON} et j'habite à {LOCATION}.
Madame {PERSON} travaille chez {ORGANIZATION}.
Merci de votre réponse, le dossier est complet.
""",
    "spanish": """
Me llamo {PERSON} y vivo en {LOCATION}.
El señor {PERSON} trabaja en {ORGANIZATION}.
Gracias por su respuesta, el pedido ha salido hoy.
""",
    "chinese": """
我叫{PERSON}，在{LOCATION}工作。
联系人：{PERSON}，单位：{ORGANIZATION}。
{PERSON}先生昨天从{LOCATION}出发。
请在周五之前完成项目的安全检查和文档。
""",
}


def named(count: int, seed: int = 4) -> Iterator[Sample]:
    """`count` texts of one to four lines, each language as often as every other."""
    chance = Random(seed)
    languages = list(_TEMPLATES)
    for number in range(count):
        language = languages[number % len(languages)]
        lines = _TEMPLATES[language].strip().split("\n")
        text = "\n".join(chance.choice(lines) for _ in range(chance.randint(1, 4)))
        yield Sample(language, *filled(text, chance, _values(language)))


def _values(language: str) -> dict[str, Make]:
    chinese = (_CHINESE, _CHINESE_PLACES, _CHINESE_FIRMS)
    listed = chinese if language == "chinese" else (_PEOPLE, _PLACES, _FIRMS)
    return {name: partial(_one_of, some) for name, some in zip(ENTITIES, listed, strict=True)}


def _one_of(some: Sequence[str], chance: Random) -> str:
    return chance.choice(some)
