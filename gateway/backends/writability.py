"""Whether the book can be written, as those know who write it: holds and entries."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gateway.backends.database_problem import DatabaseProblem, DataRefused

LOGGER = "gateway.journal"
UNWRITABLE = "Usage cannot be written now; it is tried again."
TAKEN_OVER = "Another gateway has taken over the database of this one."


class Writability:
    """`try_again` is called with each failure."""

    def __init__(self, try_again: Callable[[], None]) -> None:
        self.errors = 0
        self.is_failing = self.is_taken_over = False
        self._try_again = try_again
        self._written = asyncio.Event()  # since somebody waits for it

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written at the moment; after a take-over, for good."""
        return TAKEN_OVER if self.is_taken_over else UNWRITABLE if self.is_failing else None

    def failed(self, problem: DatabaseProblem) -> None:
        self.errors += 1
        if not self.is_failing:
            log().warning(f"{UNWRITABLE} {problem}")
        self.is_failing = True
        self._try_again()

    def refused(self, id: str, refusal: DataRefused) -> None:
        self.errors += 1
        log().error(f"The database refused the entry {id} ({refusal}); it is set aside.")

    def taken_over(self) -> None:
        if not self.is_taken_over:
            self.is_taken_over = True
            log().error(TAKEN_OVER)

    def succeeded(self) -> None:
        """Something was written; all else is, when this was said of it."""
        self._written.set()

    def recovered(self) -> None:
        self.is_failing = False
        log().warning("Usage is written again.")

    async def until_written(self, seconds: float) -> None:
        """Return when something is written from now on, or at the end of the time."""
        self._written.clear()
        try:
            await asyncio.wait_for(self._written.wait(), seconds)
        except TimeoutError:
            return


def log() -> logging.Logger:
    return logging.getLogger(LOGGER)
