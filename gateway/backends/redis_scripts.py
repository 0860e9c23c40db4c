"""The Lua scripts, one a verb, as they are in the folder `lua` beside this file.

All that a script touches has the organization's prefix, its only key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from redis import RedisError
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import NoScriptError

from gateway import errors
from gateway.backends.redis_keys import key_of

Client = Redis | RedisCluster

VERBS = ("reserve", "look", "settle", "sweep", "charge", "cut", "load")
_SHARED = ("bignum", "counters", "verdicts")

AWAY = (RedisError, OSError)
"""What a client raises where Redis cannot be asked."""


class Scripts:
    def __init__(self, client: Client) -> None:
        self._client = client
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
        text = json.dumps(request, ensure_ascii=False, separators=(",", ":"))
        rest = (1, key_of(organization), text)
        try:
            answer = await self._client.evalsha(self._digests[verb], *rest)
        except NoScriptError:
            answer = await self._client.eval(self._texts[verb], *rest)
        return json.loads(answer) if isinstance(answer, str | bytes) else answer


def unavailable() -> errors.Unavailable:
    return errors.Unavailable(
        "The ledger cannot be reached, so nothing can be admitted; try again soon.",
        code="ledger_unavailable",
    )


def text_of(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
