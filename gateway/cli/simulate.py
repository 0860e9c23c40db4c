"""`gateway simulate`: the OpenAI-shaped upstream as a process of its own."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.console import EXIT_UNAVAILABLE, EXIT_USAGE, CommandError, sentences
from gateway.errors import BadRequest
from gateway.simulator.app import Log, build_simulator
from gateway.simulator.options import Behaviour, ErrorBody, Options, UsageShape, behaviour_of
from gateway.simulator.server import LineLog, running


def _seconds(help: str) -> Any:
    return typer.Option(metavar="SECONDS", help=help)


def _count(help: str) -> Any:
    return typer.Option(metavar="N", help=help)


def simulate(
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8081,
    host: Annotated[str, typer.Option(help="Address.")] = "127.0.0.1",
    log: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="Where to write what is received.")
    ] = None,
    api_key: Annotated[str | None, typer.Option(help="The only key that is taken.")] = None,
    models: Annotated[
        str | None, typer.Option(metavar="A,B", help="The only models; else any name is one.")
    ] = None,
    usage: Annotated[UsageShape | None, typer.Option(help="Where usage is told.")] = None,
    answer: Annotated[str | None, typer.Option(help="The text of every answer.")] = None,
    chunk_characters: Annotated[int | None, _count("Characters in an event; else a word.")] = None,
    delay_seconds: Annotated[float | None, _seconds("Wait before the answer.")] = None,
    chunk_delay_seconds: Annotated[float | None, _seconds("Wait between events.")] = None,
    cached_tokens: Annotated[int | None, _count("Prompt tokens told as cached.")] = None,
    reasoning_tokens: Annotated[int | None, _count("Reasoning tokens of each choice.")] = None,
    ignore_cap: Annotated[bool | None, typer.Option(help="Write past the cap.")] = None,
    error: Annotated[
        int | None, typer.Option(metavar="STATUS", help="Answer with this HTTP status.")
    ] = None,
    error_body: Annotated[ErrorBody | None, typer.Option(help="The body of that error.")] = None,
    error_times: Annotated[int | None, _count("That error N times a request, then well.")] = None,
    error_charges: Annotated[
        bool | None, typer.Option(help="That error charges the prompt.")
    ] = None,
    error_after_chunks: Annotated[int | None, _count("An error event after N events.")] = None,
    retry_after_seconds: Annotated[float | None, _seconds("The error's Retry-After.")] = None,
    disconnect_after_chunks: Annotated[int | None, _count("Break off after N events.")] = None,
    hang: Annotated[bool | None, typer.Option(help="Never answer.")] = None,
    hang_after_chunks: Annotated[int | None, _count("Go silent after N events.")] = None,
    half_event: Annotated[bool | None, typer.Option(help="End inside an event.")] = None,
    garbage: Annotated[bool | None, typer.Option(help="Send what cannot be parsed.")] = None,
) -> None:
    """Run an OpenAI-shaped upstream that calls no model.

    The model `echo` repeats what it received. A request's `simulate` field can ask for the same
    things as the options below; docs/guides/simulator.md tells them all."""
    wanted = {
        "usage": usage,
        "answer": answer,
        "chunk_characters": chunk_characters,
        "delay_seconds": delay_seconds,
        "chunk_delay_seconds": chunk_delay_seconds,
        "cached_tokens": cached_tokens,
        "reasoning_tokens": reasoning_tokens,
        "ignore_cap": ignore_cap,
        "error": error,
        "error_body": error_body,
        "error_times": error_times,
        "error_charges": error_charges,
        "error_after_chunks": error_after_chunks,
        "retry_after_seconds": retry_after_seconds,
        "disconnect_after_chunks": disconnect_after_chunks,
        "hang": hang,
        "hang_after_chunks": hang_after_chunks,
        "half_event": half_event,
        "garbage": garbage,
    }
    named = None if models is None else tuple(m.strip() for m in models.split(",") if m.strip())
    with sentences(), ExitStack() as stack:
        behaviour = _behaviour({name: value for name, value in wanted.items() if value is not None})
        write = _open_log(log, stack)
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        options = Options(behaviour, api_key=api_key, models=named)
        asyncio.run(_serve(options, write, host, port, log == "-"))


def _behaviour(wanted: dict[str, Any]) -> Behaviour:
    try:
        return behaviour_of(Behaviour(), wanted)
    except BadRequest as error:
        flag = error.message.replace("'simulate.", "'--").replace("_", "-")
        raise CommandError(flag, EXIT_USAGE) from None


def _open_log(log: str | None, stack: ExitStack) -> Log | None:
    if log is None:
        return None
    if log == "-":
        return LineLog(sys.stdout)
    try:
        Path(log).parent.mkdir(parents=True, exist_ok=True)
        return LineLog(stack.enter_context(Path(log).open("a", encoding="utf-8")))
    except OSError as error:
        message = f"the log {log} cannot be written: {error.strerror}"
        raise CommandError(message, EXIT_UNAVAILABLE) from None


async def _serve(
    options: Options, log: Log | None, host: str, port: int, stdout_is_log: bool
) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    try:
        async with running(build_simulator(options, log), host, port) as url:
            typer.echo(f"gateway simulate: listening on {url}/v1", err=stdout_is_log)
            await ended.wait()
    except OSError as error:
        message = f"{host} port {port} cannot be used: {error.strerror or error}"
        raise CommandError(message, EXIT_UNAVAILABLE) from None
