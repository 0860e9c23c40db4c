"""`gateway serve`: check everything that can be checked, then serve until SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import resource
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import typer
import uvloop

from gateway.backends.database import Database
from gateway.backends.database_problem import DatabaseProblem
from gateway.backends.pepper_file import PepperProblem, load_pepper
from gateway.beside import keep_out_of_collections
from gateway.cli.console import EXIT_UNAVAILABLE, EXIT_USAGE, CommandError, sentences
from gateway.cli.project import policy_of
from gateway.cli.welcome import greeting, is_loopback, make_first_keys
from gateway.cli.workers import Supervisor, check_workers, supervise
from gateway.edge.boundary import refused_heads
from gateway.edge.ops import build_ops
from gateway.edge.peers import Peers
from gateway.edge.routes import build_api
from gateway.edge.server import CannotListen, listen, url_of
from gateway.edge.server import serve as serve_apps
from gateway.edge.tls import TlsProblem, load_tls
from gateway.errors import Unwritten
from gateway.logs import LibraryLog, build_log
from gateway.metrics import Meters
from gateway.parts import Log, Parts
from gateway.policy.policy import Policy
from gateway.settings import PREFIX, Settings, SettingsError, environment, load, settings_fields
from gateway.simulator.server import embedded

GEN0_THRESHOLD = 50_000  # collections this much rarer: 10-25 % less CPU a request
SWITCH_SECONDS = 0.001
OTHER_FILES = 1000  # of databases, processes of models and the like


def serve(**flags: str | None) -> None:
    """Serve the API and the operations port until SIGTERM.

    Every option is also an environment variable; a flag wins over it."""
    with sentences():
        settings = _settings(flags)
        policy = policy_of(settings)
        if settings.workers > 1:
            supervisor = Supervisor(settings, environment(), build_log(settings.log_level))
            raise typer.Exit(uvloop.run(supervise(supervisor)))
        try:
            uvloop.run(_serve(settings, policy))
        except (CannotListen, DatabaseProblem, PepperProblem, TlsProblem, Unwritten) as problem:
            raise CommandError(str(problem), EXIT_UNAVAILABLE) from None


def _options() -> list[inspect.Parameter]:
    """A flag for every setting, as typer wants it."""
    return [
        inspect.Parameter(
            option.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=str | None,
            default=typer.Option(
                None,
                "--" + option.name.replace("_", "-"),
                help=f"{option.metadata['help']} [{PREFIX}{option.name.upper()}]",
                show_default="" if option.default is None else str(option.default),
            ),
        )
        for option in settings_fields()
    ]


serve.__signature__ = inspect.Signature(_options())  # type: ignore[attr-defined]
serve.__annotations__ = {option.name: option.annotation for option in _options()}


def _settings(flags: dict[str, str | None]) -> Settings:
    try:
        settings = load(flags)
    except SettingsError as problem:
        raise CommandError(str(problem), EXIT_USAGE) from None
    check_workers(settings)
    return settings


async def _serve(settings: Settings, policy: Policy) -> None:
    # Here and not above: Presidio brings spaCy, seconds that no other command should wait for.
    from gateway.app import assembled, simulated_upstreams

    stop = _stop_event()
    log = build_log(settings.log_level)
    logging.getLogger().addHandler(LibraryLog(log))
    environ, meters = environment(), Meters()
    tls = load_tls(settings, log, meters.tls_expires.set)
    peers = Peers(settings, lambda reason: meters.connections_refused.labels(reason).inc())
    meters.connections.set_function(lambda: peers.count)
    _allow_open_files(settings, log)
    async with AsyncExitStack() as stack:
        api = stack.enter_context(listen(settings.host, settings.port, settings.reuse_port == "on"))
        ops = stack.enter_context(listen(settings.ops_host, settings.ops_port))
        _check_no_loop(url_of(api), policy, environ)
        await _prepare_database(settings)
        pepper = load_pepper(settings)
        simulator_url = await stack.enter_async_context(_simulator(settings))
        parts = await stack.enter_async_context(
            assembled(settings, policy, pepper, environ, lambda: simulator_url, log, meters)
        )
        if not stop.is_set():
            keys = await make_first_keys(settings, policy, pepper)
            troubles = parts.state.not_loaded.values()
            api_url = url_of(api, "https" if tls else "http")
            ops_url = url_of(ops, "https" if tls and tls.ops else "http")
            simulated = simulated_upstreams(policy, environ)
            greeting(api_url, ops_url, keys, simulated, settings, troubles)
            log.info("started", api=api_url, ops=ops_url, policy_digest=policy.digest)
        _tune_interpreter()
        apps = (build_api(parts), api), (build_ops(parts), ops)
        ended = _drained(stop, parts)
        await serve_apps(*apps, settings, ended, refused_heads(parts), peers, tls)
    log.info("stopped")


def _stop_event() -> asyncio.Event:
    """Set by SIGTERM or SIGINT, from now on."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _drained(stop: asyncio.Event, parts: Parts) -> None:
    """Returns when no more is to be accepted: for the time of the drain, probes say that this
    process is not ready, and it still serves whoever has not heard of it."""
    await stop.wait()
    parts.state.draining = True
    await asyncio.sleep(parts.settings.drain_seconds)


def _allow_open_files(settings: Settings, log: Log) -> None:
    """As many as the connections that the settings allow, where the system lets us."""
    wanted = 2 * settings.connections_max + settings.upstream_connections_max + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # some systems have a bound that they do not tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    least = settings.connections_max + settings.upstream_connections_max
    if soft != resource.RLIM_INFINITY and soft < least:
        log.warning("open_files_few", allowed=soft, needed=least)


@asynccontextmanager
async def _simulator(settings: Settings) -> AsyncIterator[str]:
    log = Path(settings.simulator_log)
    _check_writable(log)
    async with embedded(log) as url:
        yield url


def _check_writable(log: Path) -> None:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.open("a").close()
    except OSError as error:
        raise CommandError(
            f"the log of the built-in upstream cannot be written: {log}: {error.strerror}. "
            f"Set {PREFIX}SIMULATOR_LOG to a file.",
            EXIT_UNAVAILABLE,
        ) from None


def _check_no_loop(api_url: str, policy: Policy, environ: Mapping[str, str]) -> None:
    """A gateway that is its own upstream would call itself until its limits end it."""
    own = urlsplit(api_url)
    for upstream in policy.upstreams.values():
        url = urlsplit(environ.get(upstream.base_url_env or "") or upstream.base_url)
        port = url.port or {"http": 80, "https": 443}.get(url.scheme)
        if port == own.port and (is_loopback(url.hostname or "") or url.hostname == own.hostname):
            raise CommandError(
                f"the upstream {upstream.name} is this gateway itself: {url.geturl()}. Set "
                f"{upstream.base_url_env or 'base_url in its policy'} to the provider's URL, or "
                "unset it.",
            )


async def _prepare_database(settings: Settings) -> None:
    """An SQLite file is migrated; on a shared database, that is a step of its own."""
    database = Database(settings.database_url, 1)
    try:
        if database.is_sqlite:
            await asyncio.to_thread(database.migrate)
        elif trouble := await database.trouble():
            raise DatabaseProblem(trouble)
    finally:
        await database.aclose()


def _tune_interpreter() -> None:
    """What was built at start lives for ever: leave it out of every collection. And a detector's
    thread gives the event loop its turn after one millisecond, not after five."""
    keep_out_of_collections()
    gc.set_threshold(GEN0_THRESHOLD, 20, 20)
    sys.setswitchinterval(SWITCH_SECONDS)
