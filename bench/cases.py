"""What is asked of every contestant: a table."""

from __future__ import annotations

from dataclasses import dataclass

from load_request import Load


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of load. Closed with `connections`, else open at `per_second`. `quick` ones are in
    the quick mode; `peers` are those that slow peers can take."""

    connections: int = 0
    per_second: float = 0.0
    stream: bool = False
    prompt_bytes: int = 200
    delay_ms: int = 0
    quick: bool = False
    peers: bool = False

    @property
    def name(self) -> str:
        kind = "sse" if self.stream else "json"
        how = f"{self.per_second:g}/s" if self.per_second else f"{self.connections}c"
        delay = f" {self.delay_ms}ms" if self.delay_ms else ""
        return f"{kind} {self.prompt_bytes}B {how}{delay}"

    def load(self, port: int, headers: dict[str, str], seconds: float, first: int) -> Load:
        return Load(
            port=port,
            seconds=seconds,
            connections=self.connections,
            per_second=self.per_second,
            stream=self.stream,
            prompt_bytes=self.prompt_bytes,
            model=f"bench-{self.delay_ms}ms" if self.delay_ms else "bench",
            headers=headers,
            first=first,
        )


JSON_ONE = Case(connections=1, quick=True, peers=True)
JSON_BUSY = Case(connections=64, quick=True, peers=True)
JSON_RATE = Case(per_second=500, quick=True)
SSE_BUSY = Case(connections=64, stream=True, quick=True, peers=True)
SSE_RATE = Case(per_second=100, stream=True, quick=True)
"""Those that the bars are about."""

CASES = (
    JSON_ONE,
    Case(connections=16),
    JSON_BUSY,
    Case(connections=256),
    Case(connections=64, prompt_bytes=2000),
    Case(connections=64, prompt_bytes=20_000),
    Case(connections=256, delay_ms=50),
    JSON_RATE,
    Case(per_second=500, delay_ms=50),
    Case(connections=1, stream=True),
    SSE_BUSY,
    Case(connections=256, stream=True, delay_ms=50),
    SSE_RATE,
)
