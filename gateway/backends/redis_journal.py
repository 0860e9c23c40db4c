"""The Journal in Redis: entries wait in streams, one an organization, and any replica posts them.

An entry leaves its stream only when it is committed, so the streams are exactly the backlog; one
that is posted twice is passed over by its id. What this process took and could not post it keeps
and tries again; what another process took and never finished is taken over from it.

Each node of a cluster is visited on its own: one that is away holds up its own entries only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence, Set
from contextlib import suppress
from math import inf

from gateway.backends.database_problem import DatabaseProblem
from gateway.backends.redis_client import Client, problem_of
from gateway.backends.redis_keys import NOBODY, ORGANIZATIONS
from gateway.backends.redis_streams import Failures, Level, Row, Streams, is_outage
from gateway.backends.sql_entries import storable
from gateway.usage.entry import Entry
from gateway.usage.record import JournalState

RETRY_SECONDS_MIN, RETRY_SECONDS_MAX = 0.05, 5.0
LOOKS_KEPT = 10  # rounds for which the organizations are remembered
LOGGER = "gateway.journal"
Post = Callable[[Sequence[Entry]], Awaitable[list[Entry]]]
Work = Callable[[Set[str]], Awaitable[tuple[bool, bool]]]


class RedisJournal:
    """`start` it, use it on the event loop, `aclose` it. Times in seconds.

    `post` commits entries and gives back those that the database refuses, or raises
    DatabaseProblem. `name` is this process' own, never used before. Full is the journal with
    `pending_max` entries here, or `stream_entries_max` in the streams. Rows that another process
    took `claim_seconds` ago are taken over."""

    def __init__(
        self, client: Client, post: Post, flush_seconds: float, batch_max: int, pending_max: int,
        stream_entries_max: int, clock: Callable[[], float], claim_seconds: float, name: str,
    ) -> None:  # fmt: skip
        self._streams = Streams(client, name, batch_max)
        self._post, self._clock = post, clock
        self._flush_seconds, self._batch_max = flush_seconds, batch_max
        self._pending_max, self._stream_max = pending_max, stream_entries_max
        self._claim_seconds = claim_seconds
        self._claimed_at: dict[str, float] = {}  # by organization
        self._buffer: dict[str, tuple[float, Entry]] = {}  # by id: not handed over yet
        self._taken: dict[str, list[Row]] = {}  # by organization: not finished yet
        self._back: set[str] = set()  # where rows may be ours that we do not have
        self._organizations: set[str] = set()  # that are known to all
        self._busy: set[str] = set()  # organizations that are visited, and ORGANIZATIONS
        self._looks_left = 0
        self._levels: dict[str, Level] = {}
        self._errors = 0
        self._troubles: dict[str, str] = {}  # by organization, and of ORGANIZATIONS
        self._posting = asyncio.Lock()
        self._ended = False
        self._now = asyncio.Event()  # do not wait
        self._round_over = asyncio.Event()  # each time a new one
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._post_forever(), name="journal poster")

    def append(self, entry: Entry) -> None:
        """Take the entry; never waits. The first one of an id counts."""
        if not isinstance(entry, Entry):
            raise TypeError("a journal takes entries")
        entry = storable(entry)
        self._buffer.setdefault(entry.id, (self._clock(), entry))
        if len(self._buffer) >= self._batch_max and not self._troubles:
            self._now.set()

    async def flush(self) -> None:
        """Return when all that was appended here before, and all that is in any stream now, is
        committed, however late. Raises RuntimeError where nobody posts."""
        appended = set(self._buffer)
        self._now.set()
        while not appended.isdisjoint(self._buffer):
            await self._next_round()
        self._looks_left = 0
        while (ends := await self._ends()) is None:
            await self._next_round()
        while not await self._streams.passed(ends):
            await self._next_round()

    async def _ends(self) -> dict[str, bytes] | None:
        names = await self._streams.organizations()
        if isinstance(names, BaseException):
            return None
        return await self._streams.ends(names | self._organizations)

    async def _next_round(self) -> None:
        if self._task is None or self._task.done():
            raise RuntimeError("nobody posts")
        if not self._troubles:
            self._now.set()
        await self._round_over.wait()

    def state(self, now: float) -> JournalState:
        """As the last round saw the streams."""
        levels = self._levels.values()
        in_streams = sum(level.entries for level in levels)
        since = [level.oldest for level in levels if level.oldest is not None]
        since += [time for time, _ in list(self._buffer.values())[:1]]
        return JournalState(
            pending=len(self._buffer) + in_streams,
            lag_seconds=max(0.0, now - min(since, default=now)),
            errors=self._errors,
            full=self.is_full(),
            set_aside=sum(level.set_aside for level in levels),
        )

    def is_full(self) -> bool:
        if len(self._buffer) >= self._pending_max:
            return True
        if self._task is not None and self._task.done():
            return True
        return sum(level.entries for level in self._levels.values()) >= self._stream_max

    async def aclose(self, grace_seconds: float = 10.0) -> tuple[Entry, ...]:
        """Hand over what is pending, for at most so long. What Redis did not take comes back:
        nobody else has it for sure. What is in a stream stays there, and another process posts
        it."""
        task, self._task = self._task, None
        if task is not None:
            self._ended = True  # a client may swallow the cancellation that breaks its wait
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and (fault := task.exception()) is not None:
                _log().error("The poster of usage failed.", exc_info=fault)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hand_over_all(), grace_seconds)
        return tuple(entry for _, entry in self._buffer.values())

    async def _post_forever(self) -> None:
        try:
            async with asyncio.TaskGroup() as visits:
                while not self._ended:
                    self._now.clear()
                    for names in self._streams.by_node(self._organizations - self._busy):
                        visits.create_task(self._visit(names, self._round))
                        self._busy |= names
                    if ORGANIZATIONS not in self._busy:
                        visits.create_task(self._visit({ORGANIZATIONS}, self._enroll))
                        self._busy.add(ORGANIZATIONS)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._flush_seconds):
                            await self._now.wait()
        finally:
            self._round_over.set()

    async def _visit(self, names: set[str], work: Work) -> None:
        """Until there is no more, and nothing is away. Meanwhile they are `_busy`."""
        delay, more, away = RETRY_SECONDS_MIN, True, False
        while (more or away) and not self._ended:
            more, away = await work(names)
            over, self._round_over = self._round_over, asyncio.Event()
            over.set()
            if away:
                await asyncio.sleep(delay)
            delay = min(2 * delay, RETRY_SECONDS_MAX) if away else RETRY_SECONDS_MIN
        self._busy -= names

    async def _round(self, names: Set[str]) -> tuple[bool, bool]:
        """Hand over, take, post. Whether there may be more, and whether something is away."""
        failed = await self._hand_over(names)
        await self._claim(names)
        look = await self._streams.look(names, self._back, self._taken)
        self._levels |= look.levels
        found = {row.organization for row in look.rows}
        through = self._back & look.levels.keys() - found - self._taken.keys()
        # An answer that was lost may have been rows; then they are ours.
        self._back -= through
        self._back |= {name for name, error in look.failed.items() if is_outage(error)}
        for row in look.rows:
            self._taken.setdefault(row.organization, []).append(row)
        failed |= look.failed
        problem = None
        try:
            failed |= await self._post_taken(names)
        except DatabaseProblem as error:
            problem = error
        self._tell(names, failed, problem)
        more = bool(found or through or look.made)
        return more, problem is not None or any(map(is_outage, failed.values()))

    async def _claim(self, names: Set[str]) -> None:
        now = self._clock()
        due = {n for n in names if now - self._claimed_at.get(n, -inf) >= self._claim_seconds}
        if due:
            self._claimed_at |= dict.fromkeys(due, now)
            self._back |= await self._streams.claim(due, self._claim_seconds)

    async def _enroll(self, names: Set[str]) -> tuple[bool, bool]:
        """Make new organizations known to all, and from time to time ask for those of others. To be
        known is for good: a Redis that lost them is told again."""
        new = {entry.organization or NOBODY for _, entry in self._buffer.values()}
        known = self._organizations | new
        self._looks_left -= 1
        if self._looks_left > 0 and known == self._organizations:
            return False, False
        told = await self._streams.organizations(known)
        failed: Failures = {}
        if isinstance(told, BaseException):
            failed = dict.fromkeys(names, told)
        elif not told <= self._organizations:
            self._back |= told - self._organizations
            self._organizations |= told
            self._now.set()
        if not failed:
            self._looks_left = LOOKS_KEPT
        self._tell(names, failed, None)
        return False, any(map(is_outage, failed.values()))

    async def _hand_over_all(self) -> None:
        await self._enroll({ORGANIZATIONS})
        nodes = self._streams.by_node(self._organizations)
        await asyncio.gather(*map(self._hand_over, nodes))

    async def _hand_over(self, names: Set[str]) -> Failures:
        failed: Failures = {}
        entries = [
            entry for _, entry in self._buffer.values() if (entry.organization or NOBODY) in names
        ]
        for start in range(0, len(entries), self._batch_max):
            some = [
                entry
                for entry in entries[start : start + self._batch_max]
                if (entry.organization or NOBODY) not in failed
            ]
            for entry, error in zip(some, await self._streams.add(some), strict=True):
                if error is None:
                    del self._buffer[entry.id]
                else:
                    failed[entry.organization or NOBODY] = error
        return failed

    async def _post_taken(self, names: Set[str]) -> Failures:
        """All that was taken, or raise DatabaseProblem; what is finished is not ours any more."""
        rows = [row for name in names for row in self._taken.get(name, ())]
        failed: Failures = {}
        for start in range(0, len(rows), self._batch_max):
            failed |= await self._post_some(rows[start : start + self._batch_max])
        return failed

    async def _post_some(self, rows: Sequence[Row]) -> Failures:
        entries = [row.entry for row in rows if row.entry is not None]
        async with self._posting:
            refused = {entry.id for entry in await self._post(entries)} if entries else set()
        bad = {
            row: None
            for row in rows
            if not row.gone and (row.entry is None or row.entry.id in refused)
        }
        failed = await self._streams.set_aside(list(bad))
        for row in bad:
            if row.organization in failed:
                continue
            self._errors += 1
            why = "cannot be read" if row.entry is None else "was refused by the database"
            id = row.id.decode() if row.entry is None else row.entry.id
            _log().error(f"The entry {id} of {row.organization} {why}; it is set aside.")
        failed |= await self._streams.finish([row for row in rows if row not in bad])
        done = set(rows)
        for name in {row.organization for row in rows} - failed.keys():
            left = [row for row in self._taken[name] if row not in done]
            if left:
                self._taken[name] = left
            else:
                del self._taken[name]
        return failed

    def _tell(self, names: Set[str], failed: Failures, problem: DatabaseProblem | None) -> None:
        """How it is with these now. Each trouble once, and once that all are over."""
        before = set(self._troubles.values())
        here = {name: str(problem) for name in names if problem} | {
            name: what if is_outage(error) else f"Organization {name}: {what}"
            for name, error in failed.items()
            for what in [str(problem_of(error, ""))]
        }
        others = {name: what for name, what in self._troubles.items() if name not in names}
        self._troubles = others | here
        self._errors += len(set(here.values()))
        for trouble in sorted(set(here.values()) - before):
            _log().warning(f"Usage cannot be written now; it is tried again. {trouble}")
        if before and not self._troubles:
            _log().warning("Usage is written again.")


def _log() -> logging.Logger:
    return logging.getLogger(LOGGER)
