"""What the gateway shall reach, beside what it did in this run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cases import JSON_BUSY, JSON_RATE, SSE_BUSY, SSE_RATE

Medians = Mapping[tuple[str, str], Mapping[str, float]]
"""By case and contestant."""
GOVERNED = "gateway-redaction"
LEAST = "gateway-open"


@dataclass(frozen=True, slots=True)
class Bar:
    """`figure` of the run in `unit`, which shall be at least, or else at most, `bound`."""

    what: str
    unit: str
    bound: float
    at_least: bool
    figure: Callable[[Medians, Mapping[str, Mapping[str, float]]], float]

    def verdict(
        self, medians: Medians, starts: Mapping[str, Mapping[str, float]], is_quiet: bool = True
    ) -> str:
        """A line. What this run did not measure is said so, and is not met; where others had the
        core, what is not met is not judged."""
        sign = ">=" if self.at_least else "<="
        bound = f"{sign} {self.bound:,g} {self.unit}"
        try:
            value = self.figure(medians, starts)
        except KeyError:
            return f"{self.what:52}{bound:>20}{'-':>12}  not measured in this run"
        met = value >= self.bound if self.at_least else value <= self.bound
        judged = "met" if met else "NOT MET" if is_quiet else "not met, on a machine not quiet"
        return f"{self.what:52}{bound:>20}{value:>12,.4g}  {judged}"


def _of(case: str, figure: str) -> Callable[..., float]:
    return lambda medians, starts: medians[case, GOVERNED][figure]


def _times(peer: str) -> Callable[..., float]:
    def ratio(medians: Medians, starts: object) -> float:
        name = JSON_BUSY.name
        return medians[name, LEAST]["per_second"] / medians[name, peer]["per_second"]

    return ratio


def _start(figure: str) -> Callable[..., float]:
    return lambda medians, starts: starts[GOVERNED][figure]


BARS = (
    Bar("JSON, 64 connections", "req/s", 3000, True, _of(JSON_BUSY.name, "per_second")),
    Bar("JSON, 64 connections: CPU", "us", 330, False, _of(JSON_BUSY.name, "cpu_us")),
    Bar("JSON, 500 req/s: added p50", "ms", 0.5, False, _of(JSON_RATE.name, "added_p50")),
    Bar("JSON, 500 req/s: added p99", "ms", 2, False, _of(JSON_RATE.name, "added_p99")),
    Bar("SSE, 64 connections", "streams/s", 1200, True, _of(SSE_BUSY.name, "per_second")),
    Bar("SSE, 100 streams/s: added first token, p50", "ms", 1, False,
        _of(SSE_RATE.name, "added_first")),
    Bar("least governance, against LiteLLM: req/s", "x", 20, True, _times("litellm")),
    Bar("least governance, against Portkey: req/s", "x", 2, True, _times("portkey")),
    Bar("idle memory", "MB", 150, False, _start("idle_mb")),
    Bar("first answer after start", "s", 3, False, _start("start_seconds")),
)  # fmt: skip
"""Of the gateway with quotas and redaction, where nothing else is said."""
