"""How times are written for a caller that waits."""

from __future__ import annotations

import pytest

from gateway.quota.wording import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1.0, "0s"),
        (0.0, "0s"),
        (0.012, "12ms"),
        (0.0120001, "12ms"),
        (0.0121, "13ms"),
        (0.9995, "1s"),
        (1.0, "1s"),
        (1.001, "2s"),
        (59.5, "1m0s"),
        (360.0, "6m0s"),
        (3723.0, "1h2m3s"),
        (86400.0, "24h0m0s"),
    ],
)
def test_durations_are_written_as_openai_writes_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text
