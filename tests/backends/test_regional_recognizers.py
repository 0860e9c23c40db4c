"""Identity numbers by region, and dates of birth: what is found, what is left alone, and that a
word beside a value decides."""

import asyncio
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.presidio_detector import Patience, PresidioDetector
from gateway.backends.recognizers.built_in import recognizers
from gateway.backends.recognizers.cues import cue

BY_ENTITY = {one.ENTITY: one for one in recognizers()}
SPACE = " "


def found(entity: str, text: str) -> list[str]:
    results = BY_ENTITY[entity].analyze(text, [entity])
    return [text[one.start : one.end] for one in sorted(results, key=lambda one: one.start)]


def detected(entity: str, text: str) -> set[str]:
    """As the gateway sees it: full-width characters folded first."""

    async def run() -> set[str]:
        detector = PresidioDetector(1, Patience(60), using=[BY_ENTITY[entity]])
        try:
            (spans,) = await detector.detect([text], frozenset({entity}))
        finally:
            await detector.aclose()
        return {text[span.start : span.end] for span in spans}

    return asyncio.run(run())


# What is one by itself, by entity.
ALONE = {
    "CN_BANK_CARD": ["6222021234567890128", "6222 0212 3456 7890 128", "6228480402564890018"],
    "CN_PASSPORT": ["E12345678", "G12345678"],
    "CN_LICENSE_PLATE": [
        "京A12345", "粤B·D1234", "沪AD12345", "京A1234学", "粤Z1234港", "苏E12345D",
    ],
    "CN_USCC": ["91350100M000100Y43", "91110000600037341L", "91350100m000100y43"],
    "HK_ID_CARD": ["A123456(3)", "G123456(A)", "L555555(0)", "AB987654(3)", "A123456 (3)"],
    "TW_ID_NUMBER": ["A123456789", "A800000014"],
    "JP_MY_NUMBER": ["1234-5678-9018"],
    "FR_NIR": ["1 84 12 76 451 089 46", "184127645108946", "1-84-12-76-451-089/46",
               "2 95 10 2A 126 001 35"],
    "BR_CPF": ["529.982.247-25", "529982247-25", "390.533.447-05"],
    "BR_CNPJ": ["11.222.333/0001-81", "12.ABC.345/01DE-35", "16.727.230/0001-97"],
}  # fmt: skip

# What is one behind a word: the texts, and what is found in them.
NAMED = {
    "CN_BANK_CARD": [
        ("银行卡号：9558820200012345678", "9558820200012345678"),
        ("我的卡号是4367421234567890123，", "4367421234567890123"),
        ("账号 0123 4567 8901 2345", "0123 4567 8901 2345"),
    ],
    "CN_PASSPORT": [
        ("护照号EA1234567", "EA1234567"),
        ("passport no. 151234567", "151234567"),
        ('"passport": "KJ0123456"', "KJ0123456"),
    ],
    "HK_ID_CARD": [("HKID A1234563", "A1234563"), ("身份證號碼：G123456A", "G123456A")],
    "JP_MY_NUMBER": [
        ("マイナンバー：123456789018", "123456789018"),
        ("my_number=123456789018", "123456789018"),
        ("個人番号は1234 5678 9018", "1234 5678 9018"),
    ],
    "FR_NIR": [
        ("NIR 1841276451089", "1841276451089"),
        ("n° de sécurité sociale : 2 55 08 14 168 025", "2 55 08 14 168 025"),
    ],
    "NL_BSN": [
        ("BSN: 123456782", "123456782"),
        ("burgerservicenummer 1234.56.782", "1234.56.782"),
        ('"bsn": "111222333"', "111222333"),
        ("bsn is 10000008", "10000008"),
    ],
    "BR_CPF": [("CPF 52998224725", "52998224725"), ('"cpf": "39053344705"', "39053344705")],
    "BR_CNPJ": [
        ("CNPJ: 11222333000181", "11222333000181"),
        ("cnpj 12ABC34501DE35", "12ABC34501DE35"),
    ],
}  # fmt: skip
UNCHECKED = ("CN_PASSPORT", "CN_LICENSE_PLATE")
CASES = [(entity, value) for entity, values in ALONE.items() for value in values]


@pytest.mark.parametrize(("entity", "value"), CASES)
def test_a_value_is_found_whatever_it_touches(entity: str, value: str) -> None:
    around = [("", ""), ("x ", " y"), ("我的号码是", "，请查收"), ("(", ")"), ('"', '",')]
    around += [("これは", "です"), ("\n", "\n"), ("رقم", "هو"), (": ", "."), ("<", ">")]
    for before, after in around:
        assert value in found(entity, f"{before}{value}{after}"), (before, after)


@pytest.mark.parametrize(("entity", "value"), CASES)
def test_a_value_is_found_behind_a_json_escape(entity: str, value: str) -> None:
    for before in ("\n", "\t", "卡"):
        text = json.dumps({"note": f"{before}{value} "})
        if value.isascii():
            assert json.dumps(value)[1:-1] in found(entity, text)


@pytest.mark.parametrize(("entity", "value"), CASES)
def test_a_value_is_found_in_full_width_characters(entity: str, value: str) -> None:
    wide = "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in value)
    assert wide in detected(entity, f"号{wide}号")


@pytest.mark.parametrize(("entity", "value"), CASES)
def test_a_value_inside_a_longer_word_is_none(entity: str, value: str) -> None:
    if entity != "CN_LICENSE_PLATE":
        assert value not in found(entity, f"x{value}")
        assert value not in found(entity, f"7{value}")
    if value[-1] != ")":
        assert value not in found(entity, f"{value}x")
        assert value not in found(entity, f"{value}7")


@pytest.mark.parametrize(
    ("entity", "text", "value"),
    [(entity, text, value) for entity, cases in NAMED.items() for text, value in cases],
)
def test_a_word_before_it_makes_a_number_one(entity: str, text: str, value: str) -> None:
    assert found(entity, text) == [value]
    assert found(entity, f"{text} and {value[::-1]}x") == [value]
    assert found(entity, f"the order {value} of it") == []
    assert found(entity, text.replace(value, f"of the 2 of {SPACE * 90}{value}")) == []


@pytest.mark.parametrize(("entity", "value"), [case for case in CASES if case[0] not in UNCHECKED])
def test_one_wrong_character_is_seen_by_the_check(entity: str, value: str) -> None:
    digits = [at for at, character in enumerate(value) if character.isdecimal()]
    for at in digits[-4:]:
        other = str((int(value[at]) + 1) % 10)
        wrong = value[:at] + other + value[at + 1 :]
        assert wrong not in found(entity, wrong)


@pytest.mark.parametrize(
    ("entity", "text"),
    [
        ("CN_BANK_CARD", "6222021234567890129"),
        ("CN_BANK_CARD", "0.6222021234567890128"),
        ("CN_BANK_CARD", "卡号 0000000000000000"),
        ("CN_PASSPORT", "H12345678"),
        ("CN_PASSPORT", "1E12345678"),
        ("CN_PASSPORT", "E12345678.5"),
        ("CN_LICENSE_PLATE", "新version 京东A12345 云abcde 桂AIO123"),
        ("CN_USCC", "91350100M000100Y44"),
        ("CN_USCC", "91990100M000100Y43"),
        ("HK_ID_CARD", "A1234563 f(3) call123456(3)"),
        ("TW_ID_NUMBER", "A323456789 a123456789"),
        ("JP_MY_NUMBER", "123456789018 1234 5678 9018 9999-1234-5678-9018"),
        ("FR_NIR", "1 84 13 76 451 089 46"),
        ("FR_NIR", "1.84127645108946"),
        ("NL_BSN", "BSN 123456783"),
        ("NL_BSN", "bsn 000000000"),
        ("BR_CPF", "111.111.111-11 cpf 00000000000"),
        ("BR_CNPJ", "00.000.000/0000-00 11222333000181"),
    ],
)
def test_what_only_looks_like_one_is_left_alone(entity: str, text: str) -> None:
    assert found(entity, text) == []
    assert found(entity, f"v{text}.1 b") == []


def test_japanese_telephone_numbers_need_no_recognizer_of_their_own() -> None:
    for number in ("090-1234-5678", "03-1234-5678", "+81 90 1234 5678"):
        assert number in found("PHONE_NUMBER", f"連絡先は{number}です")
    assert found("PHONE_NUMBER", "携帯電話：09012345678") == ["09012345678"]


BIRTHS = [
    ("I was born on 5 March 1980 in Rome", "5 March 1980"),
    ("He was born in Stuttgart, Germany on March 5th, 1980.", "March 5th, 1980"),
    ("born 5-Mar-1980", "5-Mar-1980"),
    ("Born the 3rd of May, 1980", "3rd of May, 1980"),
    ("Born: May 1980", "May 1980"),
    ("DOB: 03/05/1980, ok", "03/05/1980"),
    ("D.O.B. 3/5/80", "3/5/80"),
    ('"date_of_birth": "1980-03-05",', "1980-03-05"),
    ("dateOfBirth=19800305", "19800305"),
    ("Date of birth\n1980-03-05", "1980-03-05"),
    ("né le 5 mars 1980", "5 mars 1980"),
    ("née à Lyon le 05/03/80", "05/03/80"),
    ("né(e) le 1er août 1980", "1er août 1980"),
    ("geboren am 5. März 1980 in", "5. März 1980"),
    ("geb. 05.03.1980", "05.03.1980"),
    ("Geburtsdatum: 5. 3. 1980", "5. 3. 1980"),
    ("fecha de nacimiento: 5 de marzo de 1980", "5 de marzo de 1980"),
    ("nacida el 05-03-1980", "05-03-1980"),
    ("出生日期：1980年3月5日", "1980年3月5日"),
    ("我1980年3月5日出生", "1980年3月5日"),
    ("生年月日: 昭和55年3月5日", "昭和55年3月5日"),
    ("1980年3月5日生まれ", "1980年3月5日"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), BIRTHS)
def test_a_date_beside_a_word_for_birth_is_a_date_of_birth(text: str, value: str) -> None:
    assert found("DATE_OF_BIRTH", text) == [value]
    assert found("DATE_OF_BIRTH", f"On {value} it ended") == []


@pytest.mark.parametrize(
    "text",
    [
        "born 99/99/1980",
        "born 1980-13-40",
        "born in 1980, and on 2020-01-01 it was sold",
        "newborn 2020-01-01 of stubborn 2020-01-01",
        "born in version 1.2.3",
        "The release of 2020-01-01",
        "birth weight 3.25 kg",
        "dobro 05.03.1980",
        "born 2020-01-011",
    ],
)
def test_another_date_is_no_date_of_birth(text: str) -> None:
    assert found("DATE_OF_BIRTH", text) == []


@given(st.text(alphabet="born İ1-9.né卡", max_size=200), st.integers(0, 90))
def test_a_value_is_looked_for_behind_every_cue_and_nowhere_else(noise: str, gap: int) -> None:
    shape = re.compile("<[0-9]>")
    named = cue("born", "born", r"[^0-9]{0,20}")
    text = f"{noise}<1> born{'.' * gap}<2>"
    expected = {one.start() for one in shape.finditer(text) if named.is_before(text, one.start())}
    assert {one.start() for one in named.behind(text, shape)} == expected


CUES = ["卡号", "passport ", "hkid ", "nir ", "bsn ", "cpf ", "cnpj ", "born ", "né ", "生", "geb."]


@pytest.mark.parametrize(
    "piece", [*CUES, "1", "1 ", "1-", "1.", "A1", "京A", "/", "(1)", "Mar ", "E"]
)
def test_a_long_text_that_is_made_to_be_slow_is_read_to_its_end(piece: str) -> None:
    """A quadratic step would take minutes here."""
    for entity, values in ALONE.items():
        text = (piece * 60_000)[:60_000]
        assert values[0] in found(entity, f"{text} ; {values[0]}")
    assert (
        found("DATE_OF_BIRTH", f"{(piece * 60_000)[:60_000]}; born 1980-03-05")[-1] == "1980-03-05"
    )
    assert found("NL_BSN", f"{(piece * 60_000)[:60_000]}; bsn 123456782")[-1] == "123456782"
