"""Addresses in Chinese (`北京市海淀区中关村大街27号`) and Japanese (`東京都港区芝公園4丁目2番8号`).

They go from the large to the small without a space. So they are read backwards from the kind of the
street: as far as a province's or prefecture's name, or else a character that leads to a place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.backends.recognizers.finder import Found

_REACH = 32  # characters before the street's kind
_PARTS_MAX = 4  # behind the house number
_CHINESE_HOUSE = re.compile(
    r"[路街道巷弄同](?:(?<=[路街巷弄])|(?<=大道)|(?<=胡同))(?<![线思电网公铁套半这].)"
    r"(?:[东西南北中東]?[一二三四五六七八九十0-9]{1,3}+段)?(?:[0-9]{1,4}+[巷弄]){0,2}"
    r"[0-9]{1,5}+(?:-[0-9]{1,4}+)?[号號](?![线線码碼文令机])"
)
_CHINESE_PART = re.compile(
    r"[一-龥]{0,6}[0-9A-Za-z]{1,5}+(?:-[0-9]{1,4}+)?(?:号楼|單元|单元|[号號栋棟幢座层層楼樓室户])"
)
_CHINESE_PLACE = re.compile(
    "北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东"
    "|海南|四川|贵州|云南|陕西|甘肃|青海|内蒙古|广西|西藏|宁夏|新疆|香港|澳门"
    "|[臺台](?:灣|湾|北|中|南)|新北|桃園|高雄"
)
_CHINESE_LEAD = re.compile("[在到是于於为為址至从從往寄住了去]")
_CHINESE = re.compile("[一-龥]")

_JAPANESE_HOUSE = re.compile(
    r"[0-9一二三四五六七八九十](?<![0-9].)[0-9十]{0,3}+"
    r"(?:丁目[0-9]{0,4}+(?:(?:番地の?|番|-|の)[0-9]{0,4}+){0,3}号?|番地(?:の[0-9]{1,4}+)?"
    r"|番[0-9]{1,4}+号|-[0-9]{1,4}+(?:-[0-9]{1,4}+)?(?![0-9-]))"
)
_JAPANESE_PLACE = re.compile("東京都|北海道|京都府|大阪府|(?:神奈川|和歌山|鹿児島|[一-龥]{2})県")
_JAPANESE = re.compile("[一-龥々ヶケノのァ-ンー]")
_JAPANESE_WIDE = re.compile("[一-龥々ぁ-んァ-ンー]")
_JAPANESE_WARD = re.compile("[一-龥][市区町村]")


def find(text: str) -> Iterator[Found]:
    if "号" in text or "號" in text:
        for found in _CHINESE_HOUSE.finditer(text):
            yield from _chinese(text, found)
    if _JAPANESE_WARD.search(text):
        for found in _JAPANESE_HOUSE.finditer(text):
            yield from _japanese(text, found)


def _chinese(text: str, house: re.Match[str]) -> Iterator[Found]:
    start = _run_start(text, house.start(), _CHINESE)
    if place := _CHINESE_PLACE.search(text, start, house.start()):
        start, score = place.start(), 0.85
    else:
        leads = list(_CHINESE_LEAD.finditer(text, start, house.start()))
        start, score = (leads[-1].end() if leads else start), 0.7
    if house.start() - start < 1:
        return  # a kind of street without a name
    end = house.end()
    for _ in range(_PARTS_MAX):
        if part := _CHINESE_PART.match(text, end):
            end = part.end()
    yield start, end, score


def _japanese(text: str, house: re.Match[str]) -> Iterator[Found]:
    """With a prefecture, or a town or ward. Hyphenated numbers alone are dates and scores too."""
    wide = _run_start(text, house.start(), _JAPANESE_WIDE)
    if place := _JAPANESE_PLACE.search(text, wide, house.start()):
        yield place.start(), house.end(), 0.85
        return
    start = _run_start(text, house.start(), _JAPANESE)
    if _JAPANESE_WARD.search(text, start, house.start()):
        yield start, house.end(), 0.7


def _run_start(text: str, at: int, of: re.Pattern[str]) -> int:
    floor = max(0, at - _REACH)
    while at > floor and of.match(text, at - 1):
        at -= 1
    return at
