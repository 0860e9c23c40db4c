"""The simulator on a real port: inside another program, and as a command."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.simulator.app import build_simulator
from gateway.simulator.options import Options
from gateway.simulator.server import embedded, running

COMMAND = "import typer; from gateway.cli.simulate import simulate; typer.run(simulate)"
CHAT = {"model": "echo", "messages": [{"role": "user", "content": "one two three"}]}


@contextmanager
def command(*flags: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`gateway simulate` with these flags; its URL, and the process."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "--port", "0", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        said = (process.stderr if "-" in flags else process.stdout).readline()
        assert said.startswith("gateway simulate: listening on http://127.0.0.1:")
        yield said.split()[-1], process
    finally:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


def test_several_run_at_once_each_on_a_port_of_its_own() -> None:
    async def ask() -> list[int]:
        app = build_simulator(Options())
        async with running(app) as first, running(app) as second, httpx.AsyncClient() as client:
            assert first != second
            answers = [await client.post(f"{u}/v1/chat/completions", json=CHAT) for u in
                       (first, second)]  # fmt: skip
            return [answer.status_code for answer in answers]

    assert asyncio.run(ask()) == [200, 200]


def test_a_taken_port_is_an_os_error() -> None:
    async def ask() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            async with running(build_simulator(Options()), port=taken.getsockname()[1]):
                pass

    with pytest.raises(OSError):
        asyncio.run(ask())


def test_a_client_that_leaves_mid_stream_is_noticed() -> None:
    notes: list[dict[str, Any]] = []
    noted = asyncio.Event()

    def log(note: dict[str, Any]) -> None:
        notes.append(note)
        if note["event"] == "client_left":
            noted.set()

    async def ask() -> None:
        body = {**CHAT, "stream": True, "simulate": {"hang_after_chunks": 3}}
        async with running(build_simulator(Options(), log)) as url, httpx.AsyncClient() as client:
            async with client.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
                lines = answer.aiter_lines()
                while "two" not in await anext(lines):
                    pass
            await asyncio.wait_for(noted.wait(), 30)

    asyncio.run(ask())
    assert notes[-1]["completion_tokens"] == 2


def test_a_broken_connection_is_seen_by_the_client() -> None:
    async def ask() -> None:
        body = {**CHAT, "stream": True, "simulate": {"disconnect_after_chunks": 2}}
        async with running(build_simulator(Options())) as url, httpx.AsyncClient() as client:
            await client.post(f"{url}/v1/chat/completions", json=body)

    with pytest.raises(httpx.RemoteProtocolError):
        asyncio.run(ask())


def test_the_embedded_one_appends_what_it_receives_to_its_file(tmp_path: Path) -> None:
    log = tmp_path / "var" / "simulator.jsonl"

    async def ask() -> None:
        async with embedded(log) as base_url, httpx.AsyncClient() as client:
            await client.post(f"{base_url}/chat/completions", json=CHAT)

    for _ in range(2):
        asyncio.run(ask())
    assert [json.loads(line)["body"] for line in log.read_text().splitlines()] == [CHAT, CHAT]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_stops_cleanly(number: signal.Signals) -> None:
    with command() as (url, process):
        assert httpx.get(f"{url}/models").status_code == 200
        assert end(process, number) == (0, "")


def test_the_command_stops_with_an_answer_in_work() -> None:
    body = json.dumps(CHAT).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    with command("--hang") as (url, process), socket.socket() as client:
        address = httpx.URL(url)
        client.connect((address.host, address.port))
        client.sendall(head.encode() + body)
        while httpx.get(address.join("/simulator/served")).json()["requests"] == 0:
            pass
        assert end(process, signal.SIGTERM) == (0, "")


def test_the_commands_log_on_stdout_is_json_lines() -> None:
    with command("--log", "-") as (url, process):
        httpx.post(f"{url}/chat/completions", json=CHAT)
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["body"] == CHAT


def test_flags_are_the_defaults_of_every_request(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    flags = ("--answer", "fixed words", "--usage", "zero", "--api-key", "k", "--log", str(log))
    with command(*flags) as (url, _):
        headers = {"authorization": "Bearer k"}
        answer = httpx.post(f"{url}/chat/completions", json=CHAT, headers=headers).json()
        assert httpx.get(f"{url}/models").status_code == 401
    assert answer["choices"][0]["message"]["content"] == "fixed words"
    assert answer["usage"]["total_tokens"] == 0
    assert json.loads(log.read_text())["body"] == CHAT


def run(*flags: str) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-c", COMMAND, *flags]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)


def test_a_taken_port_is_a_sentence_and_exit_code_three() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run("--port", str(taken.getsockname()[1]))
    assert ended.returncode == 3
    assert ended.stderr.startswith("gateway: ")
    assert "Address already in use" in ended.stderr
    assert "attempting" not in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (("--error", "99"), 2, "'--error' must be an HTTP status from 200 to 599"),
        (("--delay-seconds", "-1"), 2, "'--delay-seconds' must be seconds from 0 to 3600"),
        (("--log", os.devnull + "/x"), 3, "cannot be written"),
    ],
)
def test_a_wrong_flag_is_a_sentence(flags: tuple[str, ...], code: int, said: str) -> None:
    ended = run("--port", "0", *flags)
    assert ended.returncode == code
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
