"""What running gateways tell on their operations ports: counters and meters."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway.backends.sql_reconcile import FIGURES
from gateway.cli.console import EXIT_UNAVAILABLE, CommandError
from gateway.meters.exposition import samples
from gateway.usage.readings import Reading
from gateway.usage.reconcile import Counter

ASK_SECONDS = 30.0
BYTES_MAX = 256 * 2**20


def counters_of(url: str) -> tuple[int, list[Counter]]:
    """How many entries wait to be written, and every counter, before those were written. Raises
    CommandError."""
    raw = _fetched(f"{url.rstrip('/')}/counters", f"{url} does not tell its counters")
    try:
        head, *lines = map(json.loads, raw.decode().splitlines())
        counters = [_counter(line) for line in lines]
        total, waiting = int(head["counters"]), int(head["pending"]) + int(head["owed"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CommandError(
            f"{url}/counters answers with something else; is it the operations port of a gateway "
            "of this version?",
            EXIT_UNAVAILABLE,
        ) from None
    if total != len(counters):
        raise CommandError(
            f"{url} has {total} counters and told {len(counters)} of them.", EXIT_UNAVAILABLE
        )
    return waiting, [counter for counter in counters if counter.measure in FIGURES]


def _counter(line: Any) -> Counter:
    until = line["until"]
    return Counter(
        subject=tuple((str(name), str(value)) for name, value in line["subject"].items()),
        measure=str(line["measure"]),
        window=str(line["window"]),
        since=float(line["since"]),
        until=None if until is None else float(until),
        used=int(line["used"]),
        reserved=int(line["reserved"]),
    )


def readings_of(places: Sequence[str]) -> list[Reading]:
    """What /metrics says: of URLs (of an operations port, or whole) and files. Raises
    CommandError."""
    return [_reading(place) for place in places]


def _reading(place: str) -> Reading:
    if place.startswith(("http://", "https://")):
        url = place if urlsplit(place).path.strip("/") else f"{place.rstrip('/')}/metrics"
        raw = _fetched(url, f"{place} does not tell its meters")
    else:
        raw = read_file(Path(place))
    try:
        return Reading.of(place, samples(raw.decode()))
    except ValueError as problem:
        raise CommandError(
            f"{place} is not what /metrics of a gateway of this version says: {problem}.",
            EXIT_UNAVAILABLE,
        ) from None


def _fetched(url: str, what_fails: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=ASK_SECONDS) as answer:
            raw: bytes = answer.read(BYTES_MAX + 1)
            return raw
    except (OSError, ValueError, HTTPException) as error:
        told = getattr(error, "reason", None) or error
        raise CommandError(f"{what_fails}: {told}.", EXIT_UNAVAILABLE) from None


def read_file(path: Path) -> bytes:
    """All of it. Raises CommandError."""
    try:
        if path.stat().st_size > BYTES_MAX:
            raise CommandError(f"{path} is too large; export fewer days.", EXIT_UNAVAILABLE)
        return path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}."
        raise CommandError(message, EXIT_UNAVAILABLE) from None
