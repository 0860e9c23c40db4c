"""Passwords and secrets that no prefix gives away: found by where they stand, and by how random
they are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.recognizers.credentials import Password, Secret
from gateway.backends.recognizers.network import Email
from gateway.backends.recognizers.secrets import ApiKey, long_runs

HEX = "9f86d081884c7d659a2feaa0c55ad015"
BASE64 = "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA=="

PASSWORDS = [
    ("postgres://bob:s3cr3tPa55@db.local/x", "s3cr3tPa55"),
    ("DATABASE_URL=redis://:hunter2xyz@h:6379/0", "hunter2xyz"),
    ("mongodb+srv://ops:pW9%21k@c0.example.net/?w=1", "pW9%21k"),
    ("Server=a;User Id=sa;Password=Zx9!kk2;Database=b", "Zx9!kk2"),
    ('password = "Tr0ub4dor&3"', "Tr0ub4dor&3"),
    ('{"url": "x\\nhttps://bob:s3cr3tPa55@h/"}', "s3cr3tPa55"),
    ("pwd=Tr0ub4dor3", "Tr0ub4dor3"),
    ("USER=x\npwd=Tr0ub4dor3", "Tr0ub4dor3"),
    ("db:\n  pass: Tr0ub4dor3", "Tr0ub4dor3"),
    ("mysql -u root pwd=Tr0ub4dor3", "Tr0ub4dor3"),
    ("USER=x\\npass=Tr0ub4dor3", "Tr0ub4dor3"),
    ("set `pass=Tr0ub4dor3` there", "Tr0ub4dor3"),
    ('The password is Tr0ub4dor"&3\\x', 'Tr0ub4dor"&3\\x'),
    ("Passwort: geheim123!", "geheim123!"),
    ("pw=abc;def#1", "abc;def#1"),
    ("the password is: Tr0ub4dor3.", "Tr0ub4dor3"),
    ("passwd Tr0ub4dor3", "Tr0ub4dor3"),
    ("(password: abc123xy).", "abc123xy"),
    ('{"t": "password is Tr0ub4dor\\"&3"}', 'Tr0ub4dor\\"&3'),
    ("curl -d 'user=x&password=abc123z&y=1'", "abc123z"),
    ("it's true: the password is abc12'd4, yes", "abc12'd4"),
    ("<b>password: abc123</b>", "abc123"),
    ("f(password=hunter22,user=x)", "hunter22"),
    ("password: \u201cTr0ub4dor3\u201d", "Tr0ub4dor3"),
    ("Passwort: \u201eTr0ub4dor3\u201c", "Tr0ub4dor3"),
    ("mot de passe : \u00ab Tr0ub4dor3 \u00bb", "Tr0ub4dor3"),
    ('password = "hunter22 is old"', "hunter22 is old"),
    ("**Password:** Tr0ub4dor3", "Tr0ub4dor3"),
    ("**Password**: Tr0ub4dor3", "Tr0ub4dor3"),
    ("| user | bob | password | Tr0ub4dor3 |", "Tr0ub4dor3"),
    ("| **Password** | Tr0ub4dor3 |", "Tr0ub4dor3"),
    ('the password "Tr0ub4dor3"', "Tr0ub4dor3"),
    ("password: ab[c]9x!z", "ab[c]9x!z"),
    ("password: ab|c9x!z", "ab|c9x!z"),
    ("password: ab<c9x!z", "ab<c9x!z"),
    ("password: ab#12$xyz", "ab#12$xyz"),
    ("password=abc.def1!", "abc.def1!"),
    ("password=Gr8pass99", "Gr8pass99"),
    ("password: Summerpass2024!", "Summerpass2024!"),
    ("Passwort ist Tr0ub4dor3", "Tr0ub4dor3"),
    ("Das Passwort lautet: Tr0ub4dor3", "Tr0ub4dor3"),
    ("le mot de passe est Tr0ub4dor3", "Tr0ub4dor3"),
    ("la contraseña es Tr0ub4dor3", "Tr0ub4dor3"),
    ("wachtwoord: Tr0ub4dor3", "Tr0ub4dor3"),
    ("the password will be Tr0ub4dor3", "Tr0ub4dor3"),
    ("set the password to Tr0ub4dor3", "Tr0ub4dor3"),
    ("The password for the staging database is Tr0ub4dor3.", "Tr0ub4dor3"),
]
NO_PASSWORDS = [
    "postgres://user:password@localhost/db",
    "postgres://user:${PASSWORD}@localhost/db",
    "password = get_password()",
    "password = settings.password",
    "password: str | None = None",
    "https://example.com:8080/a@b",
    "The password is wrong!",
    "the password is wrong,please",
    "connect(password=password,username=username)",
    "pwd=$(pwd)",
    "pass=e;f(g1)",
    "passwd alice",
    "password SHA256",
    "the password OAuth2Client",
    "compass=Tr0ub4dor3",
    "password: \u201cyour password\u201d",
    'password = "must have 8 characters"',
    'password = "the same password as user1"',
    "| user | password | role |\n|---|---|---|",
    "| password | varchar(255) | no |",
    "password: args[0]",
    "password: dict[str, x1]",
    "password: bytes|str1",
    "password=f(abc1)",
    "password = user.name1",
    "password=password1234",
    "password: <b>bold1</b>",
    "password: $PASSWORD_1",
    "Passwort ist falsch",
    "set the password to nothing",
    "the password to log in to server01 again",
    "the password for the database is wrong",
    "Set the password to user.name1 there",
]
SECRETS = [
    (f'api_key = "{HEX}"', HEX),
    (f"Authorization: Bearer {HEX}", HEX),
    (f"export AWS_TOKEN={BASE64}", BASE64),
]
NO_SECRETS = [
    "token = self.token",
    '"secret": "${SECRET}"',
    "api_key = os.environ['API_KEY']",
    'token = "the next word of the text"',
    f"the digest of the file is {HEX}",
]
KEYS = ["dop_v1_" + 2 * HEX, "hvs." + 3 * "aB3dE5fG7h", "glsa_" + HEX + "_" + HEX[:8]]


@pytest.mark.parametrize(("text", "value"), PASSWORDS)
def test_a_password_is_found_and_nothing_around_it(text: str, value: str) -> None:
    assert {text[start:end] for start, end, _ in Password().find(text)} == {value}


@pytest.mark.parametrize("text", NO_PASSWORDS)
def test_examples_variables_and_code_hold_no_password(text: str) -> None:
    assert list(Password().find(text)) == []


@pytest.mark.parametrize(("text", "value"), SECRETS)
def test_a_random_value_behind_a_word_for_it_is_a_secret(text: str, value: str) -> None:
    assert {text[start:end] for start, end, _ in Secret().find(text)} == {value}


@pytest.mark.parametrize("text", NO_SECRETS)
def test_what_is_not_random_or_has_no_such_word_is_none(text: str) -> None:
    assert list(Secret().find(text)) == []


@pytest.mark.parametrize("key", KEYS)
def test_keys_of_more_providers_are_known_by_their_prefix_and_form(key: str) -> None:
    assert [(start, end) for start, end, _ in ApiKey().find(f"钥匙{key}。")] == [(2, 2 + len(key))]


def test_the_password_of_a_url_is_no_address_though_it_ends_in_one() -> None:
    text = "postgresql://app:EzUk!597giDR@db.example.com, https://x.example?to=ann@example.com"
    for one, value in ((Password(), "EzUk!597giDR"), (Email(), "ann@example.com")):
        assert [text[start:end] for start, end, _ in one.find(text)] == [value]


@pytest.mark.parametrize(
    "before",
    [
        '{"url":"https://x.example:8080","mail":"',
        "https://x.example:8080,",
        "https://x.example:8443;",
        "http://localhost:3000?email=",
        "http://localhost:3000#",
        "http://localhost:3000|",
        "(http://localhost:3000)",
    ],
)
def test_an_address_behind_a_url_with_a_port_is_one(before: str) -> None:
    text = f"{before}ann@example.com"
    assert [text[start:end] for start, end, _ in Email().find(text)] == ["ann@example.com"]


PIECES = [
    "a",
    "Z9",
    "=",
    "_.:/+~$%-",
    "x" * 18,
    "x" * 19,
    " ",
    "\n",
    "é",
    "卡",
    "\ud800",
    "😀",
    "?",
    '"',
    "\0",
]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_long_runs_are_those_that_a_pattern_finds(text: str) -> None:
    runs = re.finditer(r"[0-9A-Za-z_.:/+=~$%-]{19,}", text)
    assert list(long_runs(text)) == [run.span() for run in runs]
