"""Numbers of people and companies in other countries, dates of birth and addresses: found with
their check digits or behind their names, and nothing else."""

from __future__ import annotations

from functools import cache

import pytest

from gateway.backends.presidio_detector import recognizers
from gateway.backends.recognizers.finder import Finder

FOUND = [
    ("BR_CPF", "CPF ", "529.982.247-25", ""),
    ("BR_CPF", "cpf: ", "52998224725", "."),
    ("BR_CNPJ", "", "11.222.333/0001-81", ""),
    ("BR_CNPJ", "CNPJ ", "11222333000181", ""),
    ("CN_BANK_CARD", "银行卡号", "6222021234567890128", "。"),
    ("CN_LICENSE_PLATE", "车牌", "京A12345", "的车"),
    ("CN_LICENSE_PLATE", "", "粤B·D12345", ""),
    ("CN_PASSPORT", "护照号", "E12345678", "，"),
    ("CN_USCC", "统一社会信用代码", "91350100M000100Y43", ""),
    ("DATE_OF_BIRTH", "born on ", "12 March 1985", ", in Bath"),
    ("DATE_OF_BIRTH", "DOB: ", "1985-03-12", ""),
    ("DATE_OF_BIRTH", "出生日期：", "1985年3月12日", ""),
    ("DATE_OF_BIRTH", "geboren am ", "12.03.1985", " in Ulm"),
    ("DATE_OF_BIRTH", "née le ", "12/03/1985", ""),
    ("FR_NIR", "", "1 84 12 76 451 089 46", ""),
    ("FR_NIR", "NIR ", "184127645108946", ""),
    ("HK_ID_CARD", "身份證", "A123456(3)", ""),
    ("JP_MY_NUMBER", "マイナンバー ", "123456789018", ""),
    ("NL_BSN", "BSN ", "111222333", ""),
    ("STREET_ADDRESS", "I live at ", "221B Baker Street", ""),
    ("STREET_ADDRESS", "", "Hauptstraße 12, 10115 Berlin", ""),
    ("STREET_ADDRESS", "", "12 rue de la Paix, 75002 Paris", ""),
    ("STREET_ADDRESS", "", "Calle Mayor 12", ""),
    ("STREET_ADDRESS", "", "北京市海淀区中关村大街27号", ""),
    ("STREET_ADDRESS", "", "東京都港区芝公園4丁目2番8号", ""),
    ("TW_ID_NUMBER", "身分證字號", "A123456789", ""),
]

NOT_FOUND = [
    ("BR_CPF", "CPF 529.982.247-26"),
    ("BR_CPF", "52998224725"),
    ("BR_CNPJ", "11.222.333/0001-82"),
    ("CN_BANK_CARD", "订单号7222021234567890128"),
    ("CN_LICENSE_PLATE", "京A1234"),
    ("CN_PASSPORT", "版本E12345678"),
    ("CN_USCC", "91350100M000100Y44"),
    ("DATE_OF_BIRTH", "released on 12 March 1985"),
    ("DATE_OF_BIRTH", "born on a Monday"),
    ("FR_NIR", "1 84 12 76 451 089 47"),
    ("HK_ID_CARD", "A123456(4)"),
    ("JP_MY_NUMBER", "マイナンバー 123456789019"),
    ("JP_MY_NUMBER", "order 123456789018"),
    ("NL_BSN", "BSN 111222334"),
    ("NL_BSN", "111222333"),
    ("STREET_ADDRESS", "for step in street_map: drive(12)"),
    ("TW_ID_NUMBER", "A123456788"),
]


@cache
def finders() -> dict[str, Finder]:
    return {one.ENTITY: one for one in recognizers() if isinstance(one, Finder)}


def found_in(entity: str, text: str) -> set[str]:
    """What is sure enough to be acted on where a policy says nothing else."""
    return {text[start:end] for start, end, score in finders()[entity].find(text) if score >= 0.4}


@pytest.mark.parametrize(("entity", "before", "value", "behind"), FOUND)
def test_it_is_found_by_itself_and_between_others(
    entity: str, before: str, value: str, behind: str
) -> None:
    assert value in found_in(entity, before + value + behind)
    for left, right in (("我的", "在这里"), ("(", ")"), ('{"a": "x\\n', '"}')):
        if before:
            assert value in found_in(entity, f"{left}{before}{value}{right}")


@pytest.mark.parametrize(("entity", "text"), NOT_FOUND)
def test_it_is_not_found_with_a_wrong_check_digit_or_without_its_name(
    entity: str, text: str
) -> None:
    assert found_in(entity, text) == set()


@pytest.mark.parametrize("entity", sorted({entity for entity, *_ in FOUND} - {"STREET_ADDRESS"}))
def test_numbers_of_programs_are_nobodys(entity: str) -> None:
    uuid, floats = "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "0.529982247 1.8412764510894e+15"
    commit, version = "9135010b0e0100c43d1e7f0a2b3c4d5e6f708192", "v1.12.123 (build 84127645)"
    assert found_in(entity, f"{uuid} {floats} {commit} {version}") == set()
