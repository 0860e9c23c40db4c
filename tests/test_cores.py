"""How many cores there are for workers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.cores import usable_cores
from gateway.settings import SettingsError, load


@pytest.fixture
def six_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)), raising=False)


@pytest.mark.usefixtures("six_cores")
@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("max 100000\n", 6),
        ("200000 100000\n", 2),
        ("250000 100000\n", 3),
        ("20000 100000\n", 1),
        ("900000 100000\n", 6),
        ("nonsense\n", 6),
    ],
)
def test_a_containers_limit_counts_as_the_cores_that_it_is(
    tmp_path: Path, limit: str, cores: int
) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    assert usable_cores(tmp_path / "cpu.max") == cores


@pytest.mark.usefixtures("six_cores")
def test_without_a_cgroup_it_is_the_cores_that_the_process_may_use(tmp_path: Path) -> None:
    assert usable_cores(tmp_path / "cpu.max") == 6


def test_auto_is_a_worker_for_each_core() -> None:
    assert load({"workers": "auto"}).workers == usable_cores()
    assert load({"workers": "3"}).workers == 3


@pytest.mark.parametrize("text", ["0", "1025", "many", "AUTO"])
def test_other_words_are_refused_and_told_what_would_be_right(text: str) -> None:
    with pytest.raises(SettingsError, match="auto, or a whole number from 1 to 1024"):
        load({"workers": text})
