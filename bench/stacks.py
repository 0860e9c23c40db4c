"""Sampled stacks as a table by function. Pure."""

from __future__ import annotations

from collections import Counter

WAITING = ("_worker (concurrent/futures/thread.py", "run (anyio/_backends/_asyncio.py")
"""Threads with nothing to do, which py-spy takes for busy ones."""


def top(stacks: str, count: int) -> str:
    """A table out of stacks as `frame;frame;frame samples` a line: in how many samples a function
    was on top (`own`), and in how many it was anywhere (`with`: what it called, too)."""
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()
    for line in stacks.splitlines():
        frames, _, samples = line.rpartition(" ")
        names = frames.split(";")
        if not names[-1].startswith(WAITING):
            own[names[-1]] += int(samples)
            within.update(dict.fromkeys(names, int(samples)))
    whole = own.total() or 1

    def row(name: str) -> str:
        return f"{own[name] / whole:7.1%}{within[name] / whole:8.1%}  {name}"

    ours = [name for name, _ in within.most_common() if "(gateway/" in name]
    return "\n".join(
        [
            f"{'own':>7}{'with':>8}  function ({whole} samples)",
            *(row(name) for name, _ in own.most_common(count)),
            "\nthe gateway's own functions, by all that they called",
            *map(row, ours[:count]),
        ]
    )
