"""Which choices of a stream have begun, and which of them the upstream has ended. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.openai.chunks import choices


class Endings:
    """Those of one stream, chunk by chunk."""

    __slots__ = ("_begun", "_finished")

    def __init__(self) -> None:
        self._begun: set[int] = set()
        self._finished: set[int] = set()

    def of(self, chunk: Mapping[str, Any]) -> set[int]:
        """The choices that the next chunk ends."""
        named = choices(chunk)
        ending = {index for index, is_finished in named.items() if is_finished}
        self._begun.update(named)
        self._finished |= ending
        return ending

    def running(self) -> list[int]:
        """The choices that go on, in their order."""
        return sorted(self._begun - self._finished)

    def are_all(self) -> bool:
        """Whether there was a choice, and none goes on."""
        return bool(self._begun) and self._begun <= self._finished
