"""The Lua scripts, one a verb, as they are in the folder `lua` beside this file.

All that a script touches has the organization's prefix, its only key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from typing import Any

from redis import RedisError
from redis.asyncio import RedisCluster
from redis.exceptions import NoScriptError

from gateway import errors
from gateway.backends.redis_client import Client
from gateway.backends.redis_keys import key_of
from gateway.backends.redis_together import Together
from gateway.json_text import read, write

VERBS = ("reserve", "look", "settle", "sweep", "charge", "cut", "load")
_SHARED = ("bignum", "fields", "counters", "verdicts")

AWAY = (RedisError, OSError)
"""What a client raises where Redis cannot be asked."""


class Scripts:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._ask = (
            _one_by_one(client) if isinstance(client, RedisCluster) else Together(client).ask
        )
        folder = resources.files("gateway.backends") / "lua"

        def source_of(name: str) -> str:
            return (folder / f"{name}.lua").read_text(encoding="utf-8")

        shared = "\n".join(map(source_of, _SHARED))
        self._texts = {verb: f"{shared}\n{source_of(verb)}" for verb in VERBS}
        self._digests = {
            verb: hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
            for verb, text in self._texts.items()
        }

    async def run(self, verb: str, organization: str, request: Mapping[str, Any]) -> Any:
        """The script's answer, JSON where it is text. Raises one of AWAY."""
        return await self.run_text(verb, organization, write(request))

    async def run_text(self, verb: str, organization: str, *words: str | bytes) -> Any:
        """The same for a request in JSON, and what a script takes besides as it is."""
        key = key_of(organization)
        try:
            answer = await self._ask(self._digests[verb], key, *words)
        except NoScriptError:
            answer = await self._client.eval(self._texts[verb], 1, key, *words)
        return read(answer) if isinstance(answer, str | bytes) else answer


def _one_by_one(client: Client) -> Callable[..., Awaitable[Any]]:
    """Of a cluster each node is asked on its own anyway."""

    async def ask(digest: str, key: str, *words: str | bytes) -> Any:
        return await client.evalsha(digest, 1, key, *words)

    return ask


def unavailable() -> errors.Unavailable:
    return errors.Unavailable(
        "The ledger cannot be reached, so nothing can be admitted; try again soon.",
        code="ledger_unavailable",
    )


def text_of(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
