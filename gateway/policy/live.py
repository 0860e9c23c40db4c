"""The policy in force: one snapshot, swapped as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from gateway.policy.parse import Parsed, parse
from gateway.policy.policy import Policy, Problem
from gateway.policy.redaction import Examine, Lacks, lacks_nothing, unexamined

Read = Callable[[], tuple[Mapping[str, bytes], tuple[Problem, ...]]]
"""Gives the files by name, or none of them and what is in the way."""


class Live:
    """A request takes `current` once and keeps it; a swap concerns only those that come later."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._reloading = asyncio.Lock()

    @property
    def current(self) -> Policy:
        return self._policy

    def replace(self, policy: Policy) -> None:
        self._policy = policy

    async def reload(
        self,
        read: Read,
        entities: frozenset[str],
        environ: Mapping[str, str],
        examine: Examine = unexamined,
        lacks: Lacks = lacks_nothing,
    ) -> Parsed:
        """Read, build and validate in a thread, then swap; what was found, for log and meter.

        With an error `policy` is None in the answer, and the policy in force stays. Reloads do not
        overlap, so what the last one read is what stays."""

        def build() -> Parsed:
            files, problems = read()
            if problems:
                return Parsed(None, problems)
            return parse(files, entities, environ, examine, lacks)

        async with self._reloading:
            parsed = await asyncio.to_thread(build)
            if parsed.policy is not None:
                self.replace(parsed.policy)
            return parsed
