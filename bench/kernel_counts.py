"""What the kernel counts of processes and cores. Linux only (see the manual page proc)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_IDLE = (3, 4)  # idle and waiting for a disk, of the figures of a core


@dataclass(frozen=True, slots=True)
class Cores:
    """Where everything runs: the contestants alone on one core."""

    contestant: int
    upstream: int
    load: int
    stores: int

    @classmethod
    def of(cls, usable: Sequence[int]) -> Cores:
        """Of two cores, the second has all but the contestant. Raises ValueError for less."""
        if len(usable) < 2:
            raise ValueError("this needs two cores: one for the contestant, one for the rest")
        first, *rest = usable
        return cls(first, *(rest * 3)[:3])


def family(pid: int) -> list[int]:
    """A process and all that it started, as far as they run."""
    found = [pid]
    for one in found:
        for file in Path(f"/proc/{one}/task").glob("*/children"):
            with suppress(OSError):
                found += map(int, file.read_text().split())
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time of processes and of what they started and waited for, in the kernel and outside."""
    return sum(sum(map(int, _stat(pid)[11:15])) for pid in pids) / _TICKS


def memory_bytes(pids: Iterable[int]) -> int:
    """Resident memory, what is shared counted in parts (PSS)."""
    rows = (
        line
        for pid in pids
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        if line.startswith("Pss:")
    )
    return sum(int(row.split()[1]) * 1024 for row in rows)


def busy_seconds(core: int) -> float:
    """For how long a core did anything at all, whoever it was for."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *counts = line.split()
        if name == f"cpu{core}":
            return sum(int(n) for at, n in enumerate(counts[:8]) if at not in _IDLE) / _TICKS
    raise LookupError(f"there is no core {core}")


@contextmanager
def on_core(*cores: int) -> Iterator[None]:
    """Whatever is started inside stays on this core, or on these."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
