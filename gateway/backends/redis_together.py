"""Scripts that are asked for at the same time, in one write to Redis and one read from it.

Most of what a question costs on both sides is not the question: a connection taken and given back,
a system call here and two there, the wait. A busy process asks many in each turn of its event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

TOGETHER_MAX = 16  # the first one's answer waits for so many at most
Words = tuple[Any, ...]


class Together:
    """Each question has its own answer, or its own error; what breaks the connection is told to
    all that were on it. A caller that goes away leaves its question where it is: nobody knows then
    whether it was answered."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._next: list[Words] = []
        self._answers: asyncio.Task[Sequence[Any]] | None = None  # those to `_next`

    async def ask(self, digest: str, key: str, *words: str | bytes) -> Any:
        """What the script of this digest answers. Raises what the client does."""
        if self._answers is None or len(self._next) == TOGETHER_MAX:
            self._next = []
            self._answers = asyncio.create_task(self._ask_all(self._next))
        place = len(self._next)
        self._next.append((digest, 1, key, *words))
        answer = (await asyncio.shield(self._answers))[place]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def _ask_all(self, asked: list[Words]) -> Sequence[Any]:
        """A task begins after all others that can go on now: until then, they may still ask."""
        if asked is self._next:
            self._answers = None
        if len(asked) == 1:
            return [await self._client.evalsha(*asked[0])]
        async with self._client.pipeline(transaction=False) as pipe:
            for words in asked:
                pipe.evalsha(*words)
            answers: list[Any] = await pipe.execute(raise_on_error=False)
            return answers
