"""Every option of the gateway, once: name, type, default, help. Each is the environment variable
`GATEWAY_<NAME>` and a flag of `gateway serve`. Nothing else reads the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

from gateway.setting_kinds import (
    choice,
    integer,
    kept_days,
    processes,
    seconds,
    setting,
    text_of,
    url,
)
from gateway.telemetry_settings import TelemetrySettings

PREFIX = "GATEWAY_"


class SettingsError(Exception):
    """One or more settings cannot be used; each line names one and says what would be right.
    `expected`: the same by variable, without the value that was given; `usable`: all others."""

    def __init__(self, lines: list[str], expected: Mapping[str, str], usable: Settings) -> None:
        super().__init__("\n".join(lines))
        self.expected = expected
        self.usable = usable


@dataclass(frozen=True, slots=True)
class Settings(TelemetrySettings):
    """All options, parsed. Sizes in bytes, times in seconds."""

    database_url: str = setting(
        "sqlite:///var/gateway.db",
        url("sqlite", "postgresql", "postgres"),
        "Database of keys and usage: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME.",
        secret=True,
    )
    redis_url: str | None = setting(
        None,
        url("redis", "rediss"),
        "Redis of a ledger that several processes share: redis://HOST or rediss://…; without it, "
        "one process counts for itself.",
        secret=True,
    )
    redis_timeout_seconds: float = setting(
        2.0, seconds(0.01, 60), "Redis must answer by then; else the ledger is away."
    )
    redis_connections: int = setting(
        64, integer(1, 10**4), "Connections of one process to Redis, or to each node of a cluster."
    )
    stream_entries_max: int = setting(
        1_000_000,
        integer(1000, 10**9),
        "Entries that may wait in Redis for the database; beyond, requests are refused with 503.",
    )
    stream_claim_seconds: float = setting(
        30.0,
        seconds(0.1, 3600),
        "Entries that another process took from Redis and did not write by then are taken over.",
    )
    policies: str = setting("policies", text_of("a folder"), "Folder of the policy files.")
    policy_reload: str = setting(
        "on", choice("on", "off"), "Watch the policy folder and take changes over."
    )
    workers: int = setting(
        1,
        processes(1, 1024),
        "Processes; auto: one for each core that this one may use. More than 1 need "
        "GATEWAY_REDIS_URL. Each has an operations port of its own, counted up from "
        "GATEWAY_OPS_PORT.",
    )
    pepper: str | None = setting(
        None,
        text_of("at least 32 random characters"),
        "Secret under which keys are hashed; without it, the pepper file is used.",
        secret=True,
    )
    pepper_file: str = setting(
        "var/pepper", text_of("a file"), "File of the pepper; made on the first start with SQLite."
    )
    bootstrap: str = setting(
        "auto",
        choice("auto", "never"),
        "auto: with no keys at all and on loopback, make an admin key and a demo key.",
    )
    simulator_log: str = setting(
        "var/simulator.jsonl",
        text_of("a file"),
        "Where the built-in upstream logs what it received.",
    )
    json_depth_max: int = setting(
        64, integer(8, 500), "Deepest nesting of a request's JSON; more is answered with 400."
    )
    json_values_max: int = setting(
        1_000_000,
        integer(1000, 10**8),
        "Most commas in a request's JSON, which bound its values; more is answered with 400.",
    )
    choices_max: int = setting(
        128, integer(1, 10**4), "Largest `n` or `best_of`; more is answered with 400."
    )
    answer_bytes_max: int = setting(
        64 * 2**20,
        integer(1024, 2**31),
        "Largest answer, or event of a stream, taken from an upstream.",
    )
    requests_max: int = setting(
        1000, integer(1, 10**6), "Requests in work at once; more are answered with 503."
    )
    requests_per_key_max: int = setting(
        500,
        integer(1, 10**6),
        "Requests in work of one key at once, so that none takes all; more are answered with 429.",
    )
    upstream_connections_max: int = setting(
        1000, integer(1, 10**6), "Connections to all upstreams at once."
    )
    circuit_failures: int = setting(
        20,
        integer(0, 10**6),
        "An upstream that failed so often in a row (no connection, no answer in time, or 500 and "
        "above) is not asked for a while: 503. 0 asks always.",
    )
    circuit_window_seconds: float = setting(
        30.0, seconds(0.1, 3600), "Failures that are further apart than this are in no row."
    )
    circuit_open_seconds: float = setting(
        10.0, seconds(0.1, 3600), "After that, one request tries an upstream that failed."
    )
    redaction_threads: int = setting(2, integer(1, 256), "Threads that detect private text.")
    redaction_timeout_seconds: float = setting(
        5.0, seconds(0.01, 600), "Detection must be done by then; else the request is refused."
    )
    redaction_timeout_seconds_per_mib: float = setting(
        10.0, seconds(0, 600), "So much longer for each MiB of text."
    )
    ner_processes: int = setting(
        1, integer(1, 64), "Processes of each NER engine; every one has the model in memory."
    )
    ner_load_seconds: float = setting(
        60.0, seconds(0.1, 3600), "The start waits so long for models of NER engines and of OCR."
    )
    ocr_processes: int = setting(1, integer(1, 64), "Processes that read pictures.")
    ocr_timeout_seconds: float = setting(
        30.0, seconds(0.1, 600), "Pictures must be read by then, and be written by then again."
    )
    images_max: int = setting(20, integer(1, 10**4), "Most pictures of a request to be read.")
    image_bytes_max: int = setting(10 * 2**20, integer(1024, 2**31), "Largest picture read.")
    image_pixels_max: int = setting(40_000_000, integer(1000, 10**9), "Most pixels of one read.")
    image_side_max: int = setting(
        2048, integer(64, 10**5), "Pictures are read, and leave, with no longer side, in pixels."
    )
    images_remembered_max: int = setting(1000, integer(0, 10**6), "Pictures read only once.")
    redaction_remembered_max: int = setting(
        100_000,
        integer(0, 10**8),
        "Texts and findings in them that are remembered by a keyed hash, so that a text that is "
        "sent again is not looked at again: at most some 300 bytes each.",
    )
    redaction_bytes_max: int = setting(
        2 * 2**20, integer(1024, 2**31), "Most text of one request scanned; more is refused."
    )
    redaction_texts_max: int = setting(
        20_000,
        integer(1, 10**7),
        "Most texts of one request that are scanned (parts of messages, strings in tool arguments "
        "and schemas, …); more are refused.",
    )
    redaction_debug: str = setting(
        "off",
        choice("off", "on"),
        "Log where something was found in each request and what was done, without the values.",
    )
    database_wait_seconds: float = setting(
        60.0,
        seconds(0, 3600),
        "The start waits so long for a database on a server to be there and to have the tables of "
        "this version, which `gateway migrate` makes; an SQLite file is migrated by the start.",
    )
    database_threads: int = setting(4, integer(1, 256), "Threads that talk to the database.")
    journal_flush_seconds: float = setting(
        0.1, seconds(0.001, 60), "Usage is written at least that often."
    )
    journal_batch_max: int = setting(1000, integer(1, 10**5), "Entries in one transaction.")
    journal_pending_max: int = setting(
        100_000,
        integer(1, 10**8),
        "Unwritten entries that may wait; beyond, requests are refused with 503.",
    )
    entries_kept_days: int = setting(
        0,
        kept_days,
        "Entries of usage are deleted by whole months (UTC) when all of a month is older, unless a "
        "limit still counts by them; their sums stay. 0 keeps all.",
    )
    reservation_margin_seconds: float = setting(
        60.0,
        seconds(0, 3600),
        "A reservation outlives the upstream's times and the write timeout by this.",
    )
    generation_seconds: float = setting(
        5.0,
        seconds(0.05, 3600),
        "How often changes of keys and grants are passed on to Redis, should the command that made "
        "them not have come to it.",
    )
    keys_kept_max: int = setting(
        100_000, integer(1, 10**8), "Keys that are kept in memory once they were looked up."
    )
    sweep_seconds: float = setting(
        5.0, seconds(0.05, 3600), "How often reservations that nobody came back for are booked."
    )
    drain_seconds: float = setting(
        0.0,
        seconds(0, 600),
        "After SIGTERM, keep serving so long while probes already say that this is not ready.",
    )
    shutdown_grace_seconds: float = setting(
        30.0, seconds(0, 3600), "After SIGTERM, requests in work have this long to finish."
    )


def settings_fields() -> tuple[Field[Any], ...]:
    return fields(Settings)


def load(flags: Mapping[str, str | None], environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from flags, then the environment, then the defaults.

    An empty variable counts as not set. Raises SettingsError that names every wrong value."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    wrong: list[str] = []
    expected: dict[str, str] = {}
    for option in settings_fields():
        variable = PREFIX + option.name.upper()
        text = flags.get(option.name)
        text = environ.get(variable) if text is None else text
        if text is None or text == "":
            continue
        try:
            values[option.name] = option.metadata["parse"](text)
        except ValueError as error:
            shown = "the value given" if option.metadata["secret"] else repr(text)
            wrong.append(f"{variable}: {shown} is not usable; expected {error}")
            expected[variable] = str(error)
    if wrong:
        raise SettingsError(wrong, expected, Settings(**values))
    return Settings(**values)


def default_of(option: Field[Any]) -> Any:
    return None if option.default is MISSING else option.default


def environment() -> Mapping[str, str]:
    """The process' environment, for what policies name (keys of upstreams)."""
    return os.environ
