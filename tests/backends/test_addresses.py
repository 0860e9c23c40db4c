"""Street addresses in the orders of their countries, and sentences that only look like them."""

import json

import pytest

from gateway.backends.recognizers.addresses import StreetAddress


def found(text: str) -> list[str]:
    return [text[start:end] for start, end, _ in StreetAddress().find(text)]


ADDRESSES = [
    "221B Baker Street, London NW1 6XE",
    "350 5th Ave, Apt 4B, New York, NY 10118",
    "1600 Amphitheatre Parkway, Mountain View, CA 94043",
    "123 Main St Springfield IL 62704",
    "456 Oak Dr, Austin, TX 78701-1234",
    "12 West 42nd St., Suite #300",
    "77 Massachusetts Avenue",
    "10-12 Old Court House Lane",
    "55 Water Street NE",
    "100 Queen St W, Toronto, ON M5H 2N2",
    "9 MAIN ROAD",
    "12 rue de la Paix, 75002 Paris",
    "12 bis, avenue des Champs-Élysées",
    "3 place de l'Étoile, 75008 Paris",
    "8 rue du 4 Septembre",
    "5 Boulevard Saint-Michel",
    "Musterstraße 12a, 10115 Berlin",
    "Karl-Marx-Allee 33",
    "Berliner Straße 5",
    "Potsdamer Platz 1, 10785 Berlin",
    "Hauptstr. 7, D-80331 München",
    "Kerkstraat 12, 1017 GP Amsterdam",
    "Calle Mayor, 12, 28013 Madrid",
    "C/ Gran Vía 28, 3º B",
    "Avenida de la Constitución, nº 5",
    "Rua Augusta, 1500",
    "Via Roma, 12, 00184 Roma",
    "北京市海淀区中关村大街27号3号楼2单元501室",
    "上海市浦东新区张江路100弄5号302室",
    "广东省深圳市南山区科技南路12-3号",
    "台北市信義區信義路五段7號89樓",
    "東京都港区芝公園4丁目2番8号",
    "大阪府大阪市北区梅田3-1-3",
    "神奈川県横浜市西区みなとみらい2-2-1",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_found_whatever_it_touches(address: str) -> None:
    around = [
        ("", ""),
        ("Ship to ", " please"),
        ("(", ")"),
        ('"', '"'),
        ("at: ", "."),
        ("\n", "\n"),
    ]
    around += [("", ", thanks"), ("地址：", "，谢谢"), ("住所は", "です。")]
    for before, after in around:
        assert address in found(f"{before}{address}{after}"), (before, after)


@pytest.mark.parametrize("address", [one for one in ADDRESSES if one.isascii()])
def test_an_address_is_found_in_json_inside_a_string(address: str) -> None:
    assert address in found(json.dumps({"note": f"\n{address}\n"}))


@pytest.mark.parametrize("line_end", ["\n", "\r\n", ",\n", "\\n"])
def test_an_address_may_go_over_several_lines(line_end: str) -> None:
    address = line_end.join(["123 Main St", "Apt 4", "Springfield, IL 62704"])
    assert found(f"Jane Doe\n{address}\nUSA") == [address]


def test_a_word_before_it_makes_an_address_of_what_may_be_something_else() -> None:
    assert found("I live at 123 main street, thanks") == ["123 main street"]
    assert found("Address: 10 Rose Close") == ["10 Rose Close"]
    assert found("run 123 main street and 10 Rose Close") == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("我住在中山路100号，在家", "中山路100号"),
        ("请寄到建国门外大街1号国贸大厦A座", "建国门外大街1号国贸大厦A座"),
        ("住所は渋谷区神南1丁目2番3号です", "渋谷区神南1丁目2番3号"),
    ],
)
def test_an_address_without_a_province_begins_behind_what_leads_to_it(
    text: str, address: str
) -> None:
    assert found(text) == [address]


@pytest.mark.parametrize(
    "text",
    [
        "In 2008 Wall Street fell, and since 1999 Fleet Street too",
        "5 items in the street, 3 Different Ways, 10 Places",
        "404 Not Found; 500 Internal Server Error",
        "3.12 Python Street 1.2 Main Road",
        "Spring 5, String 3, Scoring 1, Buffer 2, auf Platz 3, Der Weg 7",
        "Via Python 3, Plaza Hotel 5, Ronda Rousey 2",
        "x = foo(12, rue, avenue) # 3 rue",
        "a place for 12 place holders, 4 cours",
        "去5号线路2号口，我知道5号，这路10号，网路3号，第3号文件",
        "2024-01-02 3-1-3 第1番 区1-2-3",
        "12 O'Clock News; 4 Drive; 7 St Andrews",
    ],
)
def test_what_only_looks_like_an_address_is_left_alone(text: str) -> None:
    assert found(text) == []


PIECES = [
    "1 ",
    "12 A ",
    "1 A A A A A A ",
    "A",
    "Ab ",
    "1 rue ",
    "rue de ",
    "C/",
    "Calle De ",
    "路1号",
]
PIECES += [
    "1-",
    "路",
    "区",
    "都",
    "一",
    "1丁目",
    "live ",
    "12 Main St, Town, ",
    ", ",
    "\n",
    "Straße ",
]


@pytest.mark.parametrize("piece", PIECES)
def test_a_long_text_that_is_made_to_be_slow_is_read_to_its_end(piece: str) -> None:
    """A quadratic step would take minutes here."""
    text = (piece * 60_000)[:60_000]
    for address in ("77 Massachusetts Avenue", "Musterstraße 12a", "北京市海淀区中关村大街27号"):
        assert address in found(f"{text}; {address}")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("lives at 12 Main Street, London.", "12 Main Street, London"),
        ("at 12 Main St., New York and", "12 Main St., New York"),
        ("at 12 Main Street, Berlin Please call", "12 Main Street, Berlin"),
        ("at 12 Main Street, Please call", "12 Main Street"),
    ],
)
def test_a_listed_town_behind_a_comma_is_part_of_the_address(text: str, address: str) -> None:
    assert {text[start:end] for start, end, _ in StreetAddress().find(text)} == {address}
