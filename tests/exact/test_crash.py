"""What was served is in the book once, whatever is killed."""

import pytest

from programs import run


@pytest.mark.parametrize("words", [(), ("--redis",)], ids=["embedded", "redis"])
def test_nothing_is_lost_doubled_overspent_or_left_open_after_kills(words):
    found = run("crash.py", "--kills", "3", "--seed", "3", *words)
    assert found["kills"] == 3
    assert found["served"] > 100
    wrong = {name: found[name] for name in ("lost", "short", "doubled", "overspent", "open")}
    assert wrong == dict.fromkeys(wrong, 0)
