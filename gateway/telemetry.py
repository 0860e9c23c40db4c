"""Who is told of requests besides Prometheus, wired: nobody, or a collector of OpenTelemetry.

`GATEWAY_OTEL=on` switches it on; the rest is said by OpenTelemetry's own variables.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

from gateway import __version__
from gateway.beside import in_own_thread
from gateway.meters.metrics import Meters
from gateway.parts import Log, Parts
from gateway.scrape import look
from gateway.settings import Settings
from gateway.tracing.traces import Traced, Traces, Untraced

CLOSE_SECONDS: Final = 5.0
"""At the end, for what still waits to be sent."""
INTERVAL_MILLISECONDS: Final = 60_000
QUEUE_MAX: Final = 2048
PACKAGES: Final = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
SIGNALS: Final = ("traces", "metrics")


@dataclass(frozen=True, slots=True)
class Telemetry:
    """`work` must run beside the requests, by the name of the part."""

    traces: Traces = field(default_factory=Untraced)
    work: Mapping[str, Callable[[Parts], Coroutine[Any, Any, None]]] = field(default_factory=dict)


def meters_of(settings: Settings) -> Meters:
    """All meters, as the settings want them."""
    keys = (settings.meter_keys or "").split(",")
    return Meters(keys, settings.meter_series_max, genai=settings.meter_genai == "on")


def trouble(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """Why the telemetry that is asked for cannot be, and what to do; None where it can."""
    if not _is_on(settings, environ):
        return None
    if not all(map(_is_installed, PACKAGES)):
        return (
            "GATEWAY_OTEL is on, but OpenTelemetry is not installed. Install the gateway with its "
            "extra, completion-gateway[otel], or set GATEWAY_OTEL=off."
        )
    for signal in SIGNALS:
        exporter = environ.get(f"OTEL_{signal.upper()}_EXPORTER") or "otlp"
        if exporter not in ("otlp", "none"):
            return f"OTEL_{signal.upper()}_EXPORTER is {exporter!r}; expected one of otlp, none."
        for name in (
            f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL",
            "OTEL_EXPORTER_OTLP_PROTOCOL",
        ):
            protocol = environ.get(name) or "http/protobuf"
            if protocol != "http/protobuf":
                return f"{name} is {protocol!r}; this gateway speaks http/protobuf only."
    for name in ("OTEL_METRIC_EXPORT_INTERVAL", "OTEL_BSP_MAX_QUEUE_SIZE"):
        if not (environ.get(name) or "1").isdigit() or not int(environ.get(name) or 1):
            return f"{name} is {environ[name]!r}; expected a whole number above 0."
    return None


def _is_on(settings: Settings, environ: Mapping[str, str]) -> bool:
    return settings.otel == "on" and environ.get("OTEL_SDK_DISABLED", "").lower() != "true"


def _is_installed(package: str) -> bool:
    with suppress(ModuleNotFoundError):
        return find_spec(package) is not None
    return False


@asynccontextmanager
async def telling(
    settings: Settings, environ: Mapping[str, str], name: str, meters: Meters, log: Log
) -> AsyncIterator[Telemetry]:
    """As the settings say. `name` tells this process from all others. What still waits at the end
    is sent, for a few seconds; a collector that is away holds up nothing longer."""
    if not _is_on(settings, environ):
        yield Telemetry()
        return
    # Here and not above: without the extra these are not there.
    from gateway.backends.otlp import OtlpMetrics, OtlpSpans, resource_of, silence_library

    told = Told(meters, log)
    resource = resource_of(
        {
            "service.name": "completion-gateway",
            "service.version": __version__,
            "service.instance.id": name,
        }
    )
    queue_max = int(environ.get("OTEL_BSP_MAX_QUEUE_SIZE") or QUEUE_MAX)
    spans = OtlpSpans(resource, queue_max, told) if _wanted(environ, "TRACES") else None
    metrics = OtlpMetrics(told) if _wanted(environ, "METRICS") else None
    silence_library()
    work = {}
    if metrics is not None:
        seconds = int(environ.get("OTEL_METRIC_EXPORT_INTERVAL") or INTERVAL_MILLISECONDS) / 1000
        work["telemetry"] = partial(_send_metrics, metrics, resource, seconds)
    try:
        yield Telemetry(Traced(spans) if spans else Untraced(), work)
    finally:
        if spans is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await in_own_thread(spans.close)
        for one in (spans, metrics):
            if one is not None:
                one.give_up()


async def _send_metrics(metrics: Any, resource: Any, seconds: float, parts: Parts) -> None:
    """What a scrape would say, again and again, and once more at the end."""
    from gateway.backends.otlp_metrics import converted

    async def send() -> None:
        await look(parts)
        registry = parts.meters.registry
        start = registry.get_sample_value("gateway_start_time_seconds") or 0.0
        data = converted(registry.collect(), resource, start, parts.clock())
        await in_own_thread(partial(metrics.send, data))

    try:
        while True:
            await asyncio.sleep(seconds)
            await send()
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await send()


def _wanted(environ: Mapping[str, str], signal: str) -> bool:
    return environ.get(f"OTEL_{signal}_EXPORTER") != "none"


class Told:
    """Counts what did not arrive, and says once that a collector is away, and once that it is
    back. Called from any thread."""

    def __init__(self, meters: Meters, log: Log) -> None:
        self._meters = meters
        self._log = log
        self._away: set[str] = set()

    def __call__(self, signal: str, arrived: bool, lost: int) -> None:
        if lost:
            self._meters.telemetry_lost.labels(signal).inc(lost)
        if not arrived and signal not in self._away:
            self._away.add(signal)
            self._log.warning("telemetry_away", signal=signal)
        elif arrived and not lost and signal in self._away:
            self._away.discard(signal)
            self._log.info("telemetry_back", signal=signal)
