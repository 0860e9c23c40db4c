"""The bench of cohort scheduling runs whole exchanges, and tells of both ways."""

from __future__ import annotations

import asyncio
import re

import pytest

import cohort


def test_it_tells_what_a_request_costs_in_both_ways(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for room in cohort.ROOMS:
        monkeypatch.setattr(room, "abreast", room.abreast)  # put back
    monkeypatch.setattr(cohort, "AT_ONCE", (1, 4))
    asyncio.run(cohort._run(rounds=1, count=8))
    rows = re.findall(r"^ +(\d+)((?: +\d+){4})$", capsys.readouterr().out, re.MULTILINE)
    assert [at_once for at_once, _ in rows] == ["1", "4"]
    assert all(int(us) > 0 for _, told in rows for us in told.split())
