"""What is kept out of a gateway's process, in a process of its own: this one has imported spaCy."""

from __future__ import annotations

import subprocess
import sys

LOOK = """
import asyncio, sys
from gateway.backends import surroundings
from gateway.backends.presidio_detector import Patience, PresidioDetector

HEAVY = {"spacy", "thinc", "numpy"}
COUNTRY = frozenset({"UK_NHS"})
TEXT = "my nhs number is 401 023 2137"

async def main():
    detector = PresidioDetector(1, Patience(10, 1))
    await detector.warm()
    found = await detector.detect(["write to a@example.com"], frozenset({"EMAIL_ADDRESS"}))
    assert [span.entity for span in found[0]] == ["EMAIL_ADDRESS"]
    assert not HEAVY & set(sys.modules), HEAVY & set(sys.modules)
    await detector.prepare(COUNTRY)
    assert HEAVY <= set(sys.modules)
    assert sys.modules["spacy"].blank("en")("a word")[1].text == "word"
    found = await detector.detect([TEXT], COUNTRY)
    assert [span.entity for span in found[0]] == ["UK_NHS"], found
    await detector.aclose()

asyncio.run(main())
"""


def test_spacy_is_loaded_where_a_policy_needs_it_and_not_before() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
