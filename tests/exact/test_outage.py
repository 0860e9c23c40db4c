"""Without Postgres requests go on, and their entries are posted when it is back."""

from programs import run


def test_nothing_is_refused_or_lost_while_postgres_is_away():
    found = run("outage.py", "--away", "5", "--margin", "2", "--rate", "30")
    assert (found["refused"], found["lost"], found["open"]) == (0, 0, 0)
    assert found["sent"] == 30 * (5 + 2 * 2)
    assert found["lag away"] > 2.5 > found["lag after"]
