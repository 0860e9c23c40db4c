"""Several processes of `gateway serve` on one port: start them, start again what died, stop all.

They share nothing but the port (SO_REUSEPORT: the kernel deals connections out), Redis and the
database; each has an operations port of its own, counted up from GATEWAY_OPS_PORT.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from gateway.cli.console import EXIT_USAGE, CommandError
from gateway.parts import Log
from gateway.settings import PREFIX, Settings, settings_fields

PAUSE_SECONDS = 1.0  # before a worker that died is started again
WORKER_STOP_SECONDS = 10.0  # beyond a worker's own grace, before it is killed


async def supervise(settings: Settings, environ: Mapping[str, str], log: Log) -> int:
    """Run until SIGTERM or SIGINT; the exit code: 0, or that of the first worker that failed to
    stop well."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    workers = [
        _keep_running(index, settings, environ, stop, log) for index in range(settings.workers)
    ]
    codes = await asyncio.gather(*workers)
    return next((code for code in codes if code), 0)


def check_workers(settings: Settings) -> None:
    """Raises CommandError where several processes cannot keep one account, or not be told apart."""
    if settings.workers == 1:
        return
    if settings.redis_url is None:
        raise CommandError(
            f"{PREFIX}WORKERS is {settings.workers}, but the embedded ledger counts in one process "
            f"only, and several would overspend. Set {PREFIX}REDIS_URL to a Redis that they share, "
            f"or {PREFIX}WORKERS=1.",
            EXIT_USAGE,
        )
    if settings.port == 0 or settings.ops_port == 0:
        raise CommandError(
            f"with {PREFIX}WORKERS={settings.workers}, {PREFIX}PORT and {PREFIX}OPS_PORT must not "
            "be 0: the workers share the one, and count up from the other.",
            EXIT_USAGE,
        )


async def _keep_running(
    index: int, settings: Settings, environ: Mapping[str, str], stop: asyncio.Event, log: Log
) -> int:
    """One worker, started again whenever it dies; its exit code once all are to stop."""
    own = _environ(index, settings, environ)
    while True:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.cli.main", "serve", env=own, start_new_session=True
        )
        ended = asyncio.ensure_future(process.wait())
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            return await _stopped(process, settings)
        stopping.cancel()
        log.error("worker_died", worker=index, exit_code=ended.result())
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PAUSE_SECONDS)
            return 0


async def _stopped(process: asyncio.subprocess.Process, settings: Settings) -> int:
    with suppress(ProcessLookupError):
        process.terminate()
    patience = settings.drain_seconds + settings.shutdown_grace_seconds + WORKER_STOP_SECONDS
    try:
        return await asyncio.wait_for(process.wait(), patience)
    except TimeoutError:
        process.kill()
        return await process.wait()


def _environ(index: int, settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """What a worker is told: all settings of this process, and what is its own."""
    told: dict[str, Any] = {
        option.name: getattr(settings, option.name) for option in settings_fields()
    }
    told |= {
        "workers": 1,
        "reuse_port": "on",
        "ops_port": settings.ops_port + index,
        "bootstrap": settings.bootstrap if index == 0 else "never",
    }
    return dict(environ) | {
        PREFIX + name.upper(): str(value) for name, value in told.items() if value is not None
    }
