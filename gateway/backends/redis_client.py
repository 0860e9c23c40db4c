"""One client of Redis or Valkey, a single server or a cluster: asked of the server itself.

Every wait has an end, nothing is tried again here (who calls knows what may be done twice), and
the pool (of a cluster: each node's) is bounded: who finds it empty waits for a connection, for the
timeout at most.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode, ClusterPipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

Client = Redis | RedisCluster
ERRORS = (exceptions.RedisError, exceptions.RedisClusterException, OSError, TimeoutError)
"""What a client raises where Redis cannot be used."""
HEALTH_CHECK_SECONDS = 30
PIPELINES_MAX = 16  # connections to a node that are kept for pipelines
VERSION_MIN = (6, 2)
FULL_SHARE = 0.8  # of its memory, from where it is told

_MEANINGS: tuple[tuple[type[BaseException], str], ...] = (
    (exceptions.AuthenticationError, "refuses this user and password; correct GATEWAY_REDIS_URL"),
    (exceptions.AuthenticationWrongNumberOfArgsError,
     "has no such user; correct GATEWAY_REDIS_URL"),
    (exceptions.NoPermissionError, "does not permit this user to do that; see its ACL"),
    (exceptions.BusyLoadingError, "is still loading its data; try again soon"),
    (exceptions.OutOfMemoryError, "is out of memory; raise its maxmemory"),
    (exceptions.ReadOnlyError, "is a replica; name the primary in GATEWAY_REDIS_URL"),
    (exceptions.MovedError, "is a cluster, which could not be seen at the start; start the gateway "
     "again"),
    (exceptions.TimeoutError, "did not answer in time"),
    (exceptions.ClusterError, "is a cluster that is down, or lacks some of its slots"),
    (exceptions.SlotNotCoveredError, "is a cluster that is down, or lacks some of its slots"),
    (TimeoutError, "did not answer in time"),
)  # fmt: skip
_SIGNS = {
    "noauth": "wants a password; add it to GATEWAY_REDIS_URL",
    "wrongpass": "refuses this user and password; correct GATEWAY_REDIS_URL",
    "misconf": "cannot write to its disk; make room there",
    "oom command": "is out of memory; raise its maxmemory",
    "readonly": "is a replica; name the primary in GATEWAY_REDIS_URL",
    "noreplicas": "has too few replicas to take writes (min-replicas-to-write)",
    "connection refused": "cannot be reached: nothing listens there; start it, or correct "
    "GATEWAY_REDIS_URL",
    "connect call failed": "cannot be reached: nothing listens there; start it, or correct "
    "GATEWAY_REDIS_URL",
    "name or service not known": "has a host name that cannot be resolved; correct "
    "GATEWAY_REDIS_URL",
    "certificate": "shows a certificate that is not trusted; see ssl_ca_certs in its URL",
    "no connection available": "has no connection free; raise GATEWAY_REDIS_CONNECTIONS",
}


class RedisProblem(Exception):
    """Redis cannot be used; the message says why and what would help. Trying again later may
    succeed."""


class _Cluster(RedisCluster):
    """As a blocking pool a node: who finds all its connections in use waits, for `wait_seconds` at
    most. A node that is away keeps nobody waiting who wants another one."""

    gates: Mapping[str, asyncio.Semaphore]  # by node
    wait_seconds: float
    away: str | None = None  # the node that was it last

    async def initialize(
        self,
        additional_startup_nodes_info: list[tuple[str, int]] | None = None,
        last_failed_node_name: str | None = None,
    ) -> _Cluster:
        """Ask who has which slots: the node that was away only if no other answers."""
        await super().initialize(additional_startup_nodes_info, last_failed_node_name or self.away)
        return self

    async def aclose(self) -> None:
        self._initialize = False  # else one that would look again is taken to be closed
        await super().aclose()

    async def _execute_command(self, target_node: ClusterNode, *args: Any, **options: Any) -> Any:
        gate = self.gates[target_node.name]
        try:
            async with asyncio.timeout(self.wait_seconds):
                await gate.acquire()
        except TimeoutError as error:
            raise exceptions.ConnectionError("No connection available.") from error
        try:
            return await super()._execute_command(target_node, *args, **options)
        except (exceptions.ConnectionError, exceptions.TimeoutError):
            self.away = target_node.name
            raise
        finally:
            gate.release()

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> ClusterPipeline:
        """One that is executed learns of nodes that went, as a command does."""
        return _ClusterPipeline(self, transaction)  # type: ignore[abstract]

    def look_again(self, node: ClusterNode | None) -> None:
        """`node` went: before the next command, ask who has which slots, and connect anew."""
        if node is not None:
            self.away = node.name
            self.nodes_manager.move_node_to_end_of_cached_nodes(node.name)
        self._initialize = True


class _ClusterPipeline(ClusterPipeline):
    cluster_client: _Cluster

    def __init__(self, client: _Cluster, transaction: bool | None) -> None:
        super().__init__(client, transaction)
        self._nodes: set[ClusterNode] = set()

    def execute_command(self, *args: Any, **options: Any) -> ClusterPipeline:
        if isinstance(node := options.get("target_nodes"), ClusterNode):
            self._nodes.add(node)
        return super().execute_command(*args, **options)

    async def execute(
        self, raise_on_error: bool = True, allow_redirections: bool = True
    ) -> list[Any]:
        """Where it is not said which one node it is for, the one asked for slots is taken to be
        the one that went."""
        answers: list[Any] = []
        try:
            answers = await super().execute(raise_on_error, allow_redirections)
        except ERRORS as error:
            answers = [error]
            raise
        finally:
            if any(isinstance(answer, RedisCluster.ERRORS_ALLOW_RETRY) for answer in answers):
                node, *others = self._nodes or {self.cluster_client.get_default_node()}
                self.cluster_client.look_again(None if others else node)
        return answers


async def connect(url: str, timeout_seconds: float, connections_max: int) -> Client:
    """As `connect_or_single`; raises RedisProblem where the server cannot be asked what it is."""
    client, problem = await connect_or_single(url, timeout_seconds, connections_max)
    if problem is not None:
        await client.aclose()
        raise problem
    return client


async def connect_or_single(
    url: str, timeout_seconds: float, connections_max: int
) -> tuple[Client, RedisProblem | None]:
    """A client that answers in bytes. `url` is redis://, rediss:// or unix://; the timeout holds
    for connecting, for each command, and for the wait for a free connection.

    Where the server cannot be asked what it is, the problem and a client that takes it for a single
    server, and that works when it is there. Raises RedisProblem where the url is none."""
    options: dict[str, Any] = {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "health_check_interval": HEALTH_CHECK_SECONDS,
        "decode_responses": False,
        "retry": Retry(NoBackoff(), 0),
    }
    try:
        pool = BlockingConnectionPool.from_url(
            url, max_connections=connections_max, timeout=timeout_seconds, **options
        )
    except ValueError:
        raise RedisProblem(
            "GATEWAY_REDIS_URL is no URL of a Redis; expected redis://USER:PASSWORD@HOST:PORT"
        ) from None
    single = Redis.from_pool(pool)
    try:
        if not (await single.info("cluster")).get("cluster_enabled"):
            return single, None
    except ERRORS as error:
        return single, problem_of(error, url)
    await single.aclose()
    cluster = _Cluster.from_url(url, max_connections=connections_max + PIPELINES_MAX, **options)
    assert isinstance(cluster, _Cluster)
    cluster.gates = defaultdict(partial(asyncio.Semaphore, connections_max))
    cluster.wait_seconds = timeout_seconds
    try:
        await cluster.initialize()
    except ERRORS as error:
        return cluster, problem_of(error, url)
    return cluster, None


async def check(client: Client) -> str | None:
    """A sentence about what makes this Redis unfit to hold accounts, or None."""
    return (await look(client))[0]


async def look(client: Client) -> tuple[str | None, str | None]:
    """A sentence about what must be changed, and one about what should be; None: nothing."""
    try:
        told = await _told(client)
    except ERRORS as error:
        return str(problem_of(error, "")), None
    errors, warnings = [], []
    for info in told:
        version = str(info.get("redis_version", "0"))
        if tuple(int(part) for part in version.split(".")[:2]) < VERSION_MIN:
            errors.append(f"Redis {version} is too old; use 6.2 or newer, or Valkey.")
        policy = info.get("maxmemory_policy", "noeviction")
        used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
        if most and used > FULL_SHARE * most:
            warnings.append(
                f"Redis uses {used / most:.0%} of its maxmemory, and refuses every request when "
                f"that is full; raise maxmemory, or bring the database back if entries wait for it."
            )
        if policy != "noeviction":
            errors.append(
                f"Redis may throw accounts away when its memory is full (maxmemory-policy "
                f"{policy}); set maxmemory-policy noeviction."
            )
        if not info.get("aof_enabled"):
            warnings.append(
                "Redis keeps no log of its writes, so a crash of it loses the last accounts; set "
                "appendonly yes."
            )
    return next(iter(errors), None), next(iter(warnings), None)


async def time_of(client: Client) -> float:
    """Unix seconds, by the clock of its machine, or of one of them. Raises one of ERRORS."""
    told = await client.time()
    seconds, micros = next(iter(told.values())) if isinstance(told, dict) else told
    return int(seconds) + int(micros) / 1e6


async def _told(client: Client) -> list[dict[str, Any]]:
    """What each primary says of itself."""
    if isinstance(client, Redis):
        return [await client.info()]
    nodes = client.get_primaries()
    return [await client.info(target_nodes=node) for node in nodes]


def problem_of(error: BaseException, url: str) -> RedisProblem:
    """The error as one sentence, without the password."""
    where = _where(url)
    told = " ".join(str(error).split())
    sign = next((means for sign, means in _SIGNS.items() if sign in told.lower()), None)
    kind = next((means for kind, means in _MEANINGS if isinstance(error, kind)), None)
    if sign or kind:
        return RedisProblem(f"{where} {sign or kind}.")
    secret = urlsplit(url).password
    for shown in {secret, unquote(secret)} if secret else ():
        told = told.replace(shown, "***") if shown else told
    return RedisProblem(f"{where} cannot be used: {told[:300] or type(error).__name__}")


def _where(url: str) -> str:
    parts = urlsplit(url)
    if not parts.hostname:
        return "Redis"
    return f"Redis at {parts.hostname}:{parts.port}" if parts.port else f"Redis at {parts.hostname}"
