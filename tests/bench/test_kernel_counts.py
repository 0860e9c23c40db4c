"""What is read of processes and cores."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kernel_counts import Cores, busy_seconds, cpu_seconds, family, memory_bytes, on_core

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads Linux' /proc")

BUSY_CHILD = """
import subprocess, sys, time
if len(sys.argv) > 1:
    block = bytearray(40_000_000)
    while time.process_time() < 0.3:
        pass
    print("done", flush=True)
    sys.stdin.readline()
else:
    sys.exit(subprocess.run([sys.executable, __file__, "child"]).returncode)
"""


def test_a_familys_time_and_memory_are_those_of_its_children_too(tmp_path):
    file = tmp_path / "busy.py"
    file.write_text(BUSY_CHILD)
    with subprocess.Popen(
        [sys.executable, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "done\n"
        pids = family(parent.pid)
        assert len(pids) == 2
        assert cpu_seconds(pids) >= 0.3 > cpu_seconds([parent.pid])
        assert memory_bytes(pids) > 40_000_000 > memory_bytes([parent.pid])
        parent.communicate("\n")


def test_a_core_was_busy_and_one_that_is_not_there_is_told():
    core = min(os.sched_getaffinity(0))
    assert busy_seconds(core) > 0
    with pytest.raises(LookupError):
        busy_seconds(10**6)


def test_what_is_started_on_a_core_stays_there_and_this_process_does_not():
    before = os.sched_getaffinity(0)
    core = max(before)
    with on_core(core):
        said = subprocess.run(
            [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"],
            capture_output=True,
            text=True,
            check=True,
        )
    assert said.stdout.strip() == str({core})
    assert os.sched_getaffinity(0) == before


def test_the_contestant_has_a_core_of_its_own():
    assert Cores.of([4, 7]) == Cores(contestant=4, upstream=7, load=7, stores=7)
    assert Cores.of([0, 1, 2, 3, 4]) == Cores(contestant=0, upstream=1, load=2, stores=3)
    with pytest.raises(ValueError, match="two cores"):
        Cores.of([0])
