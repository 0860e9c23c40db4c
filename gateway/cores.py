"""How many cores this process may use: of the machine, and of the container that it is in."""

from __future__ import annotations

import math
import os
from pathlib import Path

CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
"""Of a cgroup of the second version, as a container sees its own: microseconds of CPU in each
period of so many, or "max"."""


def usable_cores(cpu_max: Path = CPU_MAX) -> int:
    """At least 1. A limit of two and a half cores is three: the last worker is slower."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, min(cores, _limit_of(cpu_max) or cores))


def _limit_of(cpu_max: Path) -> int | None:
    """None where there is none."""
    try:
        most, period = map(int, cpu_max.read_text().split())
    except (OSError, ValueError):
        return None
    return math.ceil(most / period) if period > 0 else None
