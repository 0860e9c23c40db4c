"""What each recognizer finds, what it leaves alone, and that no text can make it slow."""

import base64
import inspect
import json
import re
import sys
from collections.abc import Iterator
from re import _constants as op
from re import _parser
from typing import Any

import pytest
from presidio_analyzer.predefined_recognizers.generic.iban_patterns import regex_per_country

from gateway.backends.recognizers import numbers
from gateway.backends.recognizers.built_in import recognizers

BY_ENTITY = {one.ENTITY: one for one in recognizers()}


def found(entity: str, text: str) -> list[str]:
    results = BY_ENTITY[entity].analyze(text, [entity])
    return [text[one.start : one.end] for one in sorted(results, key=lambda one: one.start)]


def segment(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


JWT = f"{segment({'alg': 'HS256', 'typ': 'JWT'})}.{segment({'sub': '1'})}.dozjgNryP4J3jVmNHl0w5N"
PEM = "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----"
BASE64 = "MIIEpAIBAAKCAQEA0Z3VS5JJcds3xfnygWyF8PbnGy0AHB7MaftkLKLdBWnRg1s"

# One value each, by entity. Each is found alone, and touching whatever people put beside it.
VALUES = {
    "EMAIL_ADDRESS": [
        "alice@example.com",
        "bob.smith+news@mail.example.co.uk",
        "x_1%y@sub-domain.example.museum",
        "müller@beispiel.de",
        "O'Brien@example.ie",
        "carol@intranet.corp",
        "bob@host.docker",
        "john#doe@example.com",
        "x!y$z*q^r@example.com",
        "dave%40example.org",
    ],
    "CREDIT_CARD": [
        "4111111111111111",
        "4111 1111 1111 1111",
        "5555-5555-5555-4444",
        "4111_1111_1111_1111",
        "4111%201111%201111%201111",
        "3782_822463_10005",
        "378282246310005",
        "3782 822463 10005",
        "30569309025904",
        "6222021234567890128",
        "3530111333300000",
        "2221000000000009",
    ],
    "IBAN_CODE": [
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "gb82west12345698765432",
        "NO93 8601 1117 947",
        "MT84MALT011000012345MTLCAST001S",
    ],
    "IP_ADDRESS": ["203.0.113.7", "10.0.0.12", "2001:db8::8a2e:370:7334", "64:ff9b::c000:221",
                   "1:2:3:4:5:6:7:8", "fe80::1ff:fe23:4567"],
    "US_SSN": ["536-90-4399", "536 90 4399"],
    "CN_ID_CARD": ["11010519491231002X", "440524188001010014", "110105 19491231 002x"],
    "CN_MOBILE": [
        "13800138000",
        "138 0013 8000",
        "199-1234-5678",
        "+8613800138000",
        "+86 138 0013 8000",
        "0086-138-0013-8000",
        "8613800138000",
    ],
    "PHONE_NUMBER": [
        "+14155552671",
        "+1 (415) 555-2671",
        "+49 (0) 30 1234567",
        "+44 20 7946 0958",
        "0033 1 42 68 53 00",
        "415-555-2671",
        "(415) 555-2671",
        "415.555.2671",
        "020 7946 0958",
        "030/12345678",
        "06 12 34 56 78",
        "0612345678",
        "010-12345678",
        "(010) 6234 5678",
        "(+49) 30 1234567",
    ],
    "API_KEY": [
        "sk-proj-" + "aB3_" * 10,
        "sk-ant-api03-" + "aB3-" * 10 + "x",
        "sk-" + "aB3d" * 12,
        "sk-" + "a1b2c3d4e5f6" + "-" + "A_b" * 14 + "z",
        "ghp_" + "aB3d" * 9,
        "github_pat_" + "11AB_cd" * 8,
        "AKIA" + "IOSFODNN7EXAMPLE",
        "AIza" + "SyA-1" * 7,
        "xoxb-" + "123456789012-abcdef",
        "sk_live_" + "4eC39HqLyjWDarjt",
        "hf_" + "aBcD" * 9,
        "glpat-" + "aB3d" * 5,
    ],
    "JWT": [JWT, f"{segment({'alg': 'none'})}.{segment({})}."],
    "PRIVATE_KEY": [
        PEM.format(BASE64),
        PEM.format(f"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB\n\n{BASE64}"),
        PEM.replace("\n", "\\n").format(BASE64),
        PEM.replace("RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK").format(f"\n{BASE64}"),
    ],
}  # fmt: skip
CASES = [(entity, value) for entity, values in VALUES.items() for value in values]


@pytest.mark.parametrize(("entity", "value"), CASES)
def test_a_value_is_found_whatever_it_touches(entity: str, value: str) -> None:
    around = [("", ""), ("x ", " y"), ("我的号码是", "，请查收"), ("(", ")"), ('"', '",')]
    around += [("これは", "です"), ("\n", "\n"), ("رقم", "هو"), (": ", "."), ("<", ">")]
    for before, after in around:
        text = f"{before}{value}{after}"
        hits = found(entity, text)
        assert value.strip(".") in [hit.strip(".") for hit in hits], (before, after, hits)


@pytest.mark.parametrize(("entity", "value"), [case for case in CASES if case[1].isascii()])
def test_a_value_is_found_behind_a_json_escape(entity: str, value: str) -> None:
    """Tool results are JSON in a string: `\\n` and `\\u5361` end in what looks like a letter."""
    for before in ("\n", "\t", "卡"):
        text = json.dumps({"note": f"{before}{value} "})
        assert json.dumps(value)[1:-1] in found(entity, text)


@pytest.mark.parametrize(("entity", "value"), CASES)
def test_a_value_inside_a_longer_word_is_none(entity: str, value: str) -> None:
    if entity not in ("EMAIL_ADDRESS", "PRIVATE_KEY", "PHONE_NUMBER", "CN_MOBILE", "IP_ADDRESS"):
        assert value not in found(entity, f"x{value}")
        assert value not in found(entity, f"{value}x") or value[-1] in ".-_="


NOTHING = {
    "EMAIL_ADDRESS": ["a@b", "pkg@1.2.3", "x@y.notasuffix", "@app.route", "@x.com", "a @ b.de"],
    "CREDIT_CARD": [
        "4111111111111112",
        "0.4111111111111111",
        "4111111111111111.5",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "1111111111111117",
        "2222222222222222",
        "1700000000000000",
        "41111111111111114111111111111111",
    ],
    "IBAN_CODE": ["DE89370400440532013001", "XX89370400440532013000", "DE8937040044053201300"],
    "IP_ADDRESS": [
        "127.0.0.1",
        "0.0.0.0",
        "255.255.255.0",
        "::1",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "std::vector",
        "ab::cd",
        "1::2",
        "a[1:2::3]",
        "1:2:3:4:5:6:7",
        "bad::cafe",
        "12:30:45",
        "00:1a:2b:3c:4d:5e",
        "aa:bb:cc:dd:ee:ff:00:11",
    ],
    "US_SSN": ["000-12-3456", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000",
               "123-45 6789", "536904399"],
    "CN_ID_CARD": ["110105194912310021", "11010519491331002X", "990105194912310029"],
    "CN_MOBILE": ["12800138000", "1380013800", "138001380001", "0.13800138000", "1700000000000"],
    "PHONE_NUMBER": [
        "4155552671",
        "12345678",
        "2024-01-01",
        "01.02.2024",
        "01/02/2024",
        "3.14159265358979",
        "0.123456789",
        "1e-05 14875649",
        "192.168.1.20",
        "612 345 678",
        "x+12345678",
        "000-000-0000",
        "+12",
        "100 200 3000",
    ],
    "API_KEY": ["sk-circle-fade-dot-in-the-middle", "sk-short1", "AKIA123", "task-" + "a1" * 20,
                "sk-" + "abcdefgh" * 5, "ghp_short", "xox-123"],
    "JWT": ["eyJub3QganNvbg.aaaa.bbbb", "eyJhbGciOiJub25lIn0", f"{segment([1])}.aa.bb", "eyJ.a.b"],
    "PRIVATE_KEY": [
        "-----BEGIN PUBLIC KEY-----\n" + BASE64,
        'if "-----BEGIN PRIVATE KEY-----" in text:',
        "-----BEGIN CERTIFICATE-----\n" + BASE64 + "\n-----END CERTIFICATE-----",
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("entity", "text"), [(entity, text) for entity, texts in NOTHING.items() for text in texts]
)
def test_what_only_looks_like_one_is_left_alone(entity: str, text: str) -> None:
    assert found(entity, text) == []
    assert found(entity, f"a {text} b") == []


def test_a_sentence_goes_on_behind_an_address() -> None:
    assert found("EMAIL_ADDRESS", "To bob@example.com.Then 'carol@example.org-x'") == [
        "bob@example.com",
        "carol@example.org",
    ]
    assert found("EMAIL_ADDRESS", "mailto:a@x.de,b@x.de;c@x.de email=d@x.de&e=1") == [
        "a@x.de", "b@x.de", "c@x.de", "d@x.de",
    ]  # fmt: skip


def test_the_numbers_before_a_number_do_not_hide_it() -> None:
    for before in ("2671", "4000", "5100 1234", "12"):
        assert "4111 1111 1111 1111" in found("CREDIT_CARD", f"{before} 4111 1111 1111 1111")
    both = BY_ENTITY["PHONE_NUMBER"].analyze("01 42 68 53 00 06 12 34 56 78", [])
    assert {at for one in both for at in range(one.start, one.end)} == set(range(29))


def test_the_numbers_behind_a_number_are_not_part_of_it() -> None:
    assert found("CREDIT_CARD", "4111 1111 1111 1111 123, 4012888888881881,5105105105105100") == [
        "4111 1111 1111 1111", "4012888888881881", "5105105105105100",
    ]  # fmt: skip
    assert found("PHONE_NUMBER", "+44 20 7946 0958 2024") == ["+44 20 7946 0958"]
    assert found("PHONE_NUMBER", "020 7946 0958 2024") == ["020 7946 0958"]
    assert found("PHONE_NUMBER", "tel 555 2671 41111111111111111") == ["555 2671"]
    assert found("IBAN_CODE", "DE89 3704 0044 0532 0130 00 is mine") == [
        "DE89 3704 0044 0532 0130 00"
    ]
    assert found("IP_ADDRESS", "203.0.113.7:8080, [2001:db8::1]:443, 2001:db8::2: down") == [
        "203.0.113.7", "2001:db8::1", "2001:db8::2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "tel: {}",
        "Phone number is {}",
        "手机号码是{}",
        "电话：{}",
        "fax {}",
        "Tél. {}",
        "Handy {}",
        "phone_number: {}",
        '"phone_no": "{}"',
        "mobile-number={}",
        '"phoneNumber":"{}"',
    ],
)
@pytest.mark.parametrize("number", ["4155552671", "01512345678", "612 345 678"])
def test_a_word_that_says_so_makes_digits_a_telephone_number(text: str, number: str) -> None:
    assert found("PHONE_NUMBER", text.format(number)) == [number]
    assert found("PHONE_NUMBER", f"hotel {number}") in ([], ["01512345678"])


# A word in front of a value, in JSON inside of a string, behind what looks like one more letter.
CUED = [
    ("PHONE_NUMBER", "tel: ", "5551234567"),
    ("PHONE_NUMBER", "phone ", "5551234567"),
    ("PHONE_NUMBER", "mobile: ", "5551234567"),
    ("US_SSN", "ssn ", "536904399"),
    ("PERSON", "my name is ", "Ada"),
    ("PERSON", "Herr ", "Ogbuokiri"),
    ("PERSON", "contact: ", "Ada"),
    ("LOCATION", "from ", "Aalen"),
    ("DATE_OF_BIRTH", "born ", "1985-03-12"),
    ("DATE_OF_BIRTH", "dob: ", "12.03.1985"),
    ("DATE_OF_BIRTH", "birthdate=", "1985-03-12T00:00:00Z"),
    ("DATE_OF_BIRTH", "birthdate: ", "1985-03-12T00:00:00.000+01:00"),
    ("BR_CPF", "cpf ", "52998224725"),
    ("NL_BSN", "bsn ", "111222333"),
    ("PASSWORD", "pass=", "Tr0ub4dor3"),
]


@pytest.mark.parametrize("before", ["", "x\n", "x\\n", "\\t", "\\u00e9", "\\\\n"])
@pytest.mark.parametrize(("entity", "cue", "value"), CUED)
def test_a_word_before_a_value_is_read_behind_a_json_escape(
    entity: str, cue: str, value: str, before: str
) -> None:
    assert found(entity, f"{before}{cue}{value}") == [value]
    assert "birth" in cue or found(entity, f"z{cue}{value}") == []


def test_a_bracket_before_a_number_is_part_of_it_where_it_is_closed_inside() -> None:
    assert found("PHONE_NUMBER", "((030) 1234567)") == ["(030) 1234567"]
    assert found("PHONE_NUMBER", "(030 1234567)") == ["030 1234567"]
    assert found("PHONE_NUMBER", "(+49 (0) 30 1234567)") == ["+49 (0) 30 1234567"]


def test_a_word_that_says_so_makes_digits_a_social_security_number() -> None:
    for text in (
        "SSN: 536904399",
        "my social security number is 536904399",
        '"social_security_number": "536904399"',
        "social-security-no: 536904399",
    ):
        assert found("US_SSN", text) == ["536904399"]


def test_a_fictional_number_is_found_by_its_form_with_less_certainty() -> None:
    (fictional,) = BY_ENTITY["PHONE_NUMBER"].analyze("call (555) 123-4567", [])
    (real,) = BY_ENTITY["PHONE_NUMBER"].analyze("call (415) 555-2671", [])
    assert fictional.score < real.score


def test_an_aws_secret_is_found_by_its_name() -> None:
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    for text in (f"aws_secret_access_key = {secret}", f'"SecretAccessKey": "{secret}"'):
        assert found("API_KEY", text) == [secret]


@pytest.mark.parametrize("line_end", ["\n", "\\n", "\r\n", "\\r\\n"])
def test_a_private_key_without_its_end_is_found_as_far_as_it_goes(line_end: str) -> None:
    lines = (
        ["-----BEGIN PRIVATE KEY-----", BASE64, BASE64],
        ["-----BEGIN RSA PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED", "", BASE64, "abc=="],
    )
    for key in map(line_end.join, lines):
        assert found("PRIVATE_KEY", f"key: {key} is what I have") == [key]


def test_the_lengths_of_bank_accounts_are_those_that_presidio_knows() -> None:
    lengths = {entry[:2]: int(entry[2:]) for entry in numbers.Iban._LENGTHS.split()}
    assert set(regex_per_country) <= set(lengths)
    for country, pattern in regex_per_country.items():
        shortest, longest = _parser.parse(pattern).getwidth()
        assert shortest <= lengths[country] <= longest


@pytest.mark.parametrize("value", ["4111111111111111", "6222021234567890128", "30569309025904"])
def test_a_wrong_check_digit_is_no_card(value: str) -> None:
    assert numbers.luhn(value)
    assert not any(numbers.luhn(value[:-1] + digit) for digit in "0123456789" if digit != value[-1])


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Every compiled pattern of the recognizers: of the modules, the classes and what was built."""

    def inside(holder: Any, where: str) -> Iterator[tuple[str, re.Pattern[str]]]:
        if isinstance(holder, re.Pattern):
            yield where, holder
        elif isinstance(holder, list | tuple):
            for item in holder:
                yield from inside(item, where)

    room = numbers.__name__.rpartition(".")[0]
    for module in [sys.modules[name] for name in sorted(sys.modules) if name.startswith(room)]:
        for name, value in vars(module).items():
            yield from inside(value, f"{module.__name__}.{name}")
            if inspect.isclass(value):
                for field, below in vars(value).items():
                    yield from inside(below, f"{name}.{field}")
    for entity, one in BY_ENTITY.items():
        for field, value in vars(one).items():
            yield from inside(value, f"{entity}.{field}")


READ_40_CHARACTERS = {"gateway.backends.recognizers.phones._CUE"}


def most_retries(tree: Any) -> int:
    """How many ways there are at most to match by the repeats that can be tried again."""
    most = 1
    for operator, argument in tree:
        if operator in (op.MAX_REPEAT, op.MIN_REPEAT):
            low, high, below = argument
            assert high != op.MAXREPEAT, "an unbounded repeat must be possessive"
            ways = most_retries(below)
            most *= (high - low + 1) * (ways if low == high else ways**2)
        elif operator is op.POSSESSIVE_REPEAT:
            assert len(argument[2]) == 1, "a possessive group: wrong before Python 3.11.5"
            assert argument[2][0][0] in (op.IN, op.LITERAL, op.NOT_LITERAL, op.ANY)
        elif operator is op.SUBPATTERN:
            most *= most_retries(argument[-1])
        elif operator in (op.ASSERT, op.ASSERT_NOT):
            most *= most_retries(argument[1])
        elif operator is op.BRANCH:
            most *= sum(most_retries(branch) for branch in argument[1])
    return most


def test_no_pattern_tries_a_character_more_than_a_fixed_number_of_times() -> None:
    checked = list(patterns())
    assert len(checked) > 30
    for where, pattern in checked:
        retries = most_retries(_parser.parse(pattern.pattern, pattern.flags))
        assert retries <= 10_000 or where in READ_40_CHARACTERS, where


@pytest.mark.parametrize(
    "piece",
    ["a.", "1", "1 ", "1-", "@", "a@a.", "a@", "eyJ-", "eyJ.", "-----BEGIN PRIVATE KEY-----", "\n",
     "\\n", "sk-", "sk-proj-", "AD24 ", ":", "abc:", "1.", "+1 ", "00 ", "tel ", "ssn ", "%40"],
)  # fmt: skip
def test_a_long_text_that_is_made_to_be_slow_is_read_to_its_end(piece: str) -> None:
    """A quadratic step would take minutes here."""
    for entity in VALUES:
        text = (piece * 60_000)[:60_000] + " "
        assert VALUES[entity][0] in found(entity, f"{text}; {VALUES[entity][0]}")


def test_no_recognizer_asks_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a recognizer asked the network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr("socket.socket." + name, refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    for one in recognizers():
        for value in VALUES.get(one.ENTITY, ()):
            assert one.analyze(value, [one.ENTITY])
