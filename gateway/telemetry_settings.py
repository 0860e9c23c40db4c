"""The options of what the process tells: meters, traces, log lines."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.edge_settings import EdgeSettings
from gateway.setting_kinds import choice, integer, names, number, seconds, setting


@dataclass(frozen=True, slots=True)
class TelemetrySettings(EdgeSettings):
    """The second part of Settings, behind that of the ports."""

    meter_series_max: int = setting(
        20_000,
        integer(100, 10**7),
        "Most sets of label values of one meter; what is more is counted as `other`.",
    )
    meter_keys: str | None = setting(
        None,
        names("ids of keys", 1000),
        "Ids of the keys that have meters of their own, with commas between; the others have none.",
    )
    meter_genai: str = setting(
        "off",
        choice("on", "off"),
        "Whether there are meters by the names of OpenTelemetry's conventions for generative AI, "
        "too.",
    )
    otel: str = setting(
        "off",
        choice("on", "off"),
        "Whether traces and metrics go to OpenTelemetry's collector; OTEL_… variables say where.",
    )
    log_level: str = setting(
        "info", choice("debug", "info", "warning", "error"), "Least severe log line to write."
    )
    log_sample: float = setting(
        1.0,
        number(float, "a share", 0, 1),
        "Of requests that went well and were not slow, the share whose log line is written, with "
        "`sampled` in it. All others have their line.",
    )
    log_slow_seconds: float = setting(
        10.0, seconds(0, 3600), "A request that took so long has its log line, whatever the sample."
    )
