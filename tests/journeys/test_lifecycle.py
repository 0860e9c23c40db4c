"""How a gateway starts, refuses to start, and ends."""

from __future__ import annotations

import ctypes
import json
import re
import socket
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from processes import GATEWAY, ROOT, Gateway, Program, Simulator, clean_environment, wait_until

STREAM = {
    "model": "echo",
    "messages": [{"role": "user", "content": "one two three four five six seven"}],
    "stream": True,
}
CAP_DAC_OVERRIDE = 1
PR_CAPBSET_DROP = 24


def streamed(gateway: Gateway, then: Callable[[], None], **simulate: Any) -> list[str]:
    """The events of a stream; after its first event, `then` is called."""
    headers = {"authorization": f"Bearer {gateway.key('main')}"}
    url = f"{gateway.base_url}/chat/completions"
    body = STREAM | {"simulate": simulate}
    with httpx.stream("POST", url, headers=headers, json=body, timeout=60) as answer:
        lines = (line for line in answer.iter_lines() if line)
        events = [next(lines)]
        then()
        return [line.removeprefix("data: ") for line in [*events, *lines]]


def test_sigterm_lets_streams_finish(new_gateway: Callable[..., Gateway]) -> None:
    gateway = new_gateway()
    events = streamed(gateway, gateway.program.ask_to_stop, chunk_delay_seconds=0.1)
    assert events[-1] == "[DONE]"
    choices = [c for event in events[:-1] for c in json.loads(event)["choices"]]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    assert text == STREAM["messages"][0]["content"]  # type: ignore[index]
    assert gateway.program.ended() == 0
    assert [entry["outcome"] for entry in gateway.entries()] == ["ok"]
    assert "Traceback" not in gateway.program.errors


def test_what_outlives_the_grace_ends_with_an_error_event_and_an_entry(
    new_gateway: Callable[..., Gateway],
) -> None:
    gateway = new_gateway(shutdown_grace_seconds="0.2")
    events = streamed(gateway, gateway.program.ask_to_stop, hang_after_chunks=3)
    assert json.loads(events[-1])["error"]["code"] == "draining"
    assert gateway.program.ended() == 0
    (entry,) = gateway.entries()
    assert (entry["code"], entry["output_tokens"]) == ("draining", 2)
    assert entry["source"] == "estimated"
    assert "Traceback" not in gateway.program.errors


def test_what_was_held_back_is_told_before_the_end(new_gateway: Callable[..., Gateway]) -> None:
    gateway = new_gateway(shutdown_grace_seconds="0.2")
    headers = {"authorization": f"Bearer {gateway.key('private')}"}
    simulate = {"chunk_characters": 4, "hang_after_chunks": 4}
    said = {"messages": [{"role": "user", "content": "to ada@example.com"}], "simulate": simulate}
    url = f"{gateway.base_url}/chat/completions"
    with httpx.stream("POST", url, headers=headers, json=STREAM | said, timeout=60) as answer:
        gateway.program.ask_to_stop()
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    *chunks, last = map(json.loads, lines)
    told = [choice["delta"].get("content") or "" for one in chunks for choice in one["choices"]]
    assert "".join(told) == "to EMAIL_ADD"  # of the placeholder, as much as came
    assert last["error"]["code"] == "draining"
    assert gateway.program.ended() == 0


def test_probes_say_that_it_is_draining(new_gateway: Callable[..., Gateway]) -> None:
    gateway = new_gateway()
    assert httpx.get(f"{gateway.ops_url}/livez").status_code == 200

    def drain() -> None:
        gateway.program.ask_to_stop()
        wait_until(lambda: not gateway.is_ready(), "readiness ends")

    events = streamed(gateway, drain, chunk_delay_seconds=0.1)
    assert events[-1] == "[DONE]"
    assert gateway.program.ended() == 0


def refused(gateway: Gateway, **settings: str) -> subprocess.CompletedProcess[str]:
    """`gateway serve` that does not come up."""
    ended = gateway.command("serve", **settings)
    assert "Traceback" not in ended.stderr + ended.stdout
    assert len(ended.stderr.splitlines()) <= 6, ended.stderr
    return ended


def test_a_taken_port_is_a_sentence(gateway: Gateway) -> None:
    port = gateway.url.split(":")[-1]
    ended = refused(gateway, port=port)
    assert ended.returncode == 3
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr


def test_a_taken_operations_port_is_a_sentence(gateway: Gateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = refused(gateway, ops_port=port)
    assert (ended.returncode, port in ended.stderr) == (3, True)


@pytest.fixture
def database(gateway: Gateway, tmp_path: Path) -> Path:
    """A migrated database that nobody uses."""
    file = tmp_path / "other.db"
    assert gateway.command("migrate", database_url=f"sqlite:///{file}").returncode == 0
    return file


def test_a_database_of_a_newer_revision_is_a_sentence(gateway: Gateway, database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_of_the_future'")
    connection.close()
    ended = refused(gateway, database_url=f"sqlite:///{database}")
    assert ended.returncode == 3
    assert "newer" in ended.stderr


def obey_permissions() -> None:
    """In the child: even root may then not write what its owner may not."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


def test_a_read_only_database_is_a_sentence(gateway: Gateway, database: Path) -> None:
    settings = gateway.environment | {"GATEWAY_DATABASE_URL": f"sqlite:///{database}"}
    database.chmod(0o444)
    database.parent.chmod(0o555)
    try:
        ended = subprocess.run(
            [*GATEWAY, "serve"],
            capture_output=True,
            text=True,
            cwd=gateway.folder,
            env=clean_environment(gateway.folder, settings),
            timeout=60,
            check=False,
            preexec_fn=obey_permissions,
        )
    finally:
        database.parent.chmod(0o755)
    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert "other.db" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("url", ["sqlite:////dev/null/x.db", "sqlite:////proc/gateway/x.db"])
def test_a_database_that_cannot_be_made_is_a_sentence(gateway: Gateway, url: str) -> None:
    assert refused(gateway, database_url=url).returncode == 3


@pytest.mark.parametrize("files", [{}, {"half.yaml": "organizations:\n  acme: {projects: {a: "}])
def test_policies_that_are_none_are_a_sentence(
    gateway: Gateway, tmp_path: Path, files: dict[str, str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    ended = refused(gateway, policies=str(tmp_path))
    assert ended.returncode == 1
    assert all(f"{name}:" in ended.stderr + ended.stdout for name in files)


def test_a_policy_folder_that_is_not_there_is_a_sentence(gateway: Gateway, tmp_path: Path) -> None:
    ended = refused(gateway, policies=str(tmp_path / "nowhere"))
    assert ended.returncode in (1, 3)
    assert "nowhere" in ended.stderr + ended.stdout


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"port": "many"}, "GATEWAY_PORT"),
        ({"workers": "4"}, "GATEWAY_WORKERS"),
        ({"database_url": "mysql://x"}, "GATEWAY_DATABASE_URL"),
        ({"body_bytes_max": "-1"}, "GATEWAY_BODY_BYTES_MAX"),
    ],
)
def test_a_wrong_setting_is_named(gateway: Gateway, settings: dict[str, str], named: str) -> None:
    ended = refused(gateway, **settings)
    assert ended.returncode == 2
    assert named in ended.stderr


def test_the_first_start_makes_keys_that_work_as_pasted(
    simulator: Simulator, tmp_path: Path
) -> None:
    """What a person sees after `make run`, with nothing set and nothing there."""
    settings = {
        "GATEWAY_PORT": "0",
        "GATEWAY_OPS_PORT": "0",
        "GATEWAY_POLICIES": str(ROOT / "policies"),
    }
    program = Program([*GATEWAY, "serve"], tmp_path, settings, "print()\n")
    try:
        assert "built-in simulated upstream" in program.said
        shown = re.findall(r"sk-[A-Za-z0-9_-]{40,}", program.said)
        assert len(set(shown)) == 2
        curl = re.search(r"^curl .*?^  -d '[^']*'$", program.said, re.MULTILINE | re.DOTALL)
        assert curl is not None
        snippet = program.said[program.said.index(".venv/bin/python - <<") :]
        for command in (curl[0], snippet + "EOF\n"):
            ended = subprocess.run(
                ["bash", "-c", command],
                cwd=ROOT,
                env=clean_environment(tmp_path),
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert ended.returncode == 0, ended.stderr
            assert "Mail ada@example.com about card 4111 1111 1111 1111." in ended.stdout
        log = (tmp_path / "var" / "simulator.jsonl").read_text()
        assert log.count('{"event": "received"') == 2
        assert "ada@example.com" not in log
        assert "4111" not in log
    finally:
        assert program.stop() == 0
    again = Program([*GATEWAY, "serve"], tmp_path, settings, "/metrics)")
    assert again.stop() == 0
    assert "sk-" not in again.said
