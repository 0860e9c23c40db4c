"""`make fuzz`: random texts through redaction and back, in streams that are cut anywhere.

Each stream has one to four lanes, plain or in strings of JSON, whose pieces come mixed. It
ends at the first that does not come back as it was, with the seed that makes it again."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from dataclasses import dataclass
from random import Random

from gateway.backends.entities import ENTITIES
from gateway.backends.presidio_detector import Patience, PresidioDetector
from gateway.privacy.mint import Vault
from gateway.privacy.profile import REVERSIBLE, Profile, Rule
from gateway.privacy.redact import Redacted, redact
from gateway.privacy.restore import Restorer
from private_corpus import TEMPLATES, filled
from private_values import VALUES

LINES = [line for text in TEMPLATES.values() for line in text.strip().split("\n")]
LOOK_ALIKES = [
    "EMAIL_ADDRESS_ABCDEFGH", "credit_card_22223333", "EMAIL_ADDRESS_", "PHONE_NUMBER", "EMAIL\\_",
    "API_KEY_", "person@", "IBAN_CODE_ZZZZZZZZZ", "ann@example.com5", "+1555", "4111", "号", "é😀",
    "\\u5361", "\\n", "{", "}", "[", '"', "'", "４１１１", "@", ".", "-", "_", ",", ":", "\u200b",
]  # fmt: skip

BEGINS_LIKE_JSON = re.compile(r"(?:\s|\\+[nrt])*[{\[]")
SCOPE_KEY = b"k" * 32


@dataclass(frozen=True, slots=True)
class Lane:
    """`written` is what the model writes, `expected` what the caller shall read. `json_depth`: in a
    string of JSON (1), of JSON in such a string (2), or in none."""

    written: str
    expected: str
    json_depth: int


class Broken(Exception):
    """A stream that did not come back as it was."""


def text_of(chance: Random) -> str:
    """Lines of the corpus, values, look-alikes and cut pieces of all of them."""
    pieces = []
    for _ in range(chance.randint(1, 5)):
        kind = chance.random()
        if kind < 0.4:
            piece = filled(chance.choice(LINES), chance)[0]
        elif kind < 0.7:
            piece = VALUES[chance.choice(sorted(VALUES))](chance)
        else:
            piece = "".join(chance.choices(LOOK_ALIKES, k=chance.randint(1, 5)))
        if chance.random() < 0.2:
            piece = piece[chance.randint(0, len(piece)) :]
        pieces += [piece, chance.choice(["", " ", "\n", ", ", "号"])]
    return "".join(pieces)


def profile_of(chance: Random) -> Profile:
    actions = sorted(REVERSIBLE)
    return Profile("fuzz", {one: Rule(chance.choice(actions)) for one in sorted(ENTITIES)})


async def stream(seed: int, detector: PresidioDetector) -> int:
    """How many values came back. Raises Broken."""
    chance = Random(seed)
    texts = [text_of(chance) for _ in range(chance.randint(1, 4))]
    redacted = await redact(texts, profile_of(chance), detector, SCOPE_KEY)
    lanes = [
        _lane(chance, *pair, redacted.vault) for pair in zip(texts, redacted.texts, strict=True)
    ]
    told = _told(chance, lanes, redacted.vault)
    for lane, answer in zip(lanes, told, strict=True):
        whole = _whole(lane, redacted.vault)
        if answer != whole:
            raise Broken(f"seed {seed}: cut, it is {answer!r}; whole, it is {whole!r}")
        if _read(lane, answer) != lane.expected:
            raise Broken(f"seed {seed}: {lane.expected!r} came back as {_read(lane, answer)!r}")
    return _values(redacted)


def _lane(chance: Random, text: str, redacted: str, vault: Vault) -> Lane:
    """A value with a backslash says not how often it is escaped: in no JSON inside of JSON. A text
    that begins like JSON and is none would be taken for it: in no JSON at all."""
    deepest = 1 if any("\\" in vault[name] for name in vault.placeholders()) else 2
    if BEGINS_LIKE_JSON.match(redacted):
        deepest = 0
    written, json_depth = redacted, chance.randint(0, deepest)
    for _ in range(json_depth):
        written = json.dumps({"note": written}, ensure_ascii=False)
    return Lane(written, text, json_depth)


def _told(chance: Random, lanes: list[Lane], vault: Vault) -> list[str]:
    """What the caller reads of each lane, whose pieces come in any order but their own."""
    restorer = Restorer(vault)
    told = [""] * len(lanes)
    left = {number: lane.written for number, lane in enumerate(lanes) if lane.written}
    longest = chance.choice([1, 3, 10, 200])
    while left:
        number = chance.choice(list(left))
        cut = chance.randint(1, longest)
        piece, rest = left[number][:cut], left[number][cut:]
        told[number] += restorer.feed(number, piece, lanes[number].json_depth > 0)
        left[number] = rest
        if not rest:
            del left[number]
            told[number] += restorer.flush(number)
    return told


def _whole(lane: Lane, vault: Vault) -> str:
    restorer = Restorer(vault)
    return restorer.feed(0, lane.written, lane.json_depth > 0) + restorer.flush(0)


def _read(lane: Lane, answer: str) -> str:
    for _ in range(lane.json_depth):
        answer = json.loads(answer)["note"]
    return answer


def _values(redacted: Redacted) -> int:
    return sum(redacted.counts.values())


async def fuzz(streams: int, first: int) -> int:
    """Values that came back in the streams of the seeds from `first` on. Raises Broken."""
    detector = PresidioDetector(1, Patience(600), tiny_characters=100_000)
    await detector.warm()
    try:
        return sum([await stream(seed, detector) for seed in range(first, first + streams)])
    finally:
        await detector.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first; the next are the next")
    chosen = parser.parse_args()
    began = time.monotonic()
    try:
        values = asyncio.run(fuzz(chosen.streams, chosen.seed))
    except Broken as problem:
        raise SystemExit(str(problem)) from None
    print(f"{chosen.streams:,} streams, {values:,} values came back as they were, "
          f"{time.monotonic() - began:.0f} s")  # fmt: skip


if __name__ == "__main__":
    main()
