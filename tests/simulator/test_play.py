"""An answer as ASGI, as a transcript: what the server is given, and when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.simulator.faults import Ending, Script, Write
from gateway.simulator.play import Listener, Play

WRITES = (Write(b"a", 1), Write(b"b", 2), Write(b"c", 3))


class Transcript:
    """Both sides of one exchange; the client leaves after it got `leaves_after` writes."""

    def __init__(self, leaves_after: int | None = None) -> None:
        self.lines: list[str] = []
        self.bodies = 0
        self.leaves_after = leaves_after
        self.gone = asyncio.Event()
        self._leave_if_due()

    def _leave_if_due(self) -> None:
        if self.leaves_after is not None and self.bodies >= self.leaves_after:
            self.gone.set()

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.lines.append(f"start {message['status']}")
            return
        self.bodies += bool(message["body"])
        end = "" if message["more_body"] else " end"
        self.lines.append(f"body {message['body'].decode()}{end}")
        self._leave_if_due()


def played(
    script: Script | None, leaves_after: int | None = None, delay: float = 0
) -> tuple[list[str], list[Any]]:
    """What was sent, and what the listener heard."""
    heard: list[Any] = []

    async def run() -> list[str]:
        transcript = Transcript(leaves_after)
        listener = Listener(heard.append, lambda: heard.append("left"))
        play: Callable[..., Awaitable[None]] = Play(script, listener, delay, 0.0, ())
        await play({}, transcript.receive, transcript.send)
        return transcript.lines

    return asyncio.run(run()), heard


def test_a_complete_answer_ends() -> None:
    sent, heard = played(Script(WRITES))
    assert sent == ["start 200", "body a", "body b", "body c", "body  end"]
    assert heard == [1, 2, 3]


def test_a_cut_answer_is_left_open() -> None:
    sent, heard = played(Script(WRITES[:2], Ending.CUT))
    assert sent == ["start 200", "body a", "body b"]
    assert heard == [1, 2]


def test_a_hanging_answer_waits_for_the_client_to_leave() -> None:
    sent, heard = played(Script(WRITES[:1], Ending.HANG), leaves_after=1)
    assert sent == ["start 200", "body a"]
    assert heard == [1, "left"]


def test_generation_stops_when_the_client_leaves() -> None:
    sent, heard = played(Script(WRITES * 100), leaves_after=2)
    assert sent[:3] == ["start 200", "body a", "body b"]
    assert len(sent) < 10
    assert heard[-1] == "left"


def test_a_client_that_leaves_during_the_delay_gets_nothing() -> None:
    assert played(Script(WRITES), leaves_after=0, delay=3600) == ([], ["left"])


def test_an_answer_that_never_comes_ends_with_the_client() -> None:
    assert played(None, leaves_after=0) == ([], ["left"])
