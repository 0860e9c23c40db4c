"""Many clients at once never get more from the provider than a budget is worth."""

import pytest

from programs import run


@pytest.mark.parametrize("words", [(), ("--redis", "--replicas", "2")], ids=["embedded", "redis"])
def test_the_providers_own_count_is_within_every_budget(words):
    found = run("overspend.py", "--budget", "60", "--clients", "60", *words)
    assert found["refused"] > 0
    assert found["left"] > 0
    assert found["open"] == 0
    assert [row["overspent"] for row in found["budgets"]] == [0, 0, 0]
    by_requests = found["budgets"][0]
    assert by_requests["served"] == by_requests["booked"] == by_requests["budget"]
