"""What the load generator sends, and how a streamed answer is read."""

from __future__ import annotations

import json
import re
import string
from dataclasses import dataclass, field
from typing import Any

from fake_upstream import unframed

PATH = "/v1/chat/completions"
SERIAL_LETTERS = 6
PROSE = "the report of last week is late because two parts came after the others had left and "


@dataclass(frozen=True, slots=True)
class Load:
    """What to send. `connections` for a closed loop, or `per_second` for an open one; `first` is
    the number of the first request, by which its text differs from all others."""

    port: int
    seconds: float
    connections: int = 0
    per_second: float = 0.0
    stream: bool = False
    prompt_bytes: int = 200
    model: str = "bench"
    headers: dict[str, str] = field(default_factory=dict)
    first: int = 0


def whom(number: int) -> bytes:
    """The address that request `number` is about, always of the same length."""
    letters = []
    for _ in range(SERIAL_LETTERS):
        number, letter = divmod(number, 26)
        letters.append(string.ascii_lowercase[letter])
    return f"ada.{''.join(reversed(letters))}@example.com".encode()


def request_parts(load: Load) -> tuple[bytes, bytes]:
    """A request before and behind its address."""
    here = "@WHOM@"
    start = f"Write to {here} that "
    room = load.prompt_bytes - len(start) + len(here) - len(whom(0))
    text = start + (PROSE * (room // len(PROSE) + 1))[:room]
    body: dict[str, Any] = {"model": load.model, "max_tokens": 256}
    body["messages"] = [{"role": "user", "content": text}]
    if load.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    before, _, behind = json.dumps(body).partition(here)
    length = len(before) + len(whom(0)) + len(behind)
    told = {"host": f"127.0.0.1:{load.port}", "content-type": "application/json", **load.headers}
    told["content-length"] = str(length)
    head = f"POST {PATH} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"{head}\r\n{before}".encode(), behind.encode()


def streamed_text(answer: bytes) -> str:
    """What the model said, out of a whole stream in chunks, which may cut events anywhere."""
    body = unframed(answer.partition(b"\r\n\r\n")[2])
    events = re.findall(rb"data: (\{.*\})", body)
    choices = [choice for event in events for choice in json.loads(event)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)
