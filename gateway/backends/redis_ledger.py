"""The Ledger in Redis, for as many processes as there are: one script a verb, which books all of a
request or nothing, and Redis' own clock.

Standings are computed here, from the raw figures that a script answers. A script that cannot decide
says why (its data are gone, another window has begun, counters are missing): that is mended here,
and it is asked again.

The client must not try again by itself (`Retry(NoBackoff(), 0)`): what came through unheard would
be done twice, or be taken for somebody else's. docs/internals/ledger.md
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

from gateway import errors
from gateway.backends.redis_charge import Charges, organization_of
from gateway.backends.redis_client import Client
from gateway.backends.redis_counters import (
    Place,
    place_of_key,
    text_by_measure,
    whose_lines,
)
from gateway.backends.redis_debts import Debt, Debts, Way
from gateway.backends.redis_keys import ORGANIZATIONS, key_of
from gateway.backends.redis_questions import Question, Questions
from gateway.backends.redis_rebuild import Book, Rebuild, counter_line
from gateway.backends.redis_scripts import AWAY, Scripts, text_of, unavailable
from gateway.backends.redis_unheard import HEARD, Leaving, Unheard
from gateway.backends.redis_writes import Writes
from gateway.backends.tables import micros, seconds
from gateway.json_text import write
from gateway.quota.ledger import (
    AlreadyResolved,
    Claim,
    CounterState,
    Record,
    Reservation,
    Standing,
    Standings,
    Verdict,
)
from gateway.quota.limit import NOTHING, Amounts

TRIES = 20  # of a question that cannot be answered yet; each time something was mended
SWEPT_AT_ONCE = 100


class RedisLedger:
    """Implements gateway.quota.ledger.Ledger. `encode` makes the JSON of an entry (entry_json.py)
    of a record. With `use_now` the time that a verb is told rules, in place of Redis' clock."""

    settles_at_once = False

    def __init__(
        self, client: Client, book: Book, encode: Callable[[Any], str], use_now: bool = False
    ) -> None:
        self._client = client
        self._book = book
        self._encode = encode
        self._use_now = use_now
        self._writes = Writes(client)
        self._ahead = 0.0  # seconds by which Redis' clock is before the caller's
        self._scripts = Scripts(client)
        self._rebuild = Rebuild(client, self._scripts, book)
        self._charges = Charges(client, self._scripts, self._rebuild, book, encode)
        self._debts = Debts(self._pay)
        self._questions = Questions()
        self._granted: dict[str, Question] = {}  # here, and not resolved from here

    def start(self) -> None:
        """Pay debts from now on."""
        self._debts.start()

    async def aclose(self) -> tuple[Record, ...]:
        """Records of what was used without a reservation and could not be booked: they are in
        nobody's hands but the caller's then. What is reserved is left to its lease."""
        return await self._debts.aclose()

    def owed(self) -> int:
        return len(self._debts)

    async def reserve(self, reservation: Reservation, now: float) -> Verdict:
        """Raises ValueError where a reservation of this id is or was open. One whose answer was not
        heard is taken back; until then none of its id can be made (errors.Unavailable)."""
        if self._debts.has(reservation.id):
            raise unavailable()
        more = {
            "id": reservation.id,
            "whose": whose_lines(reservation.whose),
            "lease": str(max(0, micros(reservation.expires_at - now))),
        }
        entry = self._encode(reservation.record)
        organization = organization_of(reservation)
        try:
            verdict, question = await self._ask(
                "reserve", organization, reservation.claims, reservation.bound, now, more, entry
            )
        except Unheard as unheard:
            self._debts.add(Debt(Way.RESOLVE, reservation, NOTHING, None, now))
            if isinstance(unheard.__cause__, asyncio.CancelledError):
                raise unheard.__cause__ from None
            raise unavailable() from unheard.__cause__
        if verdict.granted:
            self._granted[reservation.id] = question
        return verdict

    async def look(self, claims: Sequence[Claim], now: float, asked: Amounts = NOTHING) -> Verdict:
        organization = dict(claims[0].subject)["organization"] if claims else ""
        try:
            return (await self._ask("look", organization, claims, asked, now, {}))[0]
        except Unheard as unheard:
            if isinstance(unheard.__cause__, asyncio.CancelledError):
                raise unheard.__cause__ from None
            raise unavailable() from unheard.__cause__

    async def has_room(self, claims: Sequence[Claim], now: float, asked: Amounts) -> bool:
        return (await self.look(claims, now, asked)).granted

    async def settle(
        self, reservation: Reservation, used: Amounts, record: Record, now: float
    ) -> Standings:
        return _known(await self._resolve(Debt(Way.RESOLVE, reservation, used, record, now)))

    async def release(
        self, reservation: Reservation, record: Record | None, now: float
    ) -> Standings:
        return _known(await self._resolve(Debt(Way.RESOLVE, reservation, NOTHING, record, now)))

    def owe(self, reservation: Reservation, used: Amounts, record: Record, now: float) -> None:
        self._debts.add(Debt(Way.CHARGE, reservation, used, record, now))

    async def sweep(self, now: float) -> int:
        count = 0
        try:
            await self._writes.look()
            for organization in await self._organizations():
                swept = SWEPT_AT_ONCE
                while swept == SWEPT_AT_ONCE:
                    request = self._timed(now) | {"most": SWEPT_AT_ONCE}
                    swept = await self._scripts.run("sweep", organization, request)
                    count += swept
        except AWAY as error:
            raise unavailable() from error
        return count

    async def generation(self) -> int:
        if not self._writes.taken:
            raise unavailable()
        try:
            return await self._rebuild.generation()
        except (*AWAY, errors.Unavailable) as error:
            raise unavailable() from error

    async def counters(self) -> Sequence[CounterState]:
        """Raises errors.Unavailable (ledger_unavailable). One that is being read is left out."""
        states = []
        try:
            for organization in await self._organizations():
                for place in await self._budgets(organization):
                    key, names = place.key(organization), ["used", "reserved", "pending"]
                    used, reserved, pending = cast(Any, await self._client.hmget(key, names))
                    if used is None or pending is not None:
                        continue
                    states.append(
                        CounterState(
                            place.subject,
                            place.measure,
                            place.window,
                            *place.span,
                            int(used),
                            int(reserved),
                        )
                    )
        except AWAY as error:
            raise unavailable() from error
        return states

    async def recount(self, organization: str, now: float) -> None:
        """Read all budgets again, as others have posted entries (corrections); what is open stays.

        Raises errors.Unavailable (ledger_unavailable)."""
        try:
            places = await self._budgets(organization)
            lines = [counter_line(organization, place, 0) | {"from_book": True} for place in places]
            at = self._timed(now).get("now")
            for _ in range(TRIES if lines else 0):
                if await self._rebuild.read(organization, places, lines, at, again=True):
                    return
        except (*AWAY, errors.Unavailable) as error:
            raise unavailable() from error

    async def organizations(self) -> list[str]:
        """All that have anything here. Raises errors.Unavailable (ledger_unavailable)."""
        try:
            return await self._organizations()
        except AWAY as error:
            raise unavailable() from error

    async def _organizations(self) -> list[str]:
        members = await self._client.smembers(ORGANIZATIONS)
        return sorted(text_of(member) for member in members)

    async def _budgets(self, organization: str) -> list[Place]:
        keys = await self._client.smembers(key_of(organization, "counters"))
        places = (place_of_key(text_of(key)) for key in sorted(keys))
        return [place for place in places if place.kind == "budget"]

    async def _charge(self, debt: Debt) -> None:
        await self._charges.charge(debt, debt.now + self._ahead, self._use_now)

    def _timed(self, now: float) -> dict[str, Any]:
        return {"now": str(micros(now))} if self._use_now else {}

    async def _ask(
        self,
        verb: str,
        organization: str,
        claims: Sequence[Claim],
        asked: Amounts,
        now: float,
        more: dict[str, Any],
        entry: str = "",
    ) -> tuple[Verdict, Question]:
        """Raises Unheard; errors.Unavailable where nothing was done."""
        at = now + self._ahead
        leaving = Leaving()
        told = write(more | self._timed(now)).decode()[1:]
        told = told if told == "}" else f",{told}"
        for _ in range(TRIES):
            question = self._questions.about(organization, claims, at)
            request = f'{{"asked":{text_by_measure(asked)},{question.span}{told}'
            with HEARD:
                answer = await self._scripts.run_text(
                    verb, organization, request, question.text, entry
                )
                leaving.check()
            at = seconds(int(answer["now"]))
            self._ahead = at - now
            if "granted" in answer:
                held = verb == "reserve" and answer["granted"]
                standings = question.standings(answer, asked, held)
                verdict = Verdict(answer["granted"], standings, int(answer["generation"]), at)
                return verdict, question
            if "taken" in answer:
                raise ValueError(f"reservation {more['id']} is or was open already")
            if "lost" in answer:
                await self._rebuild.register(organization, answer["now"])
            elif "missing" in answer:
                missing = {key: question.named[key] for key in answer["missing"]}
                await self._rebuild.load(organization, missing, answer)
        raise unavailable()

    async def _resolve(self, debt: Debt) -> tuple[Standing, ...]:
        """Whatever keeps it from being booked, it becomes a debt."""
        try:
            return await self._book_resolved(debt, unclear=False)
        except (*AWAY, errors.Unavailable):
            self._debts.add(debt)
            return ()
        except asyncio.CancelledError:
            self._debts.add(debt)
            raise

    async def _pay(self, debt: Debt) -> None:
        if debt.way is Way.CHARGE:
            await self._charge(debt)
        else:
            await self._book_resolved(debt, unclear=True)

    async def _book_resolved(self, debt: Debt, unclear: bool) -> tuple[Standing, ...]:
        """`unclear`: it may have been done before. Raises AlreadyResolved where it is known to have
        been done by somebody else, one of AWAY and errors.Unavailable."""
        reservation, record = debt.reservation, debt.record
        told = write(self._timed(debt.now) | {"id": reservation.id}).decode()[1:]
        request = f'{{"used":{text_by_measure(debt.used)},{told}'
        entry = "" if record is None else self._encode(record)
        organization = organization_of(reservation)
        answer = await self._scripts.run_text("settle", organization, request, entry)
        is_ours = reservation.id in self._granted
        if "unknown" in answer:
            if is_ours and record is not None and not await self._charges.is_posted(reservation):
                await self._charge(debt)  # Redis lost its data
            elif not unclear:
                self._granted.pop(reservation.id, None)
                raise AlreadyResolved(f"reservation {reservation.id} is not open")
        question = self._granted.pop(reservation.id, None)
        return () if question is None else question.standings(answer, NOTHING, held=True)


def _known(standings: tuple[Standing, ...]) -> Standings:
    return lambda: standings
