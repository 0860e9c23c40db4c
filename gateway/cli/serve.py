"""`gateway serve`: check everything that can be checked, then serve until SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import inspect
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from ssl import SSLContext
from urllib.parse import urlsplit

import typer
import uvloop

from gateway.backends.database_problem import DatabaseProblem
from gateway.backends.pepper_file import PepperProblem, load_pepper
from gateway.beside import keep_out_of_collections
from gateway.cli.console import EXIT_UNAVAILABLE, EXIT_USAGE, CommandError, sentences
from gateway.cli.database_wait import prepare_database
from gateway.cli.project import policy_of
from gateway.cli.welcome import greeting, is_loopback, make_first_keys
from gateway.cli.workers import Supervisor, check_workers, patience_for, supervise
from gateway.edge.boundary import refused_heads
from gateway.edge.ending import Ending
from gateway.edge.ops import Opening, build_ops
from gateway.edge.peers import Peers
from gateway.edge.routes import build_api
from gateway.edge.server import CannotListen, bind, open_to_callers, operations, url_of
from gateway.edge.server import serve as serve_api
from gateway.edge.tls import TlsProblem, load_tls, renewing
from gateway.errors import Unwritten
from gateway.logs.log import build_log, log_everything_else
from gateway.logs.secret_values import secret_values
from gateway.parts import Log, Parts
from gateway.policy.policy import Policy
from gateway.settings import PREFIX, Settings, SettingsError, environment, load, settings_fields
from gateway.simulated import simulated_upstreams
from gateway.simulator.server import embedded
from gateway.telemetry import meters_of, trouble

GEN0_THRESHOLD = 50_000  # collections this much rarer: 10-25 % less CPU a request
SWITCH_SECONDS = 0.001
OTHER_FILES = 1000  # of databases, processes of models and the like


def serve(**flags: str | None) -> None:
    """Serve the API and the operations port until SIGTERM.

    Every option is also an environment variable; a flag wins over it."""
    signal.signal(signal.SIGTERM, _leave_at_once)
    with sentences():
        settings = _settings(flags)
        policy = policy_of(settings, quoting=sys.stderr.isatty())
        if settings.workers > 1:
            log = _log(settings)
            supervisor = Supervisor(settings, environment(), log, patience_for(settings))
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
    if why := trouble(settings, environment()):
        raise CommandError(why, EXIT_USAGE)
    return settings


async def _serve(settings: Settings, policy: Policy) -> None:
    # Here and not above: Presidio brings spaCy, seconds that no other command should wait for.
    from gateway.app import assembled

    ending = _ending()
    log = _log(settings)
    environ, meters = environment(), meters_of(settings)
    tls = load_tls(settings, log, meters.tls_expires.set)
    api_tls, ops_tls = (tls.api, tls.ops) if tls else (None, None)
    peers = Peers(settings, lambda reason: meters.connections_refused.labels(reason).inc())
    meters.connections.set_function(lambda: peers.count)
    _allow_open_files(settings, log)
    async with AsyncExitStack() as stack:
        api = stack.enter_context(bind(settings.host, settings.port, settings.reuse_port == "on"))
        ops = stack.enter_context(bind(settings.ops_host, settings.ops_port))
        _check_no_loop(url_of(api), policy, environ)
        opening = Opening()
        await stack.enter_async_context(renewing(tls))
        await stack.enter_async_context(operations(opening, ops, settings, ops_tls))
        async with ending.unless_asked():
            pepper = load_pepper(settings)
            await prepare_database(settings, log, opening.wait_for)
            opening.wait_for("loading models and accounts")
            simulator_url = await stack.enter_async_context(_simulator(settings))
            parts = await stack.enter_async_context(
                assembled(settings, policy, pepper, environ, lambda: simulator_url, log, meters)
            )
            keys = await make_first_keys(settings, policy, pepper)
            open_to_callers(api)
            opening.open(build_ops(parts))
        if not ending.asked.is_set():
            urls = url_of(api, _scheme(api_tls)), url_of(ops, _scheme(ops_tls))
            troubles = parts.state.not_loaded.values()
            greeting(*urls, keys, simulated_upstreams(policy, environ), settings, troubles)
            log.info("started", api=urls[0], ops=urls[1], policy_digest=policy.digest)
            tune_interpreter()
            await _serve_until_the_end(api, ending, parts, peers, api_tls)
    log.info("stopped")


def _scheme(tls: SSLContext | None) -> str:
    return "https" if tls else "http"


def _log(settings: Settings) -> Log:
    """The one way to say something from here on, also for libraries and the interpreter."""
    log: Log = build_log(
        settings.log_level,
        secrets=secret_values(settings, environment()),
        sample=settings.log_sample,
        slow_seconds=settings.log_slow_seconds,
    )
    log_everything_else(log)
    return log


async def _serve_until_the_end(
    api: socket.socket, ending: Ending, parts: Parts, peers: Peers, tls: SSLContext | None
) -> None:
    """Probes say from the first moment of the end that this process is not ready."""

    async def tell() -> None:
        await ending.asked.wait()
        parts.state.draining = True
        parts.log.info("stopping", inflight=parts.state.inflight)

    telling = asyncio.create_task(tell())
    app, refused = build_api(parts), refused_heads(parts)
    cut = await serve_api(app, api, parts.settings, ending, refused, peers, tls)
    telling.cancel()
    if cut:
        parts.log.warning("requests_cut", count=cut)


def _ending() -> Ending:
    """SIGTERM and Ctrl-C ask for the end, from now on; Ctrl-C hurries one that was asked for."""
    ending = Ending()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ending.ask)
    loop.add_signal_handler(signal.SIGINT, ending.interrupt)
    return ending


def _leave_at_once(*_: object) -> None:
    """At SIGTERM before anything was begun. As the first process of a container, one that does not
    say what to do with the signal would not get it at all."""
    raise SystemExit(0)


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


def tune_interpreter() -> None:
    """What was built at start lives for ever: leave it out of every collection. And a detector's
    thread gives the event loop its turn after one millisecond, not after five."""
    keep_out_of_collections()
    gc.set_threshold(GEN0_THRESHOLD, 20, 20)
    sys.setswitchinterval(SWITCH_SECONDS)
