"""Counters that Redis does not have, rebuilt from the book and from what waits for it.

cut.lua fixes a time: what was resolved by then is in the stream or in the book, what was open then
is held by the counter itself. So the use up to that time is what both know, each entry once, but
for those that were open. The stream is read first: what leaves it meanwhile is in the book then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from gateway import errors
from gateway.backends.redis_client import Client
from gateway.backends.redis_counters import Place, lines_of
from gateway.backends.redis_keys import GENERATION, ORGANIZATIONS, key_of, stream_of
from gateway.backends.redis_scripts import AWAY, Scripts, text_of, unavailable
from gateway.backends.tables import seconds
from gateway.json_text import read
from gateway.quota.ledger import Generations, Subject
from gateway.quota.limit import Amounts

PAGE = 1000
_FIGURES = ("requests", "input_tokens", "output_tokens", "cost_nano")


class Book(Protocol):
    """What was posted, as the ledger in Redis sees it. All raise `errors.Unavailable`."""

    async def spent(
        self, subject: Subject, since: float, until: float | None, but: Collection[str]
    ) -> Amounts:
        """Σ of the subject's entries with since ≤ time < until, but for these ids."""
        ...

    async def knows(self, id: str) -> bool:
        """An entry of this id was posted."""
        ...

    async def generations(self) -> Generations: ...


@dataclass(frozen=True, slots=True)
class Cut:
    """A counter that is being read: `at` (microseconds) and the ids that were open then."""

    place: Place
    at: int
    ids: frozenset[str]

    @property
    def question(self) -> tuple[Subject, float, float, frozenset[str]]:
        """Counters of the same question differ in what they measure only."""
        until = self.at + 1
        if self.place.until is not None:
            until = min(until, int(self.place.until))
        since = max(0, self.at - self.place.unit) if self.place.unit else int(self.place.since)
        return self.place.subject, seconds(since), seconds(until), self.ids


class Rebuild:
    """All raise `errors.Unavailable` (ledger_unavailable)."""

    def __init__(self, client: Client, scripts: Scripts, book: Book) -> None:
        self._client = client
        self._scripts = scripts
        self._book = book
        self._loads: dict[tuple[str, frozenset[str]], asyncio.Task[bool]] = {}

    async def register(self, organization: str, now: str) -> None:
        """Make an organization known whose data are not there, or not any more.

        `now` is microseconds; from then on what is not there may be taken for never used."""
        try:
            await self._client.sadd(ORGANIZATIONS, organization)
            generation = await self.generation()
            await self._client.set(key_of(organization, "generation"), generation, nx=True)
            await self._client.set(key_of(organization, "born"), now, nx=True)
        except AWAY as error:
            raise unavailable() from error

    async def generation(self) -> int:
        """Of keys and grants; raises one of AWAY, too."""
        known = await self._client.get(GENERATION)
        if known is None:
            await self._client.set(GENERATION, (await self._book.generations()).access, nx=True)
            known = await self._client.get(GENERATION)
        return int(known or 0)

    async def load(
        self, organization: str, missing: Mapping[str, tuple[Place, int]], answer: Any
    ) -> None:
        """`answer` is the script's that missed them. It goes on when one who waits for it is
        cancelled: others may wait, too."""
        name = (organization, frozenset(missing))
        task = self._loads.get(name)
        if task is None:
            lines = [
                counter_line(organization, place, amount)
                | {"from_book": needs_book(place, int(answer["now"]), int(answer["born"]))}
                for place, amount in missing.values()
            ]
            places = [place for place, _ in missing.values()]
            task = asyncio.create_task(self.read(organization, places, lines, answer["now"]))
            self._loads[name] = task
            task.add_done_callback(lambda _: self._loads.pop(name, None))
        try:
            await asyncio.shield(task)
        except (*AWAY, errors.Unavailable) as error:
            raise unavailable() from error

    async def read(
        self,
        organization: str,
        places: Sequence[Place],
        lines: Sequence[Mapping[str, Any]],
        now: str | None,
        again: bool = False,
    ) -> bool:
        """Cut, ask, and load; `again` where they are there. False where somebody else loaded first,
        or a charge came between: what was read is not what counts then. Raises one of AWAY, too."""
        request: dict[str, Any] = {"counters": lines, "again": again} | (
            {"now": now} if now else {}
        )
        answers = await self._scripts.run("cut", organization, request)
        cuts = [
            Cut(place, int(answer[0]), frozenset(answer[1]))
            for place, answer in zip(places, answers, strict=True)
            if answer
        ]
        if not cuts:
            return True
        waiting = [row async for row in entries_of(self._client, organization)]
        sums = {cut.question: await self._sum(cut, waiting) for cut in set(cuts)}
        loads = [
            counter_line(organization, cut.place, 0)
            | {
                "time": str(cut.at),
                "used": str(max(0, sums[cut.question].of(cut.place.measure))),
            }
            for cut in cuts
        ]
        request = {"counters": loads} | ({"now": now} if now else {})
        return bool(await self._scripts.run("load", organization, request) == len(loads))

    async def _sum(self, cut: Cut, waiting: Sequence[tuple[int, Mapping[str, Any]]]) -> Amounts:
        subject, since, until, open_ids = cut.question
        mine = {
            row["id"]: row
            for time, row in waiting
            if since <= seconds(time) < until
            and row["id"] not in open_ids
            and all(row.get(name) == value for name, value in subject)
        }
        posted = await self._book.spent(subject, since, until, open_ids | mine.keys())
        return Amounts(
            *(getattr(posted, name) + sum(row[name] for row in mine.values()) for name in _FIGURES)
        )


def counter_line(organization: str, place: Place, amount: int) -> dict[str, Any]:
    """A counter as cut.lua and load.lua want it."""
    line: dict[str, Any] = {
        "key": place.key(organization),
        "kind": place.kind,
        "measure": place.measure,
        "since": place.since,
        "unit": str(place.unit),
        "amount": str(amount),
        "lines": lines_of(place.subject),
    }
    return line if place.until is None else line | {"until": place.until}


def needs_book(place: Place, now: int, born: int) -> bool:
    """A bucket that was not touched in the window that these data have seen is full."""
    if place.kind == "rate":
        return now < born + place.unit
    return place.kind == "budget"


async def entries_of(
    client: Client, organization: str
) -> AsyncIterator[tuple[int, Mapping[str, Any]]]:
    """All that waits for the book: the time (microseconds) and the columns; what cannot be read is
    for the journal to set aside. Raises one of AWAY."""
    start = "-"
    while True:
        page: Any = await client.xrange(stream_of(organization), start, "+", count=PAGE)
        for _, fields in page:
            with suppress(KeyError, ValueError):
                yield _row_of(fields)
        if len(page) < PAGE:
            return
        start = "(" + text_of(page[-1][0])


def _row_of(fields: Mapping[bytes, bytes]) -> tuple[int, Mapping[str, Any]]:
    row = read(fields[b"entry"])
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        raise ValueError("not an entry")
    return int(fields[b"time"]), row
