"""The programs of a journey as real processes: the gateway, its upstream, its commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
GATEWAY = [sys.executable, "-m", "gateway.cli.main"]
UPSTREAM_KEY = "sk-upstream-0123456789abcdef"
MODELS = "echo,davinci-codex,text-embedding-3-small"
CLOSED_URL = "http://127.0.0.1:9/v1"  # the discard port, where nothing listens
DEADLINE_SECONDS = 60
_URLS = re.compile(r"listens on (https?://\S+)/v1 \(operations: (http://\S+)/metrics\)")


def clean_environment(folder: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process' environment without any setting of a gateway or a client, and an empty HOME."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GATEWAY_", "OPENAI_", "JOURNEY_"))
    }
    return kept | {"HOME": str(folder), "PYTHONWARNINGS": "default"} | dict(extra or {})


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of the condition. Fails after the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {DEADLINE_SECONDS} s: {what}")


class Program:
    """One process in the foreground, that prints where it listens."""

    def __init__(
        self, arguments: list[str], folder: Path, environment: Mapping[str, str], said: str
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.errors_file = folder / "stderr.log"
        with self.errors_file.open("ab") as errors:
            self.process = subprocess.Popen(
                arguments,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
                env=clean_environment(folder, environment),
                text=True,
            )
        self.said = ""
        assert self.process.stdout is not None
        while said not in self.said:
            line = self.process.stdout.readline()
            self.said += line
            if not line:
                raise AssertionError(f"ended with {self.ended()}: {self.said}{self.errors}")

    @property
    def errors(self) -> str:
        """What it wrote to standard error."""
        return self.errors_file.read_text(errors="replace")

    def ask_to_stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def ended(self) -> int:
        """Its exit code, once it has ended."""
        said, _ = self.process.communicate(timeout=DEADLINE_SECONDS)
        self.said += said
        return self.process.returncode

    def stop(self) -> int:
        self.ask_to_stop()
        return self.ended()

    def kill(self) -> None:
        """End it without asking, as a crash would."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class Simulator:
    """`gateway simulate` as the upstream of a journey."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "received.jsonl"
        flags = ["--port", "0", "--log", str(self.log), "--api-key", UPSTREAM_KEY]
        arguments = [*GATEWAY, "simulate", *flags, "--models", MODELS]
        self.program = Program(arguments, folder, {}, "listening on ")
        self.base_url = self.program.said.split()[-1]

    def received(self) -> list[dict[str, Any]]:
        """Every request that came, and every client that left."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def served(self) -> dict[str, int]:
        url = self.base_url.removesuffix("/v1") + "/simulator/served"
        answer: dict[str, int] = httpx.get(url).json()
        return answer


class Gateway:
    """`gateway serve` with a database, a pepper and policies in a folder of its own."""

    def __init__(self, folder: Path, simulator: Simulator, **settings: str) -> None:
        self.folder = folder
        self.database = folder / "gateway.db"
        self.policies = folder / "policies"
        self.policies.mkdir(parents=True, exist_ok=True)
        self.policy_file = self.policies / "journeys.yaml"
        text = (HERE / "policy.yaml").read_text()
        text = text.replace("@SIMULATOR@", simulator.base_url).replace("@CLOSED@", CLOSED_URL)
        self.policy_file.write_text(text)
        self.environment = {
            "GATEWAY_PORT": "0",
            "GATEWAY_OPS_PORT": "0",
            "GATEWAY_DATABASE_URL": f"sqlite:///{self.database}",
            "GATEWAY_PEPPER_FILE": str(folder / "pepper"),
            "GATEWAY_POLICIES": str(self.policies),
            "GATEWAY_SIMULATOR_LOG": str(folder / "simulator.jsonl"),
            "GATEWAY_BOOTSTRAP": "never",
            "GATEWAY_CIRCUIT_FAILURES": "0",  # one upstream fails for many journeys in a row
            "JOURNEY_UPSTREAM_KEY": UPSTREAM_KEY,
            "JOURNEY_WRONG_KEY": "sk-wrong-upstream-key",
        } | {f"GATEWAY_{name.upper()}": value for name, value in settings.items()}
        self._keys: dict[str, str] = {}
        self.start()

    def start(self) -> None:
        arguments = [*GATEWAY, "serve"]
        self.program = Program(arguments, self.folder, self.environment, "/metrics)")
        found = _URLS.search(self.program.said)
        assert found, self.program.said
        self.url, self.ops_url = found.groups()
        self.base_url = f"{self.url}/v1"
        wait_until(self.is_ready, "the gateway is ready")

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.ops_url}/readyz", timeout=10).status_code == 200
        except httpx.HTTPError:
            return False

    def command(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run another `gateway …` with the same settings."""
        changed = {f"GATEWAY_{name.upper()}": value for name, value in settings.items()}
        environment = clean_environment(self.folder, self.environment | changed)
        return subprocess.run(
            [*GATEWAY, *arguments],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=environment,
            timeout=DEADLINE_SECONDS,
            check=False,
        )

    def command_json(self, *arguments: str) -> Any:
        ended = self.command(*arguments, "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def key(self, project: str) -> str:
        """The text of a key of the project, made the first time that it is wanted."""
        if project not in self._keys:
            self._keys[project] = self.new_key(project)["key"]
        return self._keys[project]

    def new_key(self, project: str, name: str = "journey") -> dict[str, Any]:
        made: dict[str, Any] = self.command_json(
            "key", "create", "--project", project, "--name", name
        )
        return made

    def chat(self, project: str = "main", text: str = "hi", **fields: Any) -> httpx.Response:
        """One chat that waits for its answer; `simulate` and the like are fields of the body."""
        body = {"model": "echo", "messages": [{"role": "user", "content": text}], **fields}
        return self.post("/v1/chat/completions", self.key(project), json=body)

    def post(self, path: str, key: str, **request: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"} | request.pop("headers", {})
        url = self.url + path
        return httpx.post(url, headers=headers, timeout=DEADLINE_SECONDS, **request)

    def entries(self) -> list[dict[str, Any]]:
        """The usage entries that are committed, oldest first."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        try:
            connection.row_factory = sqlite3.Row
            rows = connection.execute("SELECT * FROM entries ORDER BY time, id").fetchall()
        finally:
            connection.close()
        return [dict(row) for row in rows]

    def entry(self, request_id: str) -> dict[str, Any]:
        """The entry of one request, once it is written."""

        def find() -> list[dict[str, Any]]:
            return [entry for entry in self.entries() if entry["id"] == request_id]

        (found,) = wait_until(find, f"an entry {request_id}")
        return found

    def new_entry(self, known: set[str]) -> dict[str, Any]:
        """The one entry that was not known before, once it is written."""

        def find() -> list[dict[str, Any]]:
            return [entry for entry in self.entries() if entry["id"] not in known]

        (found,) = wait_until(find, "a new entry")
        return found

    def entry_ids(self) -> set[str]:
        return {entry["id"] for entry in self.entries()}

    def metrics(self) -> Counter[tuple[str, tuple[tuple[str, str], ...]]]:
        """Every sample of /metrics: (name, sorted labels) → value."""
        text = httpx.get(f"{self.ops_url}/metrics").text
        samples: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                samples[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
        return samples

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a meter's samples that have these labels."""
        return sum(
            value
            for (found, having), value in self.metrics().items()
            if found == name and set(labels.items()) <= set(having)
        )

    def stop(self) -> int:
        return self.program.stop()

    def everything_on_disk(self) -> bytes:
        """All bytes of its folder: the database with its journal, the logs, the pepper."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return b"\n".join(path.read_bytes() for path in files)

    def remove(self) -> None:
        self.program.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
