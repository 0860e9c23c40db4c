"""Answer rules with the recognizers as they are: a stream is told as it would be in one piece."""

import asyncio
import base64
import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from random import Random

import pytest

from gateway.backends.presidio_detector import Patience, PresidioDetector
from gateway.privacy.profile import Action, Profile, Rule
from gateway.privacy.redact import redact
from gateway.privacy.restore import Restorer
from gateway.privacy.watch import HELD_MAX, Watch
from gateway.privacy.wording import wordings
from private_values import VALUES, token

CUES = {
    "CN_BANK_CARD": "卡号 ",
    "DATE_OF_BIRTH": "born on ",
    "PASSWORD": "the password is ",
    "SECRET": "token: ",
}
FILLING = [
    "words that say nothing much ",
    "今天天气很好我们去公园散步吧，",
    '{"a":"b"},',
    "x: ",
    "",
]
BEHIND = [" and on we go. ", "。然后我们走。", "\n", ". ", ", ", ""]


@pytest.fixture(scope="module")
def detector() -> Iterator[PresidioDetector]:
    made = PresidioDetector(1, Patience(60), tiny_characters=200_000)
    asyncio.run(made.warm())
    yield made
    asyncio.run(made.aclose())


def told(detector: PresidioDetector, kinds: Sequence[str], pieces: Sequence[str]) -> str:
    rules = dict.fromkeys(kinds, Rule(Action.MASK))

    async def play() -> str:
        watch = Watch(Profile("test", {}, rules), detector, b"k" * 32)
        fed = [await watch.feed(0, piece) for piece in pieces]
        return "".join(fed) + await watch.flush(0)

    return asyncio.run(play())


def cut(text: str, ends: Sequence[int]) -> list[str]:
    return [text[start:end] for start, end in pairwise([0, *sorted(ends), len(text)])]


def every(text: str, size: int) -> list[str]:
    return cut(text, range(size, len(text), size))


@pytest.mark.parametrize("kind", sorted(VALUES))
def test_however_the_answer_is_cut_the_same_is_told(detector: PresidioDetector, kind: str) -> None:
    chance = Random(kind)
    for _ in range(12):
        filling = chance.choice(FILLING)
        text = filling * chance.randint(0, 4) + CUES.get(kind, "") + VALUES[kind](chance)
        text += chance.choice(BEHIND) + filling * chance.randint(0, 3)
        for kinds in ([kind], sorted(VALUES)):
            whole = told(detector, kinds, [text])
            ends = chance.choices(range(len(text) + 1), k=chance.choice([1, 3, 10, len(text)]))
            assert told(detector, kinds, cut(text, ends)) == whole


def encoded(chance: Random, size: int) -> str:
    return base64.urlsafe_b64encode(chance.randbytes(size)).decode().rstrip("=")


def long_token(chance: Random, size: int) -> str:
    header = base64.urlsafe_b64encode(json.dumps({"alg": "RS256"}).encode()).decode()
    return f"{header.rstrip('=')}.{encoded(chance, size)}.{encoded(chance, 256)}"


def lines(chance: Random, count: int, end: str = "\n") -> str:
    return end.join(token(chance, 64) for _ in range(count))


def long_values(chance: Random) -> dict[str, tuple[str, str]]:
    aes = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,0123456789ABCDEF0123456789ABCDEF\n\n"
    about = (
        "Version: GnuPG v2.0.22 (GNU/Linux)\nComment: One that is somewhat longer than usual\n\n"
    )
    rsa, pgp = "RSA PRIVATE KEY-----", "PGP PRIVATE KEY BLOCK-----"
    return {
        "a long token": ("JWT", long_token(chance, 900)),
        "an encrypted key": (
            "PRIVATE_KEY",
            f"-----BEGIN {rsa}\n{aes}{lines(chance, 12)}\n-----END {rsa}",
        ),
        "a key of OpenPGP": (
            "PRIVATE_KEY",
            f"-----BEGIN {pgp}\n{about}{lines(chance, 20)}\n=abcd\n-----END {pgp}",
        ),
        "a key with line ends of Windows": (
            "PRIVATE_KEY",
            f"-----BEGIN {rsa}\r\n{lines(chance, 9, chr(13) + chr(10))}\r\n-----END {rsa}",
        ),
    }


@pytest.mark.parametrize("name", sorted(long_values(Random(1))))
@pytest.mark.parametrize("size", [1, 4, 23, 700])
def test_a_long_secret_is_hidden_as_a_whole(
    detector: PresidioDetector, name: str, size: int
) -> None:
    kind, value = long_values(Random(1))[name]
    text = f"Here it is:\n{value}\nand that is all."
    for kinds in ([kind], sorted(VALUES)):
        assert told(detector, kinds, every(text, size)) == "Here it is:\n********\nand that is all."


@pytest.mark.parametrize("size", [50, 5_000])
def test_what_is_longer_than_can_be_held_is_hidden_to_its_end(
    detector: PresidioDetector, size: int
) -> None:
    chance, pem = Random(2), "PRIVATE KEY-----"
    for kind, value in (
        ("JWT", long_token(chance, 2 * HELD_MAX)),
        ("API_KEY", f"sk-proj-{token(chance, 2 * HELD_MAX)}"),
        ("PRIVATE_KEY", f"-----BEGIN {pem}\n{lines(chance, 600)}\n-----END {pem}"),
    ):
        pieces = every(f"It is {value} and no more.", size)
        assert told(detector, [kind], pieces) == "It is ******** and no more."


def test_a_long_word_that_is_nothing_is_told_with_what_stands_in_it_hidden(
    detector: PresidioDetector,
) -> None:
    start, behind = '{"a":1},' * 3_000, ',{"b":2}' * 3_000
    text = f'{start}{{"to":"ann@example.com"}}{behind} end'
    assert told(detector, ["EMAIL_ADDRESS"], every(text, 300)) == (
        text.replace("ann@example.com", "********")
    )


def test_a_large_piece_that_ends_inside_a_key_tells_nothing_of_it(
    detector: PresidioDetector,
) -> None:
    key = f"sk-proj-{'aB3dE5fG7h' * 5}"
    text = "word " * 4_000 + key
    pieces = [text[:-25], f"{text[-25:]} end"]
    assert told(detector, ["API_KEY"], pieces) == f"{'word ' * 4_000}******** end"


def test_of_a_chinese_text_nothing_is_held_back_that_cannot_become_an_address(
    detector: PresidioDetector,
) -> None:
    rules = {"EMAIL_ADDRESS": Rule(Action.MASK)}

    async def play() -> str:
        watch = Watch(Profile("test", {}, rules), detector, b"k" * 32)
        return await watch.feed(0, "今天天气很好，写信给ann@exa")

    assert asyncio.run(play()) == "今天天气很好，写信给"


OWN = {
    "CREDIT_CARD": "4111 1111 1111 1111",
    "EMAIL_ADDRESS": "ann@corp.com",
    "IBAN_CODE": "DE89 3704 0044 0532 0130 00",
    "PASSWORD": "postgres://ann:Tr0ub4dor3x@db.corp.com/main",
    "PHONE_NUMBER": "+49 30 901820",
    "STREET_ADDRESS": "221 Baker Street, Springfield, IL 62704",
}


@pytest.mark.parametrize("kind", sorted(OWN))
@pytest.mark.parametrize("action", ["placeholder", "replace", "report"])
@pytest.mark.parametrize("size", [1, 9, 900])
def test_what_the_request_held_comes_back_however_strict_the_answer_is(
    detector: PresidioDetector, kind: str, action: str, size: int
) -> None:
    profile = Profile(
        "test", {kind: Rule(Action(action))}, dict.fromkeys(OWN, Rule(Action.BLOCK, 0.3))
    )

    async def play() -> str:
        sent = await redact([f"It is {OWN[kind]} then."], profile, detector, b"k" * 32)
        assert sent.counts == {f"{kind}:{action}": 1}
        (says,), vault = sent.texts, sent.vault
        own = wordings(vault.placeholders(), vault.synthetic())
        watch = Watch(profile, detector, b"k" * 32, own, sent.reported)
        restorer = Restorer(vault)
        pieces = [await watch.feed(0, piece) for piece in every(says, size)]
        pieces.append(await watch.flush(0))
        assert not watch.counts
        return "".join(restorer.feed(0, piece) for piece in pieces) + restorer.flush(0)

    assert asyncio.run(play()) == f"It is {OWN[kind]} then."


API_KEY = f"sk-proj-{'aB3dE5fG7h' * 3}"
WITH_KEY = f"see https://a.example.com/?key={API_KEY} ok"


@pytest.mark.parametrize("size", [1, 9, 900])
@pytest.mark.parametrize(
    ("request_rules", "text"),
    [
        ({"URL": "report"}, WITH_KEY),
        ({"URL": "report", "EMAIL_ADDRESS": "report"}, WITH_KEY),
        ({"URL": "report", "API_KEY": "placeholder"}, f"see https://a.example.com/ {API_KEY} ok"),
    ],
)
def test_a_value_of_the_callers_own_frees_no_other_kind_inside_of_it(
    detector: PresidioDetector, request_rules: dict[str, str], text: str, size: int
) -> None:
    assert API_KEY not in answered(detector, request_rules, text, size)


@pytest.mark.parametrize("size", [1, 9, 900])
def test_what_two_kinds_report_is_the_callers_own_as_either(
    detector: PresidioDetector, size: int
) -> None:
    both = {"URL": "report", "API_KEY": "report"}
    assert answered(detector, both, WITH_KEY, size) == WITH_KEY


def answered(
    detector: PresidioDetector, request_rules: dict[str, str], text: str, size: int
) -> str:
    """What is told of an answer that says what the request did, keys masked."""
    rules = {name: Rule(Action(action)) for name, action in request_rules.items()}
    profile = Profile("test", rules, {"API_KEY": Rule(Action.MASK), "URL": Rule(Action.REPORT)})

    async def play() -> str:
        sent = await redact([text], profile, detector, b"k" * 32)
        own = wordings(sent.vault.placeholders(), sent.vault.synthetic())
        watch = Watch(profile, detector, b"k" * 32, own, sent.reported)
        pieces = [await watch.feed(0, piece) for piece in every(text, size)]
        return "".join(pieces) + await watch.flush(0)

    return asyncio.run(play())


@pytest.mark.parametrize("size", [1, 9, 900])
@pytest.mark.parametrize(
    "said",
    [
        {"url": "https://b.corp.com/x"},
        {"body": json.dumps({"url": "https://b.corp.com/x", "n": [4111111111111111]})},
        {"card": 4111111111111111, "u": ["www.corp.com", 'say "https://b.corp.com/x"']},
    ],
)
def test_arguments_stay_json_whatever_is_hidden_in_them(
    detector: PresidioDetector, said: dict[str, object], size: int
) -> None:
    rules = {"URL": Rule(Action.MASK), "CREDIT_CARD": Rule(Action.MASK, keep_last=4)}

    async def play() -> str:
        watch = Watch(Profile("test", {}, rules), detector, b"k" * 32)
        pieces = [await watch.feed(0, piece, True) for piece in every(json.dumps(said), size)]
        return "".join(pieces) + await watch.flush(0)

    told = asyncio.run(play())
    assert json.loads(told).keys() == said.keys()
    assert "corp.com" not in told
    assert "41111111" not in told
