"""Wires settings to parts. The only room, beside the commands, that knows the backends."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from gateway.access import Access
from gateway.accounts import Sources, kept
from gateway.backends.database import Database
from gateway.backends.entities import SELECTABLE
from gateway.backends.http_upstream import HttpUpstream
from gateway.backends.ner_pool import NerPool
from gateway.backends.ocr_reader import OcrReader, lacks, reader_of
from gateway.backends.policy_folder import read_folder, watch
from gateway.backends.presidio_detector import Patience, PresidioDetector
from gateway.backends.recognizers.custom import examine
from gateway.backends.sql_grants import SqlGrants
from gateway.backends.sql_keyring import SqlKeyring
from gateway.errors import Unavailable
from gateway.forward import Target
from gateway.logs import place_of
from gateway.metrics import Meters
from gateway.openai.tokens import warm
from gateway.parts import Parts
from gateway.policy.live import Live, Read
from gateway.policy.policy import Policy, UpstreamPolicy, WithoutKey
from gateway.privacy.ensemble import Ensemble
from gateway.privacy.pictures import RememberedReader
from gateway.privacy.redact import DetectionFailed
from gateway.privacy.remembered import Remembered
from gateway.settings import Settings

SIMULATOR_KEY = "sk-simulated"


def resolver(
    environ: Mapping[str, str], simulator_url: Callable[[], str]
) -> Callable[[UpstreamPolicy], Target]:
    """Names a policy's upstream as a Target: URL and key out of the environment, or simulated."""

    def resolve(upstream: UpstreamPolicy) -> Target:
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


def is_simulated(upstream: UpstreamPolicy, environ: Mapping[str, str]) -> bool:
    """Whether the built-in upstream answers for this one."""
    if upstream.simulated:
        return True
    keyless = bool(upstream.api_key_env) and not environ.get(upstream.api_key_env or "")
    return keyless and upstream.without_key is WithoutKey.SIMULATE


def simulated_upstreams(policy: Policy, environ: Mapping[str, str]) -> list[str]:
    """Names of the policy's upstreams for which the built-in one answers."""
    return [name for name, up in policy.upstreams.items() if is_simulated(up, environ)]


@asynccontextmanager
async def assembled(
    settings: Settings,
    policy: Policy,
    pepper: bytes,
    environ: Mapping[str, str],
    simulator_url: Callable[[], str],
    log: Any,
) -> AsyncIterator[Parts]:
    """Everything that an exchange works with, started; stopped in the reverse order, so that the
    journal is written out last."""
    async with AsyncExitStack() as stack:
        meters = Meters()
        meters.start_time.set(time.time())
        database = Database(settings.database_url, settings.database_threads)
        stack.push_async_callback(database.aclose)
        accounts = await stack.enter_async_context(
            kept(settings, database, Sources(time.time, os.urandom), log, meters.record)
        )
        detector = PresidioDetector(settings.redaction_threads, _patience(settings))
        stack.push_async_callback(detector.aclose)
        ner = NerPool(settings.ner_processes, settings.ner_load_seconds)
        stack.push_async_callback(ner.aclose)
        ocr = reader_of(settings)
        stack.callback(ocr.close)
        upstream = HttpUpstream(settings.upstream_connections_max)
        stack.push_async_callback(upstream.aclose)
        workbench = stack.enter_context(ThreadPoolExecutor(2, thread_name_prefix="workbench"))
        await asyncio.get_running_loop().run_in_executor(workbench, warm)
        await detector.warm()
        _keep_out_of_collections()
        parts = Parts(
            settings=settings,
            policies=Live(policy),
            access=Access(
                SqlKeyring(database), SqlGrants(database, time.time), settings.keys_kept_max
            ),
            ledger=accounts.ledger,
            journal=accounts.journal,
            detector=Ensemble(
                Remembered(detector, os.urandom(32), settings.redaction_remembered_max),
                Remembered(ner, os.urandom(32), settings.redaction_remembered_max),
                meters.redactions_without_ner.inc,
            ),
            watching=detector,
            reader=RememberedReader(ocr, os.urandom(32), settings.images_remembered_max),
            upstream=upstream,
            resolve=resolver(environ, simulator_url),
            pepper=pepper,
            meters=meters,
            log=log,
            clock=time.time,
            stopwatch=time.perf_counter,
            random_bytes=os.urandom,
            workbench=workbench,
        )
        parts.meters.use_policy(policy.digest, parts.clock())
        await _prepare(parts, ner, ocr)
        parts.checks.update(_checks(parts, database, accounts.trouble))
        _tell_abandoned(accounts.abandoned, parts)
        background: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "policy": partial(_follow_policies, parts, environ, ner, ocr),
            "sweep": partial(_sweep, parts),
            **accounts.work,
        }
        for part, work in background.items():
            task = asyncio.create_task(work())
            task.add_done_callback(partial(_notice_end, part, parts))
            stack.push_async_callback(_stopped, task)
        yield parts


def _patience(settings: Settings) -> Patience:
    return Patience(settings.redaction_timeout_seconds, settings.redaction_timeout_seconds_per_mib)


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _notice_end(part: str, parts: Parts, task: asyncio.Task[None]) -> None:
    """Work in the background that ends by itself, or breaks, is told and shown."""
    if task.cancelled():
        return
    if (error := task.exception()) is not None:
        parts.meters.degraded.labels(part).set(1)
        parts.log.error("background_work_ended", part=part, **place_of(error))


def _checks(
    parts: Parts, database: Database, trouble: Callable[[], str | None]
) -> dict[str, Callable[[], Awaitable[str | None]]]:
    """What readiness means: each check returns None, or a sentence that says what is wrong."""

    async def schema() -> str | None:
        return await database.trouble(writable=False)

    async def journal() -> str | None:
        return "usage cannot be written" if parts.journal.state(parts.clock()).full else None

    async def ledger() -> str | None:
        return trouble()

    async def lifecycle() -> str | None:
        return "shutting down" if parts.state.draining else None

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
    }


def _keep_out_of_collections() -> None:
    """What was built until now lives as long as the process. A garbage collection that walks over
    it, some 100 ms, would hold up every request."""
    gc.collect()
    gc.freeze()


async def _follow_policies(
    parts: Parts, environ: Mapping[str, str], ner: NerPool, ocr: OcrReader
) -> None:
    """Take changes of the policy folder over: build, validate, swap; keep the old one on errors."""
    path = parts.settings.policies
    if parts.settings.policy_reload == "off":
        return
    seen = await asyncio.to_thread(read_folder, path)
    await _reload(parts, lambda: seen, environ, ner, ocr)
    async for _ in watch(path, seen=seen):
        await _reload(parts, lambda: read_folder(path), environ, ner, ocr)


async def _reload(
    parts: Parts, read: Read, environ: Mapping[str, str], ner: NerPool, ocr: OcrReader
) -> None:
    old = parts.policies.current.digest
    parsed = await parts.policies.reload(read, SELECTABLE, environ, examine, lacks)
    parts.meters.degraded.labels("policy").set(0 if parsed.policy else 1)
    if parsed.policy is None:
        parts.meters.policy_failures.inc()
        problems = [str(problem) for problem in parsed.problems]
        parts.log.error("policy_refused", kept=old, problems=problems)
    elif parsed.policy.digest != old:
        parts.meters.use_policy(parsed.policy.digest, parts.clock())
        parts.log.info("policy_taken_over", digest=parsed.policy.digest, replaced=old)
        await _prepare(parts, ner, ocr)


async def _prepare(parts: Parts, ner: NerPool, ocr: OcrReader) -> None:
    """Load the models of the policy in force. One that does not load fails the requests that need
    it, or they go on without, as the policy says."""
    policy = parts.policies.current
    problem_of_ocr = await ocr.prepare(policy.reads_pictures())
    parts.meters.degraded.labels("ocr").set(1 if problem_of_ocr else 0)
    if problem_of_ocr:
        parts.log.error("ocr_not_loaded", problem=problem_of_ocr)
    problems = await ner.prepare(policy.ner_engines())
    parts.meters.degraded.labels("ner").set(1 if problems else 0)
    for problem in problems:
        parts.log.error("ner_not_loaded", problem=problem)


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
