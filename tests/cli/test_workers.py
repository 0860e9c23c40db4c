"""The supervisor of workers: real processes, small ones, that tell a Witness of their lives."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop

from gateway.cli.console import EXIT_UNAVAILABLE, EXIT_USAGE, EXIT_WRONG, CommandError
from gateway.cli.workers import Patience, Supervisor, check_workers, patience_for, stopped
from gateway.settings import Settings
from tests.world import FakeLog

GUARD_SECONDS = 60.0  # what waits so long waits for ever
HASTE = Patience(pause_seconds=0.0, quick_seconds=3600.0, quick_ends_max=4, stop_seconds=3600.0)
REDIS = "redis://127.0.0.1"

# Does what it is ordered to, line by line; it ends when nobody is left to give orders.
WORKER = """
import json, os, signal, socket, sys

def say(word):
    link.sendall(json.dumps(word).encode() + b"\\n")

def obey():
    while order := link.recv(1000):  # they come one at a time
        exec(order, globals())
    sys.exit()

def leave(*_):
    say("told to stop")
    obey()

link = socket.create_connection(("127.0.0.1", int(os.environ["WITNESS"])))
signal.signal(signal.SIGTERM, leave)
say({"pid": os.getpid()} | {k: v for k, v in os.environ.items() if k.startswith("GATEWAY_")})
obey()
"""
LEAVING_WORKER = f"""
from gateway.cli.worker import leave_with_supervisor
leave_with_supervisor()
{WORKER}
"""
SUPERVISOR = """
import os, sys
import uvloop
from gateway.cli.workers import Patience, Supervisor, supervise
from gateway.logs.log import build_log
from gateway.settings import Settings

log, command = build_log("error"), (sys.executable, "-c", sys.argv[1])
supervisor = Supervisor(Settings(workers=2), dict(os.environ), log, Patience(), command)
sys.exit(uvloop.run(supervise(supervisor)))
"""


class Worker:
    """One process of WORKER, as its Witness sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.told: dict[str, str] = {}

    @property
    def index(self) -> int:
        return int(self.told["GATEWAY_OPS_PORT"]) - Settings().ops_port

    async def says(self) -> Any:
        """Its next word; None where it has ended."""
        try:
            return json.loads(await self._reader.readline() or "null")
        except ConnectionError:
            return None

    def do(self, order: str) -> None:
        self._writer.write(order.encode() + b"\n")

    def close(self) -> None:
        self._writer.close()


class Witness:
    """Where workers of both kinds tell that they are there."""

    def __init__(self) -> None:
        self.port = 0
        self.came: asyncio.Queue[Worker] = asyncio.Queue()
        self.all: list[Worker] = []

    async def listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        worker = Worker(reader, writer)
        self.all.append(worker)
        worker.told = await worker.says()
        await self.came.put(worker)

    async def both(self) -> list[Worker]:
        return sorted([await self.came.get(), await self.came.get()], key=lambda one: one.index)


def witnessed(work: Callable[[Witness], Awaitable[None]]) -> None:
    """On the event loop that `gateway serve` has. asyncio's own looks whether a process has ended
    before it sends a signal, and that look takes the exit code from who waits for it: 255 then."""

    async def main() -> None:
        witness = Witness()
        async with await witness.listen(), asyncio.timeout(GUARD_SECONDS):
            try:
                await work(witness)
            finally:
                for worker in witness.all:
                    worker.close()

    uvloop.run(main())


def environment(witness: Witness) -> dict[str, str]:
    return {**os.environ, "WITNESS": str(witness.port)}


def supervising(
    witness: Witness, log: FakeLog | None = None, patience: Patience = HASTE, **settings: Any
) -> tuple[Supervisor, asyncio.Task[int]]:
    command = (sys.executable, "-c", WORKER)
    told = Settings(**{"workers": 2, "redis_url": REDIS, **settings})
    supervisor = Supervisor(told, environment(witness), log or FakeLog(), patience, command)
    return supervisor, asyncio.create_task(supervisor.run())


async def leave(worker: Worker, code: int = 0) -> None:
    """The worker was told to stop, and ends now."""
    assert await worker.says() == "told to stop"
    worker.do(f"sys.exit({code})")
    assert await worker.says() is None


async def started(witness: Witness, worker_program: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SUPERVISOR, worker_program), env=environment(witness)
    )


def test_each_worker_is_told_all_settings_and_what_is_its_own() -> None:
    async def work(witness: Witness) -> None:
        supervisor, running = supervising(witness, port=8123, ops_port=9090)
        first, second = await witness.both()
        names = ("PORT", "REDIS_URL", "WORKERS", "REUSE_PORT", "OPS_PORT", "BOOTSTRAP")
        told = [[one.told["GATEWAY_" + name] for name in names] for one in (first, second)]
        assert told == [
            ["8123", REDIS, "1", "on", "9090", "auto"],
            ["8123", REDIS, "1", "on", "9091", "never"],
        ]
        supervisor.stop()
        await asyncio.gather(leave(first), leave(second))
        assert await running == 0

    witnessed(work)


def test_a_worker_that_dies_is_started_again_and_the_other_one_stays() -> None:
    async def work(witness: Witness) -> None:
        log = FakeLog()
        supervisor, running = supervising(witness, log)
        first, second = await witness.both()
        os.kill(int(second.told["pid"]), signal.SIGKILL)
        again = await witness.came.get()
        assert again.told["pid"] != second.told["pid"]
        assert again.index == second.index == 1
        died = {"worker": 1, "exit_code": 128 + signal.SIGKILL, "quick_ends": 1}
        assert log.lines == [("worker_died", died)]
        supervisor.stop()
        await asyncio.gather(leave(first), leave(again))
        assert await running == 0

    witnessed(work)


@pytest.mark.parametrize(("code", "told"), [(3, 3), (0, EXIT_WRONG)])
def test_a_worker_that_never_comes_up_is_given_up_with_its_code(code: int, told: int) -> None:
    async def work(witness: Witness) -> None:
        _, running = supervising(witness)
        first, failing = await witness.both()
        for _ in range(HASTE.quick_ends_max - 1):
            failing.do(f"sys.exit({code})")
            failing = await witness.came.get()
            assert failing.index == 1
        failing.do(f"sys.exit({code})")
        await leave(first)  # it is not left running alone
        with pytest.raises(CommandError, match=f"worker 1 ended 4 times .* code {code},") as caught:
            await running
        assert caught.value.exit_code == told

    witnessed(work)


def test_one_that_had_lived_before_it_died_is_never_given_up() -> None:
    async def work(witness: Witness) -> None:
        at_once = Patience(pause_seconds=0.0, quick_seconds=0.0, quick_ends_max=1)
        supervisor, running = supervising(witness, patience=at_once, workers=1)
        worker = await witness.came.get()
        for _ in range(3):
            worker.do("sys.exit(3)")
            worker = await witness.came.get()
        supervisor.stop()
        await leave(worker)
        assert await running == 0

    witnessed(work)


def test_the_pause_before_the_next_try_doubles() -> None:
    patience = Patience(pause_seconds=1.0)
    assert [patience.pause_after(quick_ends) for quick_ends in range(4)] == [1, 2, 4, 8]


def test_a_stop_during_the_pause_is_not_kept_waiting() -> None:
    async def work(witness: Witness) -> None:
        lines: asyncio.Queue[str] = asyncio.Queue()

        class HeardLog(FakeLog):
            def error(self, event: str, **fields: Any) -> None:
                lines.put_nowait(event)

        patience = Patience(pause_seconds=3600.0)
        supervisor, running = supervising(witness, HeardLog(), patience, workers=1)
        (await witness.came.get()).do("sys.exit(3)")
        assert await lines.get() == "worker_died"
        supervisor.stop()
        assert await running == 0

    witnessed(work)


def test_a_program_that_cannot_be_run_is_given_up() -> None:
    log = FakeLog()
    supervisor = Supervisor(Settings(workers=1), {}, log, HASTE, ("/nowhere/to/be/found",))
    with pytest.raises(CommandError) as caught:
        asyncio.run(supervisor.run())
    assert caught.value.exit_code == EXIT_UNAVAILABLE
    assert [event for event, _ in log.lines].count("worker_not_started") == HASTE.quick_ends_max


def test_the_first_worker_that_does_not_stop_well_tells_the_exit_code() -> None:
    async def work(witness: Witness) -> None:
        supervisor, running = supervising(witness, workers=3)
        workers = [await witness.came.get() for _ in range(3)]
        supervisor.stop()
        await asyncio.gather(*(leave(one, (0, 5, 6)[one.index]) for one in workers))
        assert await running == 5

    witnessed(work)


def test_a_worker_that_does_not_stop_in_time_is_killed() -> None:
    async def work(witness: Witness) -> None:
        soon = Patience(stop_seconds=0.01)
        none = {"drain_seconds": 0.0, "shutdown_grace_seconds": 0.0}
        supervisor, running = supervising(witness, patience=soon, workers=1, **none)
        worker = await witness.came.get()
        supervisor.stop()
        assert await worker.says() == "told to stop"
        assert await running == 128 + signal.SIGKILL

    witnessed(work)


def test_a_worker_that_dies_as_all_are_to_stop_ends_the_run_too() -> None:
    async def work(witness: Witness) -> None:
        supervisor, running = supervising(witness, workers=1)
        worker = await witness.came.get()
        os.kill(int(worker.told["pid"]), signal.SIGKILL)
        supervisor.stop()
        assert await running == 128 + signal.SIGKILL

    witnessed(work)


class Vanishing:
    """A process that ends by itself just before each signal reaches it."""

    def __init__(self, code: int) -> None:
        self._code = code
        self._ended = asyncio.Event()

    def terminate(self) -> None:
        raise ProcessLookupError

    def kill(self) -> None:
        self._ended.set()
        raise ProcessLookupError

    async def wait(self) -> int:
        await self._ended.wait()
        return self._code


def test_a_worker_that_ends_before_a_signal_reaches_it_has_its_own_code() -> None:
    ended: Any = Vanishing(7)
    assert asyncio.run(stopped(ended, 0.0, asyncio.Event())) == 7


def test_a_worker_that_is_too_new_to_hear_of_the_stop_has_stopped_well() -> None:
    async def work() -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE
        )
        return await stopped(process, 3600.0, asyncio.Event())

    assert asyncio.run(work()) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_supervisor_reaches_all_workers_and_their_end_is_awaited(
    number: signal.Signals,
) -> None:
    async def work(witness: Witness) -> None:
        supervisor = await started(witness, WORKER)
        first, second = await witness.both()
        supervisor.send_signal(number)
        await leave(first)
        assert supervisor.returncode is None
        await leave(second, 4)
        assert await supervisor.wait() == 4

    witnessed(work)


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_ctrl_c_again_is_passed_on_and_sigterm_again_is_not(first: signal.Signals) -> None:
    async def work(witness: Witness) -> None:
        supervisor = await started(witness, WORKER)
        workers = await witness.both()
        supervisor.send_signal(first)
        for worker in workers:
            assert await worker.says() == "told to stop"
            worker.do("signal.signal(signal.SIGINT, lambda *_: (say('hurried'), sys.exit(0)))")
            worker.do("say('listens')")
            assert await worker.says() == "listens"
        supervisor.send_signal(signal.SIGTERM)
        supervisor.send_signal(signal.SIGINT)
        for worker in workers:
            assert await worker.says() == "hurried"
        assert await supervisor.wait() == 0

    witnessed(work)


def test_a_start_that_waited_for_the_database_in_vain_is_a_quick_end() -> None:
    waited = Settings(database_wait_seconds=600)
    assert patience_for(waited).quick_seconds == 600 + Patience().quick_seconds


def test_a_supervisor_that_is_killed_leaves_no_worker_behind() -> None:
    async def work(witness: Witness) -> None:
        supervisor = await started(witness, LEAVING_WORKER)
        workers = await witness.both()
        supervisor.kill()
        await asyncio.gather(*map(leave, workers))
        await supervisor.wait()

    witnessed(work)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"redis_url": None}, "GATEWAY_REDIS_URL"),
        ({"port": 0}, "must not be 0"),
        ({"ops_port": 0}, "must not be 0"),
        ({"ops_port": 65533}, "GATEWAY_OPS_PORT must be at most 65532"),
        ({"port": 9093}, "operations ports 9090 to 9093, and GATEWAY_PORT=9093"),
    ],
)
def test_workers_that_could_not_work_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence) as caught:
        check_workers(Settings(**{"workers": 4, "redis_url": REDIS, **settings}))
    assert caught.value.exit_code == EXIT_USAGE


@pytest.mark.parametrize(
    "settings",
    [
        {"workers": 1, "redis_url": None, "port": 0, "ops_port": 0},
        {"ops_port": 65532},
        {"port": 9094},
        {"port": 9093, "ops_host": "127.0.0.2"},
    ],
)
def test_workers_that_can_work_are_not(settings: dict[str, Any]) -> None:
    check_workers(Settings(**{"workers": 4, "redis_url": REDIS, **settings}))
