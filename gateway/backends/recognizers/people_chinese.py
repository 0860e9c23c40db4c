"""Names of people in Chinese characters, by surnames, the characters of given names, and cues."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.backends.recognizers.finder import Found
from gateway.backends.recognizers.words import HAN, listed, one_of

_CUES = [
    "联系人", "联络人", "聯絡人", "收件人", "收货人", "寄件人", "发件人", "负责人",
    "法定代表人", "法人代表", "申请人", "经办人", "当事人", "姓名", "签名", "签字", "署名",
    "客户", "患者", "病人", "员工", "学生", "户主", "持卡人", "持有人", "被保险人", "投保人",
    "原告", "被告", "证人", "作者", "同事", "朋友", "我叫", "名叫", "叫做", "名字", "我是",
    "他叫", "她叫", "本人", "老公", "老婆", "丈夫", "妻子", "儿子", "女儿",
]  # fmt: skip
_TITLES = [
    "先生", "女士", "小姐", "太太", "夫人", "经理", "總經理", "总经理", "經理", "医生", "醫生",
    "大夫", "老师", "老師", "教授", "主任", "同学", "同學", "律师", "律師", "博士", "院长",
    "局长", "书记", "部长", "董事", "师傅", "同志", "警官", "护士", "工程师", "校长", "处长",
    "科长", "总监", "主管",
]  # fmt: skip
_BEFORE = (
    "的了和与與及跟同向由让对是在到见替帮为被把将给请問问找约叫谢好位名如有据经因而但或送派约陪托"
)
_AFTER = (
    "的了和与與及跟同向由让对是在到为被把将给说說也都已会曾来去从住于於有没还要想表指认告打发写先女就"
    "今昨明此出回用买卖电微联身手邮地性年提负完毕生男担请做作"
)

NAMED, CUED, BARE = 0.85, 0.7, 0.5
_ANY = re.compile(f"[{HAN}]")


class ChineseNames:
    """A surname and one or two characters: behind a cue, before a title, or standing apart."""

    def __init__(self) -> None:
        surnames = listed("surnames_han.txt")
        sure = listed("surnames_han_sure.txt")
        self._words = listed("words_han.txt")
        given = one_of(listed("given_han.txt"))
        double = "|".join(sorted(one for one in surnames if len(one) == 2))
        single = one_of(one for one in surnames if len(one) == 1)
        anybody = f"(?:{double}|{single})"
        before = rf"(?:(?<![{HAN}].)|(?<={one_of(_BEFORE)}.))"
        after = rf"(?:(?![{HAN}])|(?={one_of(_AFTER)}))"
        title = rf"(?={'|'.join(_TITLES)})"
        self._cued = re.compile(
            rf"(?:{'|'.join(_CUES)})(?:是|为|叫|[: \t\"'\u201c]){{0,4}}"
            rf"({anybody}(?:{given}{{2}}|[{HAN}]{{1,2}}{after}|{given}))"
        )
        self._shapes = [
            (re.compile(f"{single}{given}{{1,2}}{title}"), NAMED),
            (re.compile(f"(?:{double}){given}{{0,2}}{title}"), NAMED),
            (re.compile(f"{single}{before}{title}"), NAMED),
            (re.compile(f"(?:{double}){given}{{1,2}}{after}"), CUED),
            (re.compile(f"{one_of(sure)}{before}{given}{{2}}{after}"), CUED),
            (re.compile(f"{one_of(listed('surnames_han_top.txt'))}{before}{given}{after}"), BARE),
        ]

    def find(self, text: str) -> Iterator[Found]:
        if not _ANY.search(text):
            return
        for found in self._cued.finditer(text):
            if not self._is_word(found[1]):
                yield *found.span(1), NAMED
        for shape, score in self._shapes:
            for found in shape.finditer(text):
                if not self._is_word(found[0]):
                    yield *found.span(), score

    def _is_word(self, name: str) -> bool:
        """A word that begins like a name, or begins with one."""
        return any(name[:length] in self._words for length in (2, 3, 4))
