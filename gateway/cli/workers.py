"""Several processes of `gateway serve` on one port: start them, start again what died, stop all.

They share nothing but the port (SO_REUSEPORT: the kernel deals connections out), Redis and the
database; each has an operations port of its own, counted up from GATEWAY_OPS_PORT.

The supervisor holds one end of a pipe to each worker, so that none outlives it (worker.py).
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from gateway.cli.console import EXIT_UNAVAILABLE, EXIT_USAGE, EXIT_WRONG, CommandError
from gateway.parts import Log
from gateway.settings import PREFIX, Settings, settings_fields

PORT_MAX = 65535
WORKER = (sys.executable, "-m", "gateway.cli.worker")


@dataclass(frozen=True, slots=True)
class Patience:
    """With workers. `stop_seconds` are beyond a worker's own grace, before it is killed: for the
    last words of what was cut, and to write all entries out."""

    pause_seconds: float = 1.0
    quick_seconds: float = 30.0
    quick_ends_max: int = 5
    stop_seconds: float = 40.0

    def pause_after(self, quick_ends: int) -> float:
        """Seconds before a worker is started again that ended quickly so often in a row."""
        return self.pause_seconds * 2.0**quick_ends


def patience_for(settings: Settings) -> Patience:
    """A start that waited for the database in vain is a quick end, too."""
    usual = Patience()
    return replace(usual, quick_seconds=usual.quick_seconds + settings.database_wait_seconds)


class Supervisor:
    """Keeps as many workers running as the settings say. `command` is what each runs."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        log: Log,
        patience: Patience = Patience(),
        command: Sequence[str] = WORKER,
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._log = log
        self._patience = patience
        self._command = command
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._problem: CommandError | None = None

    async def run(self) -> int:
        """Until `stop`; the exit code: 0, or that of the first worker that did not stop well.

        Raises CommandError, with the worker's exit code, where one cannot be kept running; the
        others are stopped first."""
        codes = await asyncio.gather(*map(self._keep_running, range(self._settings.workers)))
        if self._problem is not None:
            raise self._problem
        return next((code for code in codes if code), 0)

    def stop(self) -> None:
        self._stop.set()

    def interrupt(self) -> None:
        """As Ctrl-C does: stop, or hurry a stop that was asked for before."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    async def _keep_running(self, index: int) -> int:
        """One worker, started again whenever it dies; its exit code once all are to stop."""
        quick_ends = 0
        clock = asyncio.get_running_loop().time
        while not self._stop.is_set():
            began = clock()
            code = _as_shell(await self._run_once(index))
            if self._stop.is_set():
                return code
            is_quick = clock() - began < self._patience.quick_seconds
            quick_ends = quick_ends + 1 if is_quick else 0
            self._log.error("worker_died", worker=index, exit_code=code, quick_ends=quick_ends)
            if quick_ends == self._patience.quick_ends_max:
                self._give_up(index, code)
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), self._patience.pause_after(quick_ends))
        return 0

    async def _run_once(self, index: int) -> int:
        """From its start to its end, by itself or as all are to stop; negative: by that signal."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                env=_environ(index, self._settings, self._environ),
                stdin=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            self._log.error("worker_not_started", worker=index, reason=error.strerror)
            return EXIT_UNAVAILABLE
        ended = asyncio.ensure_future(process.wait())
        stopping = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not self._stop.is_set():
            return await ended
        grace = self._settings.drain_seconds + self._settings.shutdown_grace_seconds
        return await stopped(process, grace + self._patience.stop_seconds, self._hurry)

    def _give_up(self, index: int, code: int) -> None:
        self._problem = CommandError(
            f"worker {index} ended {self._patience.quick_ends_max} times in a row within "
            f"{self._patience.quick_seconds:g} seconds of its start, at last with exit code "
            f"{code}, so it is not started again, and all others are stopped. What it said is "
            "above.",
            code or EXIT_WRONG,
        )
        self.stop()


async def supervise(supervisor: Supervisor) -> int:
    """Run until SIGTERM or SIGINT. The exit code and what is raised are those of `run`."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, supervisor.stop)
    loop.add_signal_handler(signal.SIGINT, supervisor.interrupt)
    return await supervisor.run()


async def stopped(process: asyncio.subprocess.Process, seconds: float, hurry: asyncio.Event) -> int:
    """Ask a worker to stop, pass `hurry` on to it, and kill it if it has not stopped by then. It
    may end at any moment meanwhile.

    Negative: by that signal; 0 also where it was so new that it ended by our asking."""
    with suppress(ProcessLookupError):
        process.terminate()
    passing_on = asyncio.create_task(_passed_on(process, hurry))
    try:
        code = await asyncio.wait_for(process.wait(), seconds)
        return 0 if code == -signal.SIGTERM else code
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        return await process.wait()
    finally:
        passing_on.cancel()


async def _passed_on(process: asyncio.subprocess.Process, hurry: asyncio.Event) -> None:
    await hurry.wait()
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)


def check_workers(settings: Settings) -> None:
    """Raises CommandError where several processes cannot keep one account, or not be told apart."""
    if settings.workers == 1:
        return
    count = f"{PREFIX}WORKERS={settings.workers}"
    last = settings.ops_port + settings.workers - 1
    is_shared = settings.ops_port <= settings.port <= last and settings.host == settings.ops_host
    problems = (
        (
            settings.redis_url is None,
            f"{PREFIX}WORKERS is {settings.workers}, but the embedded ledger counts in one process "
            f"only, and several would overspend. Set {PREFIX}REDIS_URL to a Redis that they share, "
            f"or {PREFIX}WORKERS=1.",
        ),
        (
            settings.port == 0 or settings.ops_port == 0,
            f"with {count}, {PREFIX}PORT and {PREFIX}OPS_PORT must not be 0: the workers share the "
            "one, and count up from the other.",
        ),
        (
            last > PORT_MAX,
            f"with {count}, {PREFIX}OPS_PORT must be at most {PORT_MAX + 1 - settings.workers}: "
            "the workers count up from it.",
        ),
        (
            is_shared,
            f"with {count}, the workers have the operations ports {settings.ops_port} to {last}, "
            f"and {PREFIX}PORT={settings.port} is one of them. Choose another one.",
        ),
    )
    for is_wrong, sentence in problems:
        if is_wrong:
            raise CommandError(sentence, EXIT_USAGE)


def _as_shell(code: int) -> int:
    """An exit code that a process can have: that of a signal is 128 and its number."""
    return 128 - code if code < 0 else code


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
