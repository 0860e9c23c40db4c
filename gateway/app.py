"""Wires settings to parts. The only room, beside the commands, that knows the backends."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from gateway.access import Access
from gateway.accounts import Accounts, Sources, embedded
from gateway.backends.database import Database
from gateway.backends.entities import SELECTABLE
from gateway.backends.examine import examine
from gateway.backends.http_upstream import HttpUpstream
from gateway.backends.policy_folder import Folder, read_folder, watch
from gateway.backends.sql_grants import SqlGrants
from gateway.backends.sql_keyring import SqlKeyring
from gateway.background import done_with, fault_of, kept_up
from gateway.beside import beside_requests, in_own_thread, keep_out_of_collections
from gateway.detection import detecting
from gateway.drawn_ahead import DrawnAhead
from gateway.errors import Unavailable
from gateway.forward import Patience, Target
from gateway.guard import circuits_of
from gateway.loading import Prepare, load_models, models_lacking, wanted_by
from gateway.logs.log import place_of
from gateway.meters.metrics import Meters
from gateway.openai.tokens import warm
from gateway.parts import Parts
from gateway.policy.live import Live
from gateway.policy.policy import Policy, UpstreamPolicy
from gateway.privacy.redact import DetectionFailed
from gateway.retention import make_partitions_forever, prune_forever
from gateway.settings import Settings
from gateway.simulated import is_simulated
from gateway.telemetry import telling

SIMULATOR_KEY = "sk-simulated"


def resolver(
    environ: Mapping[str, str], simulator_url: Callable[[], str]
) -> Callable[[UpstreamPolicy], Target]:
    """Names a policy's upstream as a Target: URL and key out of the environment, or simulated.

    Each is made once: a policy that is taken over has new ones."""
    made: dict[str, tuple[UpstreamPolicy, Target]] = {}

    def resolve(upstream: UpstreamPolicy) -> Target:
        known = made.get(upstream.name)
        if known is None or known[0] is not upstream:
            known = made[upstream.name] = upstream, target_of(upstream)
        return known[1]

    def target_of(upstream: UpstreamPolicy) -> Target:
        api_key = environ.get(upstream.api_key_env or "") or None
        base_url = environ.get(upstream.base_url_env or "") or upstream.base_url
        if is_simulated(upstream, environ):
            base_url, api_key = simulator_url(), SIMULATOR_KEY
        elif upstream.api_key_env and api_key is None:
            raise Unavailable(
                f"The upstream {upstream.name} has no key: set {upstream.api_key_env} in the "
                "environment of the gateway.",
                code="upstream_key_missing",
            )
        return Target(
            name=upstream.name,
            base_url=base_url.rstrip("/"),
            api_key=api_key,
            connect_timeout_seconds=upstream.connect_timeout_seconds,
            idle_timeout_seconds=upstream.idle_timeout_seconds,
            total_timeout_seconds=upstream.total_timeout_seconds,
            retries=upstream.retries,
        )

    return resolve


@asynccontextmanager
async def assembled(
    settings: Settings,
    policy: Policy,
    pepper: bytes,
    environ: Mapping[str, str],
    simulator_url: Callable[[], str],
    log: Any,
    meters: Meters,
) -> AsyncIterator[Parts]:
    """Everything that an exchange works with, started; stopped in the reverse order, so that the
    journal is written out last."""
    async with AsyncExitStack() as stack:
        meters.start_time.set(time.time())
        telemetry = await stack.enter_async_context(
            telling(settings, environ, os.urandom(8).hex(), meters, log)
        )
        database = Database(settings.database_url, settings.database_threads)
        stack.push_async_callback(database.aclose)
        accounts = await stack.enter_async_context(
            _kept(settings)(settings, database, Sources(time.time, os.urandom), log, meters.record)
        )
        workbench = stack.enter_context(ThreadPoolExecutor(2, thread_name_prefix="workbench"))
        detection = await stack.enter_async_context(
            detecting(settings, os.urandom, workbench, meters.redactions_without_ner.inc)
        )
        circuits = circuits_of(settings, meters, log)
        upstream = HttpUpstream(settings.upstream_connections_max)
        stack.push_async_callback(upstream.aclose)
        await asyncio.to_thread(warm, policy.tokenizers())
        keep_out_of_collections()
        parts = Parts(
            settings=settings,
            policies=Live(policy),
            access=Access(
                SqlKeyring(database), SqlGrants(database, time.time), settings.keys_kept_max
            ),
            ledger=accounts.ledger,
            journal=accounts.journal,
            detector=detection.detector,
            watching=detection.watching,
            reader=detection.reader,
            upstream=upstream,
            resolve=resolver(environ, simulator_url),
            pepper=pepper,
            meters=meters,
            log=log,
            clock=time.time,
            stopwatch=time.perf_counter,
            id_bytes=DrawnAhead(os.urandom),
            workbench=workbench,
            patience=Patience(dice=lambda: os.urandom(1)[0] / 255),
            circuits=circuits,
            traces=telemetry.traces,
        )
        parts.meters.use_policy(policy.digest, parts.clock())
        await load_models(parts, detection.prepare)
        parts.checks.update(_checks(parts, database, accounts.trouble))
        _tell_abandoned(accounts.abandoned, parts)
        follow = partial(
            _follow_policies, parts, environ, detection.prepare, accounts.rules_changed
        )
        beside = _background(parts, follow, database) | accounts.work
        beside |= {part: partial(send, parts) for part, send in telemetry.work.items()}
        for part, work in beside.items():
            task = asyncio.create_task(kept_up(part, work, parts))
            stack.push_async_callback(_stopped, task)
        yield parts


def _background(
    parts: Parts, follow: Callable[[], Coroutine[Any, Any, None]], database: Database
) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
    """What runs beside requests, by the part that it keeps whole."""
    work: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
        "sweep": partial(_sweep, parts),
        "retention": partial(prune_forever, parts, database),
    }
    if not database.is_sqlite:
        work["partitions"] = partial(make_partitions_forever, parts, database)
    if parts.settings.policy_reload == "on":
        work["policy"] = follow
    return work


def _kept(settings: Settings) -> Callable[..., AbstractAsyncContextManager[Accounts]]:
    """How accounts are kept. Those that are shared bring Redis, which no others need."""
    if settings.redis_url:
        from gateway.accounts_shared import shared

        return shared
    return embedded


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _checks(
    parts: Parts, database: Database, trouble: Callable[[], str | None]
) -> dict[str, Callable[[], Awaitable[str | None]]]:
    """What readiness means: each check returns None, or a sentence that says what is wrong."""

    async def schema() -> str | None:
        is_shared = parts.settings.redis_url is not None  # Redis keeps accounts meanwhile
        return await database.trouble(writable=False, newer_will_do=True, away_will_do=is_shared)

    async def journal() -> str | None:
        return "usage cannot be written" if parts.journal.state(parts.clock()).full else None

    async def ledger() -> str | None:
        return trouble()

    async def lifecycle() -> str | None:
        return "shutting down" if parts.state.draining else None

    async def background() -> str | None:
        return "; ".join(f"{part} {why}" for part, why in parts.state.ended.items()) or None

    async def ner() -> str | None:
        return models_lacking(parts, "ner")

    async def ocr() -> str | None:
        return models_lacking(parts, "ocr")

    async def detector() -> str | None:
        try:
            await parts.detector.detect(["a@example.com"], frozenset({"EMAIL_ADDRESS"}))
        except DetectionFailed as problem:
            return str(problem)
        return None

    return {
        "schema": schema,
        "journal": journal,
        "ledger": ledger,
        "lifecycle": lifecycle,
        "detector": detector,
        "ner": ner,
        "ocr": ocr,
        "background": background,
    }


async def _follow_policies(
    parts: Parts, environ: Mapping[str, str], prepare: Prepare, changed: Callable[[], None]
) -> None:
    """Take changes of the policy folder over: build, validate, swap; keep the old one on errors.
    `changed` is told of each that was taken over."""
    path = parts.settings.policies
    seen = await in_own_thread(lambda: read_folder(path))
    await _reload(parts, seen, environ, prepare, changed)
    async for found in watch(path, seen=seen):
        await _reload(parts, found, environ, prepare, changed)


async def _reload(
    parts: Parts, found: Folder, environ: Mapping[str, str], prepare: Prepare,
    changed: Callable[[], None],
) -> None:  # fmt: skip
    old, before = parts.policies.current.digest, wanted_by(parts.policies.current)
    reading = asyncio.create_task(
        parts.policies.reload(lambda: found, SELECTABLE, environ, examine)
    )
    with beside_requests():
        await done_with(reading)
    if fault := fault_of(reading):  # ours, and no reason to stop looking for the next change
        parts.meters.degraded.labels("policy").set(1)
        parts.meters.policy_failures.inc()
        parts.log.error("policy_refused", kept=old, problems=[], **place_of(fault))
        return
    parsed = reading.result()
    parts.meters.degraded.labels("policy").set(0 if parsed.policy else 1)
    if parsed.policy is None:
        parts.meters.policy_failures.inc()
        wrong = [problem for problem in parsed.problems if problem.severity == "error"]
        parts.log.error(
            "policy_refused", kept=old, problems=[problem.place for problem in wrong],
            text="`gateway check` says what is wrong there.",
        )  # fmt: skip
    elif parsed.policy.digest != old:
        changed()
        await asyncio.to_thread(warm, parsed.policy.tokenizers())
        keep_out_of_collections(whole=False)
        parts.meters.use_policy(parsed.policy.digest, parts.clock())
        parts.log.info("policy_taken_over", digest=parsed.policy.digest, replaced=old)
        await load_models(parts, prepare, before)


async def _sweep(parts: Parts) -> None:
    """Book reservations that nobody came back for."""
    while True:
        await asyncio.sleep(parts.settings.sweep_seconds)
        try:
            abandoned = await parts.ledger.sweep(parts.clock())
        except Unavailable as problem:
            parts.meters.degraded.labels("sweep").set(1)
            parts.log.error("sweep_failed", code=problem.code)
            continue
        parts.meters.degraded.labels("sweep").set(0)
        _tell_abandoned(abandoned, parts)


def _tell_abandoned(count: int, parts: Parts) -> None:
    if count:
        parts.meters.reservations_abandoned.inc(count)
        parts.log.warning("reservations_abandoned", count=count)
