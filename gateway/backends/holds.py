"""Reservations on their way into the table, and who waits for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from gateway.backends.database import Database
from gateway.backends.database_problem import DatabaseProblem, DataRefused
from gateway.backends.sql_book import Change, Hold, apply
from gateway.backends.unwritten import Unwritten
from gateway.backends.writability import TAKEN_OVER, Writability
from gateway.errors import Unavailable
from gateway.quota.ledger import Generations
from gateway.usage.entry import Entry

HOLDS_MIN = 32  # so many share a commit well enough
TURNS_MAX = 4  # of the loop, that a hold waits for others
ENDED = "The writer of usage has ended."
Told = Generations | str  # or why it is not held
Answer = asyncio.Future[tuple[Generations | None, list[Entry]]]
Group = Sequence[Hold]


class Holds:
    """One group is committed at a time, and the next gathers meanwhile. Where one of several is
    refused, each half is tried.

    `owner` has the right to hold; `end` is called after a fault of our own."""

    def __init__(
        self, database: Database, owner: str, unwritten: Unwritten, writability: Writability,
        end: Callable[[], None],
    ) -> None:  # fmt: skip
        self._database, self._owner, self._end = database, owner, end
        self._unwritten, self._writability = unwritten, writability
        self._known: Generations | None = None  # as the last commit told
        self._waiting: dict[Hold, asyncio.Future[Told]] = {}
        self._working: dict[Hold, asyncio.Future[Told]] = {}
        self._group: Group = ()  # of those in work, what is being committed
        self._parts: list[Group] = []  # and what is to be committed next
        self._replaced: list[str] = []  # rows that make way for those of the group
        self._answer: Answer | None = None
        self._is_gathering = False
        self._was_alone = True

    def add(self, hold: Hold) -> asyncio.Future[Told]:
        """What the hold comes to. Where nothing is in work it is on its way when this returns: on
        a quiet loop nobody would come whom it could wait for."""
        self._waiting[hold] = told = asyncio.get_running_loop().create_future()
        if not self._group and not self._is_gathering:
            if self._was_alone:
                self._begin()
            else:
                self._gather(0, TURNS_MAX)
        return told

    def withdraw(self, hold: Hold) -> bool:
        """Nobody wants it any more. Whether there may be a row of it."""
        return self._waiting.pop(hold, None) is None

    def tell(self, holds: Iterable[Hold], told: Told) -> None:
        """What became of these, which are in work."""
        for hold in holds:
            future = self._working.pop(hold, None)
            if future is not None and not future.done():  # else it was cancelled
                future.set_result(told)

    def fail(self, why: str) -> None:
        """None of them all is held; rows that there may be of them are to go."""
        for hold in self._working:
            self._unwritten.forget(hold.id)
        self._working |= self._waiting
        self._waiting, self._parts = {}, []
        self.tell(list(self._working), why)

    async def at_rest(self) -> None:
        """Return when nothing is in work."""
        while self._group and self._answer is not None:
            await asyncio.wait([self._answer])

    def _gather(self, before: int, turns: int) -> None:
        """On a busy loop each turn brings more: let them come, as a group shares one commit."""
        count = len(self._waiting)
        self._is_gathering = turns > 0 and before < count < HOLDS_MIN
        if self._is_gathering:
            asyncio.get_running_loop().call_soon(self._gather, count, turns - 1)
        else:
            self._begin()

    def _begin(self) -> None:
        """The rest of the last group, but for who left since: the row of such a one may have been
        deleted already. Else all that wait."""
        group: Group = ()
        while self._parts and not group:
            group = [one for one in self._parts.pop() if not self._working[one].done()]
        if not group and self._waiting:
            self._working, self._waiting = self._waiting, {}
            group = tuple(self._working)
        if group:
            self._send(group)

    def _send(self, group: Group) -> None:
        """Where a request was admitted anew, the row that its id had before may still be there."""
        self._group = group
        self._replaced = self._unwritten.take_gone(hold.id for hold in group)
        change = Change(holds=group, gone=self._replaced)
        posted = self._database.post(lambda c: apply(c, change, self._owner, self._known))
        self._answer = asyncio.ensure_future(posted)
        self._answer.add_done_callback(self._answered)

    def _answered(self, answer: Answer) -> None:
        group, self._group = self._group, ()
        self._was_alone = len(group) == 1 and not self._waiting
        try:
            self._judge(group, answer)
        except BaseException:
            self._end()
            self.fail(ENDED)
            raise
        if self._parts:
            self._begin()
        elif self._waiting:
            self._gather(0, TURNS_MAX)

    def _judge(self, group: Group, answer: Answer) -> None:
        try:
            generations, _ = answer.result()
        except DataRefused as refusal:
            self._refused(group, refusal)
        except DatabaseProblem as problem:
            self.fail(str(problem))
            self._writability.failed(problem)
        else:
            self._known = generations
            self._writability.succeeded()
            if generations is None:
                self._writability.taken_over()
            self.tell(group, TAKEN_OVER if generations is None else generations)

    def _refused(self, group: Group, refusal: DataRefused) -> None:
        for id in self._replaced:
            self._unwritten.forget(id)
        if len(group) > 1:
            middle = len(group) // 2
            self._parts += [group[middle:], group[:middle]]
            return
        self._writability.refused(group[0].id, refusal)
        self.tell(group, "The database refused the reservation.")


def cannot_hold(why: str) -> Unavailable:
    """What whoever wants to reserve is told."""
    return Unavailable(why, code="ledger_unavailable")
