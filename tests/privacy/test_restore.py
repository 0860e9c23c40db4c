"""Values come back as they were, however a stream is cut, and nothing else is touched."""

import asyncio
import json
import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.privacy.mint import Vault
from gateway.privacy.profile import REVERSIBLE, Action, Profile, Rule
from gateway.privacy.redact import redact
from gateway.privacy.restore import Restorer
from gateway.privacy.spans import Span

MAIL, CARD, PERSON = "EMAIL_ADDRESS_ABCDEFGH", "CREDIT_CARD_22223333", "PERSON_LOCATION"
TRICKY = 'say "hi"\\\n\tü😀'
VALUES = {MAIL: "ann@x.de", CARD: TRICKY, PERSON: "Ann", "LOCATION_AAAAAAAA": "Rome"}
VAULT = Vault(VALUES)

# Texts made of placeholders, of what looks like them, and of what may stand beside them.
PIECES = st.sampled_from(
    [
        *VALUES,
        MAIL.lower(),
        MAIL.replace("_", r"\_"),
        "Email Address abcdefgh",
        "credit-card-22223333",
        "EMAIL_ADDRESS_",
        "EMAIL_ADDRESS_ABCDEFG",
        "EMAIL_ADDRESS_ABCDEFGHI",
        "EMAIL_ADDRESS_ZZZZZZZZ",
        "EMAIL_ADD",
        "EMAIL\\",
        "PERSON ",
        "LOCATION ",
        "AAAAAAAA",
        "emaıl",
        *" _-\\x1卡,\n",
        r"\n",
        r"\u5361",
        '{"',
        r"{\"",
        r"\"",
        "\\\\_",
        "e",
        "P",
        "",
    ]
)
TEXTS = st.lists(PIECES, max_size=8).map("".join)


def restored(text: str, vault: Vault = VAULT, is_json: bool = False) -> str:
    restorer = Restorer(vault)
    return restorer.feed("lane", text, is_json) + restorer.flush("lane")


def in_pieces(pieces: Sequence[str], vault: Vault = VAULT, is_json: bool = False) -> str:
    restorer = Restorer(vault)
    told = [restorer.feed("lane", piece, is_json) for piece in pieces]
    return "".join(told) + restorer.flush("lane")


def test_a_placeholder_comes_back_as_its_value() -> None:
    assert restored(f"Dear {MAIL}, hello") == "Dear ann@x.de, hello"


@pytest.mark.parametrize(
    "written",
    [
        "email_address_abcdefgh",
        "Email_Address_ABCDEFGH",
        r"EMAIL\_ADDRESS\_ABCDEFGH",
        "EMAIL ADDRESS ABCDEFGH",
        "EMAIL-ADDRESS-ABCDEFGH",
        r"email\_address abcdefgh",
    ],
)
def test_a_model_may_change_the_case_and_the_gaps(written: str) -> None:
    assert restored(f"({written})") == "(ann@x.de)"


@pytest.mark.parametrize(
    "look_alike",
    [
        "EMAIL_ADDRESS_ZZZZZZZZ",
        "EMAIL_ADDRESS_ABCDEFGHI",
        "EMAIL_ADDRESS_ABCDEFG",
        "XEMAIL_ADDRESS_ABCDEFGH",
        "EMAIL_ADDRESS__ABCDEFGH",
        "EMAIL_ADDRESS_ABCD EFGH",
        "PHONE_NUMBER_ABCDEFGH",
        "ABCDEFGH",
        "ＥＭＡＩＬ_ADDRESS_ABCDEFGH",
    ],
)
def test_what_the_vault_does_not_hold_stays(look_alike: str) -> None:
    assert restored(f"see {look_alike}.") == f"see {look_alike}."


def test_one_placeholder_is_not_found_inside_another() -> None:
    vault = Vault({"PERSON_AAAAAAAA": "Bob", "A_PERSON_AAAAAAAA": "Eve"})
    assert restored("PERSON_AAAAAAAA0 PERSON_AAAAAAAA A_PERSON_AAAAAAAA", vault) == (
        "PERSON_AAAAAAAA0 Bob Eve"
    )


def test_a_look_alike_does_not_swallow_the_placeholder_that_it_overlaps() -> None:
    vault = Vault({"PERSON_AAAAAAAA": "Bob", "LOCATION_AAAAAAAA": "Rome"})
    assert restored("PERSON LOCATION_AAAAAAAA.", vault) == "PERSON Rome."


def test_a_kind_whose_name_begins_like_a_placeholder_of_another_is_found() -> None:
    vault = Vault({"PERSON_ABCDEFGH": "Ada", "PERSON_CUSTOMER_BCDEFGHA": "C-123"})
    text = "see PERSON_CUSTOMER_BCDEFGHA, person customer bcdefgha, PERSON_ABCDEFGH. "
    assert restored(text, vault) == in_pieces(list(text), vault) == "see C-123, C-123, Ada. "
    both = Vault({"PERSON_CUSTOMER": "Ada", "PERSON_CUSTOMER_BCDEFGHA": "C-123"})
    text = "PERSON_CUSTOMER_BCDEFGHA PERSON_CUSTOMER PERSON_CUSTOMER_ZZZZZZZZ"
    assert restored(text, both) == in_pieces(list(text), both) == "C-123 Ada Ada_ZZZZZZZZ"


def test_what_is_restored_is_not_held_back_as_the_begin_of_another() -> None:
    restorer = Restorer(Vault({"PERSON_LOCATION": "Bob", "LOCATION_AAAAAAAA": "Rome"}))
    assert restorer.feed("lane", "PERSON_LOCATION ") == "Bob "
    assert restorer.feed("lane", "AAAAAAAA") == "AAAAAAAA"


def test_chinese_and_markdown_may_touch_a_placeholder() -> None:
    assert restored(f"卡{MAIL}号 _{MAIL}_ **{MAIL}**") == "卡ann@x.de号 _ann@x.de_ **ann@x.de**"


def test_a_restored_value_is_not_looked_at_again() -> None:
    vault = Vault({"A_AAAAAAAA": "B_BBBBBBBB", "B_BBBBBBBB": "A_AAAAAAAA"})
    assert restored("A_AAAAAAAA B_BBBBBBBB", vault) == "B_BBBBBBBB A_AAAAAAAA"


def test_an_empty_vault_passes_everything_through_at_once() -> None:
    restorer = Restorer(Vault())
    assert restorer.feed("lane", "EMAIL_ADD") == "EMAIL_ADD"
    assert restorer.held_lanes() == []


def test_only_what_can_still_become_a_placeholder_is_held_back() -> None:
    restorer = Restorer(VAULT)
    assert restorer.feed("lane", "I wrote to EMAIL_ADD") == "I wrote to "
    assert restorer.feed("lane", "ING machines") == "EMAIL_ADDING machines"
    assert restorer.feed("lane", " EMAIL_ADDRESS_Q") == " EMAIL_ADDRESS_Q"
    assert restorer.feed("lane", " emaı") == " emaı", "only ASCII letters change their case"
    assert restorer.feed("lane", f" {MAIL}") == " ", "a letter more and it is another word"
    assert restorer.feed("lane", ",") == "ann@x.de,"


def test_the_end_of_a_lane_decides_what_it_held_back() -> None:
    restorer = Restorer(VAULT)
    assert restorer.feed("lane", MAIL) == ""
    assert restorer.held_lanes() == ["lane"]
    assert restorer.flush("lane") == "ann@x.de"
    assert (restorer.flush("lane"), restorer.held_lanes()) == ("", [])
    assert restorer.flush("never fed") == ""


def test_a_cut_placeholder_is_told_as_it_is() -> None:
    assert restored(MAIL[:-1]) == MAIL[:-1]


def test_lanes_do_not_mix() -> None:
    restorer = Restorer(VAULT)
    assert restorer.feed((0, "content"), MAIL[:9]) == ""
    assert restorer.feed((0, "tool_calls", 0), MAIL[9:]) == MAIL[9:]
    assert restorer.feed((1, "content"), "P") == ""
    assert restorer.held_lanes() == [(0, "content"), (1, "content")]
    assert restorer.feed((0, "content"), MAIL[9:] + ".") == "ann@x.de."


def test_the_restorer_shows_no_value() -> None:
    assert repr(Restorer(Vault({MAIL: "ann@x.de"}))) == "Restorer(Vault(EMAIL_ADDRESS=1))"


@settings(max_examples=300)
@given(TEXTS, st.booleans(), st.data())
def test_however_it_is_split_the_answer_is_the_same(
    text: str, is_json: bool, data: st.DataObject
) -> None:
    whole = restored(text, is_json=is_json)
    for at in range(len(text) + 1):
        assert in_pieces((text[:at], text[at:]), is_json=is_json) == whole
    assert in_pieces(list(text), is_json=is_json) == whole
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert in_pieces(pieces, is_json=is_json) == whole


@settings(max_examples=300)
@given(TEXTS)
def test_it_restores_exactly_the_known_ones_in_tolerant_writing(text: str) -> None:
    """Against the plainest thing that could work: every known one, at every position."""

    def plain(text: str) -> str:
        gap = r"(?:\\{0,1}_|[ -])"
        known = "|".join(f"(?:{name.replace('_', gap)})" for name in VALUES)
        shape = re.compile(
            rf"(?:(?<![0-9A-Za-z])|(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{{4}}))(?:{known})"
            r"(?![0-9A-Za-z])",
            re.IGNORECASE | re.ASCII,
        )

        def value(match: re.Match[str]) -> str:
            return VALUES[re.sub(r"\\?_|[ -]", "_", match[0]).upper()]

        return shape.sub(value, text)

    assert restored(text) == plain(text)


@given(TEXTS)
def test_never_more_is_held_back_than_a_placeholder_has(text: str) -> None:
    restorer, told = Restorer(Vault(dict.fromkeys(VALUES, ""))), 0
    for character in text:
        told += len(restorer.feed("lane", character))
    held = len(restorer.flush("lane"))
    assert held <= max(len(name) + name.count("_") for name in VALUES)


@given(TEXTS)
def test_json_arguments_stay_json_and_hold_the_values(text: str) -> None:
    arguments = json.dumps({"text": text, "list": [MAIL, {"card": CARD}]})
    for written in (arguments, json.dumps(json.loads(arguments), ensure_ascii=False)):
        document = json.loads(in_pieces(list(written), is_json=True))
        assert document["list"] == ["ann@x.de", {"card": TRICKY}]


def test_json_inside_json_is_escaped_twice() -> None:
    innermost = json.dumps({"card": CARD})
    inner = json.dumps([{"body": innermost}, CARD])
    written = json.dumps({"arguments": inner, "note": f"{CARD} {MAIL}"})
    document = json.loads(in_pieces(list(written), is_json=True))
    assert document["note"] == f"{TRICKY} ann@x.de"
    body, card = json.loads(document["arguments"])
    assert (json.loads(body["body"]), card) == ({"card": TRICKY}, TRICKY)


def test_a_quoted_word_in_a_string_is_not_json_inside_of_json() -> None:
    written = json.dumps({"note": f'he said: "{CARD}", {{"{CARD}"}}'})
    assert json.loads(restored(written, is_json=True))["note"] == (
        f'he said: "{TRICKY}", {{"{TRICKY}"}}'
    )


def test_a_value_that_was_escaped_in_json_inside_of_json_comes_back_as_it_was() -> None:
    key = r"-----BEGIN KEY-----\nMII"  # as it stands in a JSON file that a prompt holds
    written = json.dumps({"file": json.dumps({"key": "@"}).replace("@", MAIL)})
    told = json.loads(restored(written, Vault({MAIL: key}), is_json=True))["file"]
    assert json.loads(told) == {"key": "-----BEGIN KEY-----\nMII"}


@pytest.mark.parametrize("ensure_ascii", [True, False])
def test_an_escape_in_json_does_not_hide_the_placeholder_behind_it(ensure_ascii: bool) -> None:
    written = json.dumps({"a": f"卡{MAIL}", "b": f"\n{MAIL}\n"}, ensure_ascii=ensure_ascii)
    document = json.loads(in_pieces(list(written), is_json=True))
    assert document == {"a": "卡ann@x.de", "b": "\nann@x.de\n"}


def test_markdown_escapes_are_tolerated_in_json_too() -> None:
    written = json.dumps({"a": MAIL.replace("_", r"\_")})
    assert json.loads(in_pieces(list(written), is_json=True)) == {"a": "ann@x.de"}


class Anything:
    """A detector that finds what the test says, wherever that is."""

    def __init__(self, found: list[list[Span]]) -> None:
        self.found = found

    async def detect(
        self, texts: Sequence[str], entities: frozenset[str], *_: object
    ) -> list[list[Span]]:
        return self.found


ENTITIES = ("EMAIL_ADDRESS", "PERSON", "JWT")
ALPHABET = "aAbB19 _-\\nuｱ１卡é@.\n\ud800"


@pytest.mark.parametrize("action", sorted(REVERSIBLE))
@settings(max_examples=300)
@given(st.lists(st.text(ALPHABET, max_size=30), max_size=3), st.data())
def test_whatever_is_redacted_comes_back(
    action: Action, texts: list[str], data: st.DataObject
) -> None:
    span = st.tuples(
        st.integers(0, 30), st.integers(0, 30), st.sampled_from(ENTITIES), st.just(1.0)
    )
    found = [
        [
            Span(a, b, entity, score)
            for a, b, entity, score in data.draw(st.lists(span, max_size=4))
            if a <= b <= len(text)
        ]
        for text in texts
    ]
    everything = Profile("test", dict.fromkeys(ENTITIES, Rule(action)))
    result = asyncio.run(redact(texts, everything, Anything(found), b"k" * 32))
    for text, hidden in zip(texts, result.texts, strict=True):
        assert in_pieces(list(hidden), result.vault) == text
        written = json.dumps({"text": hidden}, ensure_ascii=action is Action.PLACEHOLDER)
        assert json.loads(in_pieces(list(written), result.vault, 1)) == {"text": text}
