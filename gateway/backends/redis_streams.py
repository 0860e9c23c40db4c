"""What is done to the streams of entries: added to, taken from, finished; each step in one pipeline
for some organizations. A fault of one is told beside the answers of the others; but a node of a
cluster that is away is waited for, and fails all that are asked for in one step (`by_node`).

A row that was taken stays in its stream, known to be taken by this consumer, until it is finished.
It is deleted first and acknowledged then, so that none is left which nobody will be given again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from redis.asyncio import RedisCluster
from redis.exceptions import ClusterDownError, ResponseError, SlotNotCoveredError

from gateway.backends.entry_json import decode, encode
from gateway.backends.redis_client import ERRORS, Client
from gateway.backends.redis_keys import GROUP, NOBODY, ORGANIZATIONS, set_aside_of, stream_of
from gateway.backends.sql_entries import storable
from gateway.backends.tables import micros, seconds
from gateway.usage.entry import Entry

Failures = dict[str, BaseException]
"""What went wrong, by organization."""
Command = tuple[Any, ...]

SET_ASIDE = """
local row = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])[1]
if row then
  redis.call('XADD', KEYS[2], '*', unpack(row[2]))
  redis.call('XDEL', KEYS[1], ARGV[2])
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
"""
DROP_IDLE = """
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local is = {}
  for i = 1, #consumer, 2 do is[consumer[i]] = consumer[i + 1] end
  if is.pending == 0 and is.idle > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], is.name)
  end
end
"""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """`entry` is None where the row cannot be read, or is `gone` from the stream."""

    organization: str
    id: bytes
    entry: Entry | None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """How much a stream holds; `oldest` is the unix time at which its first row came."""

    entries: int
    oldest: float | None
    set_aside: int


@dataclass(frozen=True, slots=True)
class Look:
    rows: list[Row] = field(default_factory=list)
    levels: dict[str, Level] = field(default_factory=dict)
    failed: Failures = field(default_factory=dict)
    made: bool = False  # a group was made, so there may be more


class Streams:
    """`name` is this consumer's, its own. Nothing raises; times in seconds."""

    def __init__(self, client: Client, name: str, batch_max: int) -> None:
        self._client: Any = client
        self._name = name
        self._batch_max = batch_max

    async def organizations(self, known: Collection[str] = frozenset()) -> set[str] | BaseException:
        """Those that may have a stream; `known` are among them from now on."""
        try:
            told = {name.decode() or NOBODY for name in await self._client.smembers(ORGANIZATIONS)}
            if new := set(known) - told:
                await self._client.sadd(ORGANIZATIONS, *new)
        except ERRORS as error:
            return error
        return told | new

    def by_node(self, organizations: Iterable[str]) -> list[set[str]]:
        """Together those whose streams are on one node, as far as that is known."""
        together: dict[Any, set[str]] = {}
        for name in organizations:
            try:
                node = self._node_of(stream_of(name))
            except SlotNotCoveredError:
                node = None
            together.setdefault(node, set()).add(name)
        return list(together.values())

    async def add(self, entries: Sequence[Entry]) -> list[BaseException | None]:
        """What went wrong with each: then it may be there all the same, and may be added again.
        Their organizations have to be known before, or nobody looks there."""
        told = await self._run(
            ("XADD", stream_of(e.organization), "*", "entry", encode(e), "time", micros(e.time))
            for e in entries
        )
        return [next(_errors([answer]), None) for answer in told]

    async def look(
        self, organizations: Collection[str], back: Collection[str], taken: Collection[str]
    ) -> Look:
        """The next rows of each organization that has none `taken`: new ones, but of those in
        `back` the ones that this consumer was given already."""
        names = sorted(organizations)
        told = await self._run(
            command
            for name in names
            for command in (
                ("XLEN", stream_of(name)),
                ("XRANGE", stream_of(name), "-", "+", "COUNT", 1),
                ("XLEN", set_aside_of(name)),
                self._next(name, "0" if name in back else ">")
                if name not in taken
                else ("XLEN", stream_of(name)),
            )
        )
        look, groupless = Look(), []
        for name, answers in zip(names, _slices(told, 4), strict=True):
            error = next(_errors(answers), None)
            if "NOGROUP" in str(error):
                groupless.append(name)
            elif error is not None:
                look.failed[name] = error
            else:
                look.levels[name] = _level(*answers[:3])
            if name not in taken and answers[3] and not isinstance(answers[3], BaseException):
                look.rows.extend(_row(name, *row) for row in answers[3][0][1])
        failed = await self._make_groups(groupless)
        return replace(look, failed=look.failed | failed, made=len(groupless) > len(failed))

    def _next(self, organization: str, start: str) -> Command:
        count = ("COUNT", self._batch_max)
        streams = ("STREAMS", stream_of(organization), start)
        return ("XREADGROUP", "GROUP", GROUP, self._name, *count, *streams)

    async def _make_groups(self, organizations: Sequence[str]) -> Failures:
        told = await self._run(
            ("XGROUP CREATE", stream_of(name), GROUP, "0", "MKSTREAM") for name in organizations
        )
        failed = _failed(zip(organizations, told, strict=True))
        return {name: error for name, error in failed.items() if "BUSYGROUP" not in str(error)}

    async def finish(self, rows: Sequence[Row]) -> Failures:
        """They are in the database: out of their streams."""
        by_name: dict[str, list[bytes]] = {}
        for row in rows:
            by_name.setdefault(row.organization, []).append(row.id)
        told = await self._run(
            command
            for name, ids in by_name.items()
            for command in (("XDEL", stream_of(name), *ids), ("XACK", stream_of(name), GROUP, *ids))
        )
        return _failed(zip([name for name in by_name for _ in "12"], told, strict=True))

    async def set_aside(self, rows: Sequence[Row]) -> Failures:
        """They cannot be in the database: to where they wait for a person, once."""
        told = await self._run(
            ("EVAL", SET_ASIDE, 2, stream_of(row.organization), set_aside_of(row.organization),
             GROUP, row.id)
            for row in rows
        )  # fmt: skip
        return _failed(zip([row.organization for row in rows], told, strict=True))

    async def claim(self, organizations: Collection[str], idle_seconds: float) -> set[str]:
        """Take over, from whoever took them so long ago; which organizations have such rows.
        Consumers that are gone for ten times as long are forgotten."""
        idle, left = int(idle_seconds * 1000), list(organizations)
        claimed: set[str] = set()
        while left:
            told = await self._run(
                ("XAUTOCLAIM", stream_of(name), GROUP, self._name, idle, "0-0",
                 "COUNT", self._batch_max, "JUSTID")
                for name in left
            )  # fmt: skip
            left = [
                name
                for name, ids in zip(left, told, strict=True)
                if ids and not isinstance(ids, BaseException)
            ]
            claimed.update(left)
        await self._run(
            ("EVAL", DROP_IDLE, 1, stream_of(name), GROUP, 10 * idle) for name in organizations
        )
        return claimed

    async def ends(self, organizations: Iterable[str]) -> dict[str, bytes] | None:
        """The id of the last row of each stream that has one; None where that is not known."""
        names = list(organizations)
        told = await self._run(
            ("XREVRANGE", stream_of(name), "+", "-", "COUNT", 1) for name in names
        )
        if any(_errors(told)):
            return None
        return {name: rows[0][0] for name, rows in zip(names, told, strict=True) if rows}

    async def passed(self, ends: dict[str, bytes]) -> bool:
        """Whether all rows up to these are finished."""
        told = await self._run(
            ("XRANGE", stream_of(name), "-", end, "COUNT", 1) for name, end in ends.items()
        )
        return not any(told)

    async def _run(self, commands: Iterable[Command]) -> list[Any]:
        """The answer to each, or the error."""
        commands = list(commands)
        if not commands:
            return []
        try:
            if isinstance(self._client, RedisCluster):
                await self._client.initialize()
            async with self._client.pipeline(transaction=False) as pipe:
                for words in commands:
                    pipe.execute_command(*words, **self._options(words))
                answers: list[Any] = await pipe.execute(raise_on_error=False)
                return answers
        except ERRORS as error:
            return [error] * len(commands)

    def _options(self, words: Command) -> dict[str, Any]:
        """How to read an answer, and in a cluster the node, which it would be asked for."""
        options: dict[str, Any] = {"parse_justid": True} if words[-1] == "JUSTID" else {}
        if isinstance(self._client, RedisCluster):
            key = words[{"XREADGROUP": -2, "EVAL": 3}.get(words[0], 1)]
            options["target_nodes"] = self._node_of(key)
        return options

    def _node_of(self, key: str) -> Any:
        """None where there are none. Raises SlotNotCoveredError."""
        if isinstance(self._client, RedisCluster):
            return self._client.get_node_from_key(key)
        return None


def is_outage(error: BaseException) -> bool:
    """Whether it is the server that cannot be used, not the command that it refused."""
    return not isinstance(error, ResponseError) or isinstance(error, ClusterDownError)


def _row(organization: str, id: bytes, fields: dict[bytes, bytes] | None) -> Row:
    if not fields:
        return Row(organization, id, None, gone=True)
    try:
        entry = replace(decode(fields[b"entry"]), time=seconds(int(fields[b"time"])))
    except (ValueError, KeyError, TypeError, RecursionError):
        return Row(organization, id, None)
    return Row(organization, id, storable(entry))


def _level(entries: int, first: Sequence[tuple[bytes, Any]], set_aside: int) -> Level:
    oldest = int(first[0][0].split(b"-")[0]) / 1000 if first else None
    return Level(entries, oldest, set_aside)


def _errors(answers: Iterable[Any]) -> Iterator[BaseException]:
    return (answer for answer in answers if isinstance(answer, BaseException))


def _failed(told: Iterable[tuple[str, Any]]) -> Failures:
    return {name: answer for name, answer in told if isinstance(answer, BaseException)}


def _slices(some: Sequence[Any], length: int) -> Iterator[Sequence[Any]]:
    return (some[start : start + length] for start in range(0, len(some), length))
