"""Grafana's variables filled in, and what a Prometheus answers to it."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ANSWER_SECONDS = 60
ALL = ".*"

Sample = tuple[float, float]
"""Unix seconds, and a value."""


@dataclass(frozen=True, slots=True)
class Series:
    labels: Mapping[str, str]
    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class Shown:
    """The time that a dashboard shows, in unix seconds, a sample each `step_seconds`; rates are
    over `rate_seconds`, which is what Grafana makes of `$__rate_interval`."""

    start: float
    end: float
    step_seconds: float
    rate_seconds: float

    def filled(self, expr: str, chosen: Mapping[str, str] | None = None) -> str:
        """The expression as Grafana sends it: `chosen` are variables with their values, all others
        stand for everything."""
        own = {
            "__rate_interval": f"{self.rate_seconds:.0f}s",
            "__interval": f"{max(self.step_seconds, 1):.0f}s",
            "__range": f"{self.end - self.start:.0f}s",
        }
        values = own | dict(chosen or {})
        return re.sub(r"\$(\w+)", lambda found: values.get(found[1], ALL), expr)


class Refused(Exception):
    """Prometheus did not take the query; the message is its own."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """The HTTP API of a Prometheus at `url`."""

    url: str

    def over(self, expr: str, shown: Shown) -> list[Series]:
        """Each series over the time shown. Raises Refused, and OSError."""
        asked = {"start": shown.start, "end": shown.end, "step": shown.step_seconds}
        found = self.ask("query_range", {"query": expr, **asked})["result"]
        return [Series(one["metric"], _samples(one["values"])) for one in found]

    def now(self, expr: str, at: float) -> list[Series]:
        """Each series as it is at one moment. Raises Refused, and OSError."""
        found = self.ask("query", {"query": expr, "time": at})
        if found["resultType"] == "scalar":
            return [Series({}, _samples([found["result"]]))]
        return [Series(one["metric"], _samples([one["value"]])) for one in found["result"]]

    def ask(self, what: str, asked: Mapping[str, Any]) -> Any:
        """What `/api/v1/<what>` answers. Raises Refused, and OSError."""
        url = f"{self.url}/api/v1/{what}"
        data = urllib.parse.urlencode(asked).encode() if asked else None
        try:
            with urllib.request.urlopen(url, data, ANSWER_SECONDS) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as problem:
            raise Refused(problem.read().decode(errors="replace")) from problem


def _samples(values: Sequence[tuple[float, str]]) -> list[Sample]:
    return [(float(time), float(value)) for time, value in values]
