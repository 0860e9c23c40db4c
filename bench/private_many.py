"""What requests of very many texts cost: the whole step redact, as an exchange does it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gateway.cli.serve import SWITCH_SECONDS
from gateway.openai.request import Request
from gateway.parts import State
from gateway.privacy.profile import Action, Profile, Rule
from gateway.privacy.redact import Detector
from gateway.redaction import redact_body
from gateway.settings import Settings
from private_latency import stall

T = TypeVar("T")
ASKED = ("EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "PASSWORD", "SECRET", "API_KEY")
PROFILE = Profile("many", {name: Rule(Action.PLACEHOLDER) for name in ASKED})


@dataclass(frozen=True, slots=True)
class Means:
    detector: Detector
    settings: Settings
    state: State = field(default_factory=State)

    def secret(self, purpose: str, *names: str) -> bytes:
        return b"k" * 32


def _parts(count: int) -> dict[str, Any]:
    parts = [{"type": "text", "text": f"a{n}@example.com"} for n in range(count)]
    return {"messages": [{"role": "user", "content": parts}]}


def _arguments(count: int) -> dict[str, Any]:
    written = json.dumps({"mails": [f"a{n}@example.com" for n in range(count)]})
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": written}}
    return {"messages": [{"role": "assistant", "tool_calls": [call]}]}


def _schemas(count: int) -> dict[str, Any]:
    names = {f"p{n}": {"type": "string", "description": f"what {n} is"} for n in range(20)}
    function = {"name": "f", "description": "does", "parameters": {"properties": names}}
    tools = [{"type": "function", "function": function}] * (count // 20)
    return {"messages": [], "tools": json.loads(json.dumps(tools))}


MANY = {"parts": (_parts, 20_000), "arguments": (_arguments, 20_000), "schemas": (_schemas, 12_000)}


async def many_texts(remembered: Callable[[Executor], Detector]) -> dict[str, Any]:
    """Seconds and the worst stall in ms, of each request as new and as one that is sent again."""
    sys.setswitchinterval(SWITCH_SECONDS)
    rows: dict[str, Any] = {}
    print(f"\nmany texts        {'new: ms':>10}{'stall':>8}{'again: ms':>12}{'stall':>8}")
    with ThreadPoolExecutor(2) as workbench:

        async def aside(work: Callable[[], T]) -> T:
            return await asyncio.get_running_loop().run_in_executor(workbench, work)

        for name, (make, count) in MANY.items():
            request = Request("chat", "m", make(count))
            means, row = Means(remembered(workbench), Settings()), []
            for _ in range(2):
                async with stall() as worst:
                    began = time.perf_counter()
                    await redact_body(request, PROFILE, ("o", "p"), means, aside)
                    row += [(time.perf_counter() - began) * 1e3, worst[0] * 1e3]
            rows[f"{count} {name}"] = row
            print(f"{count:7,} {name:10}{row[0]:10.0f}{row[1]:8.0f}{row[2]:12.0f}{row[3]:8.0f}")
    return rows
