"""The Journal in Redis: entries wait in streams, one an organization, and any replica posts them.

An entry leaves its stream only when it is committed, so the streams are exactly the backlog; one
that is posted twice is passed over by its id. What this process took and could not post it keeps
and tries again; what another process took and never finished is taken over from it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from math import inf

from gateway.backends.database_problem import DatabaseProblem
from gateway.backends.redis_client import Client, problem_of
from gateway.backends.redis_keys import NOBODY
from gateway.backends.redis_streams import Failures, Level, Row, Streams, is_outage
from gateway.backends.sql_entries import storable
from gateway.usage.entry import Entry
from gateway.usage.record import JournalState

RETRY_SECONDS_MIN, RETRY_SECONDS_MAX = 0.05, 5.0
LOOKS_KEPT = 10  # rounds for which the organizations are remembered
LOGGER = "gateway.journal"
Post = Callable[[Sequence[Entry]], Awaitable[list[Entry]]]


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
        self._claim_seconds, self._claimed_at = claim_seconds, -inf
        self._buffer: dict[str, tuple[float, Entry]] = {}  # by id: not handed over yet
        self._taken: dict[str, list[Row]] = {}  # by organization: not finished yet
        self._back: set[str] = set()  # where rows may be ours that we do not have
        self._organizations: set[str] = set()
        self._looks_left = 0
        self._levels: dict[str, Level] = {}
        self._errors = 0
        self._troubles: set[str] = set()
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
        died = self._task is not None and self._task.done()
        full = len(self._buffer) >= self._pending_max or in_streams >= self._stream_max
        return JournalState(
            pending=len(self._buffer) + in_streams,
            lag_seconds=max(0.0, now - min(since, default=now)),
            errors=self._errors,
            full=full or died,
            set_aside=sum(level.set_aside for level in levels),
        )

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
            await asyncio.wait_for(self._hand_over(), grace_seconds)
        return tuple(entry for _, entry in self._buffer.values())

    async def _post_forever(self) -> None:
        delay = RETRY_SECONDS_MIN
        try:
            while not self._ended:
                self._now.clear()
                more, away = await self._round()
                over, self._round_over = self._round_over, asyncio.Event()
                over.set()
                wait = delay if away else self._flush_seconds
                delay = min(2 * delay, RETRY_SECONDS_MAX) if away else RETRY_SECONDS_MIN
                if (away or not more) and not self._ended:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(wait):
                            await self._now.wait()
        finally:
            self._round_over.set()

    async def _round(self) -> tuple[bool, bool]:
        """Hand over, take, post. Whether there may be more, and whether something is away."""
        failed = await self._hand_over()
        failed |= await self._learn_organizations()
        if self._clock() - self._claimed_at >= self._claim_seconds:
            self._claimed_at = self._clock()
            self._back |= await self._streams.claim(self._organizations, self._claim_seconds)
        look = await self._streams.look(self._organizations, self._back, self._taken)
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
            failed |= await self._post_taken()
        except DatabaseProblem as error:
            problem = error
        self._tell(failed, problem)
        more = bool(found or through or look.made)
        return more, problem is not None or any(map(is_outage, failed.values()))

    async def _learn_organizations(self) -> Failures:
        self._looks_left -= 1
        if self._looks_left > 0:
            return {}
        names = await self._streams.organizations()
        if isinstance(names, BaseException):
            return {NOBODY: names}
        self._back |= names - self._organizations
        self._organizations = names | self._taken.keys()
        self._levels = {name: self._levels[name] for name in names & self._levels.keys()}
        self._looks_left = LOOKS_KEPT
        return {}

    async def _hand_over(self) -> Failures:
        failed: Failures = {}
        entries = [entry for _, entry in self._buffer.values()]
        for start in range(0, len(entries), self._batch_max):
            some = [
                entry
                for entry in entries[start : start + self._batch_max]
                if (entry.organization or NOBODY) not in failed
            ]
            for entry, error in zip(some, await self._streams.add(some), strict=True):
                organization = entry.organization or NOBODY
                if error is None:
                    del self._buffer[entry.id]
                    self._organizations.add(organization)
                else:
                    failed[organization] = error
        return failed

    async def _post_taken(self) -> Failures:
        """All that was taken, or raise DatabaseProblem; what is finished is not ours any more."""
        rows = [row for some in self._taken.values() for row in some]
        failed: Failures = {}
        for start in range(0, len(rows), self._batch_max):
            failed |= await self._post_some(rows[start : start + self._batch_max])
        return failed

    async def _post_some(self, rows: Sequence[Row]) -> Failures:
        entries = [row.entry for row in rows if row.entry is not None]
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

    def _tell(self, failed: Failures, problem: DatabaseProblem | None) -> None:
        """Each trouble once, and once that all are over."""
        troubles = {str(problem)} if problem else set()
        for name, error in failed.items():
            what = str(problem_of(error, ""))
            troubles.add(what if is_outage(error) else f"Organization {name}: {what}")
        self._errors += len(troubles)
        for trouble in sorted(troubles - self._troubles):
            _log().warning(f"Usage cannot be written now; it is tried again. {trouble}")
        if self._troubles and not troubles:
            _log().warning("Usage is written again.")
        self._troubles = troubles


def _log() -> logging.Logger:
    return logging.getLogger(LOGGER)
