"""Whether Redis takes writes. Where its memory or its disk is full, or it is a replica, it goes on
answering what is read, and nothing can be admitted."""

from __future__ import annotations

import logging

from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError

from gateway.backends.redis_client import Client, problem_of
from gateway.backends.redis_keys import PROBE

LOGGER = "gateway.ledger"
PROBE_MS = 60_000
_REFUSALS = ("oom command", "misconf", "readonly", "noreplicas")


def refuses_writes(error: BaseException) -> bool:
    """Whether it takes no write at all. Of a script's write it says so inside of its text."""
    if isinstance(error, OutOfMemoryError | ReadOnlyError):
        return True
    told = str(error).lower()
    return isinstance(error, ResponseError) and any(sign in told for sign in _REFUSALS)


class Writes:
    """`taken` is how it was at the last look."""

    def __init__(self, client: Client) -> None:
        self.taken = True
        self._client = client

    async def look(self) -> None:
        """By writing something small. Raises one of AWAY; a refusal is logged once."""
        try:
            await self._client.set(PROBE, b"", px=PROBE_MS)
        except ResponseError as error:
            if refuses_writes(error):
                if self.taken:
                    logging.getLogger(LOGGER).error(str(problem_of(error, "")))
                self.taken = False
            raise
        if not self.taken:
            logging.getLogger(LOGGER).warning("Redis takes writes again.")
        self.taken = True
