"""How accounts are kept: what the settings choose, and what becomes of what was not written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from gateway import accounts_shared
from gateway.accounts import tell_unwritten
from gateway.accounts_shared import Changes, _examine, _follow_generations, _pass_on
from gateway.backends.database import Database
from gateway.backends.database_problem import DatabaseProblem
from gateway.backends.entry_json import encode
from gateway.backends.redis_book import PostedBook
from gateway.backends.redis_client import RedisProblem, connect
from gateway.backends.redis_generation import generation_key, newest, published
from gateway.backends.redis_keys import ORGANIZATIONS
from gateway.backends.redis_ledger import RedisLedger
from gateway.backends.sql_book import bump, generations_of, post_behind
from gateway.errors import Unavailable, Unwritten
from gateway.quota.ledger import Claim
from gateway.quota.limit import Level, Limit, Measure, Window
from gateway.settings import Settings
from gateway.usage.entry import Entry, Outcome
from tests.backends.redis_server import RedisServer, redis_server
from tests.world import NOW, FakeLog

GUARD_SECONDS = 30.0  # what waits so long waits for ever
BUDGET = Limit("budget", Measure.MONEY, 1000, Window.MONTH, Level.ORGANIZATION)
CLAIM = Claim(BUDGET, (("organization", "acme"),))


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server("--appendonly", "no") as server:
        yield server


class HeardLedger(RedisLedger):
    """Remembers what was counted anew."""

    recounts: list[str]

    async def recount(self, organization: str, now: float) -> None:
        self.recounts.append(organization)
        await super().recount(organization, now)


class Place:
    """A book in SQL, an empty Redis, and a ledger over both."""

    def __init__(self, database: Database, client: Any) -> None:
        self.database = database
        self.client = client
        self.ledger = HeardLedger(client, PostedBook(database), encode, use_now=True)
        self.ledger.recounts = []

    async def pass_on(self) -> None:
        await _pass_on(self.database, self.client, self.ledger, lambda: NOW)

    async def change_access(self) -> int:
        return await self.database.write(lambda connection: bump(connection, "access"))

    async def published(self) -> list[int | None]:
        """Of all, of acme, and of umbrella."""
        names = ("acme", "umbrella")
        return [
            await newest(self.client),
            *[await published(self.client, name) for name in names],
        ]

    async def used(self) -> int:
        return (await self.ledger.look([CLAIM], NOW)).standings[0].used


def placed(server: RedisServer, folder: Path, work: Callable[[Place], Awaitable[None]]) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            database = Database(f"sqlite:///{folder}/gateway.db", 1)
            stack.push_async_callback(database.aclose)
            database.migrate()
            client = await connect(server.url, 5.0, 4)
            stack.push_async_callback(client.aclose)
            await client.flushall()
            await client.sadd(ORGANIZATIONS, "acme", "umbrella")
            await work(Place(database, client))

    asyncio.run(main())


def test_entries_that_the_database_did_not_take_are_logged_in_full() -> None:
    log = FakeLog()
    with pytest.raises(Unwritten, match="1 entries"):
        tell_unwritten([Entry("req_1", 5.0, key_id="key_1", cost_nano=7)], log)
    ((event, fields),) = log.lines
    assert event == "entry_not_written"
    assert (fields["request_id"], fields["cost_nano"], fields["time"]) == ("req_1", 7, 5.0)
    tell_unwritten([], log)
    assert len(log.lines) == 1


def test_a_redis_that_is_absent_at_the_start_is_told_and_no_reason_to_end() -> None:
    log = FakeLog()
    unused: Any = None
    asyncio.run(_examine(unused, RedisProblem("Redis cannot be reached."), log))
    assert log.lines == [("redis_absent", {"text": "Redis cannot be reached."})]


@pytest.mark.parametrize(
    ("options", "warnings", "problem"),
    [
        ({"appendonly": "yes"}, [], None),
        ({"appendonly": "no"}, ["redis_forgets"], None),
        ({"maxmemory-policy": "allkeys-lru"}, [], "maxmemory-policy noeviction"),
    ],
)
def test_a_redis_that_may_lose_accounts_is_warned_of_and_one_that_will_is_refused(
    server: RedisServer, options: dict[str, str], warnings: list[str], problem: str | None
) -> None:
    log = FakeLog()

    async def work() -> None:
        client = await connect(server.url, 5.0, 1)
        before = {name: (await client.config_get(name))[name] for name in options}
        try:
            for name, value in options.items():
                await client.config_set(name, value)
            await _examine(client, None, log)
        finally:
            for name, value in before.items():
                await client.config_set(name, value)
            await client.aclose()

    if problem is None:
        asyncio.run(work())
    else:
        with pytest.raises(DatabaseProblem, match=problem):
            asyncio.run(work())
    assert [event for event, _ in log.lines] == warnings


def test_a_change_that_its_command_could_not_publish_is_passed_on(
    server: RedisServer, tmp_path: Path
) -> None:
    async def work(place: Place) -> None:
        for generation in (1, 2):
            assert await place.change_access() == generation
            await place.pass_on()
            assert await place.published() == [generation] * 3

    placed(server, tmp_path, work)


def test_an_organization_that_fell_behind_catches_up_though_nothing_changed_since(
    server: RedisServer, tmp_path: Path
) -> None:
    async def work(place: Place) -> None:
        await place.change_access()
        await place.change_access()
        await place.pass_on()
        await place.client.set(generation_key("acme"), 1)
        await place.client.delete(generation_key("umbrella"))
        await place.pass_on()
        assert await place.published() == [2, 2, 2]

    placed(server, tmp_path, work)


def test_a_database_that_was_restored_moves_on_beyond_what_redis_has_seen(
    server: RedisServer, tmp_path: Path
) -> None:
    async def work(place: Place) -> None:
        await place.client.set("gw:generation", 40)
        await place.client.set(generation_key("acme"), 40)
        await place.change_access()
        await place.pass_on()
        assert (await generations_of(place.database)).access == 41
        assert await place.published() == [41, 41, 41]
        assert await place.change_access() == 42

    placed(server, tmp_path, work)


def test_corrections_are_counted_anew_once(server: RedisServer, tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        assert await place.used() == 0
        await place.pass_on()
        assert place.ledger.recounts == []
        for number in (1, 2):
            correction = Entry(
                f"correction_{number}",
                NOW,
                organization="acme",
                cost_nano=70,
                outcome=Outcome.CORRECTION,
            )
            await post_behind(place.database, [correction])
            assert await place.used() == 70 * (number - 1)
            await place.pass_on()
            await place.pass_on()
            assert await place.used() == 70 * number
            assert place.ledger.recounts == ["acme", "umbrella"] * number

    placed(server, tmp_path, work)


class AwayClient:
    """A Redis that is away, and that keeps one who asks waiting: the third time, or the first time
    where it `swallows` what breaks that wait."""

    def __init__(self, swallows: bool) -> None:
        self._swallows = swallows
        self.asked = 0
        self.waiting = asyncio.Event()

    async def get(self, key: str) -> None:
        self.asked += 1
        if self.asked == (1 if self._swallows else 3):
            self.waiting.set()
            with suppress(*((asyncio.CancelledError,) if self._swallows else ())):
                await asyncio.Event().wait()
        raise OSError("away")


@pytest.mark.parametrize(("swallows", "asked"), [(False, 3), (True, 1)])
def test_generations_are_followed_while_redis_is_away_until_the_gateway_stops(
    swallows: bool, asked: int
) -> None:
    """Also where the client loses the cancellation: `asyncio.wait_for` before Python 3.12 may."""
    unused: Any = None

    async def work() -> None:
        client: Any = AwayClient(swallows)
        settings = Settings(generation_seconds=0.0)
        following = asyncio.create_task(
            _follow_generations(settings, unused, client, unused, lambda: NOW, Changes())
        )
        async with asyncio.timeout(GUARD_SECONDS):
            await client.waiting.wait()
            following.cancel()
            await asyncio.wait([following])
        assert following.cancelled() is not swallows
        assert client.asked == asked

    asyncio.run(work())


class Recounting:
    """A ledger of two organizations, which is away when it is asked the first time."""

    def __init__(self) -> None:
        self.counted: list[str] = []
        self.done = asyncio.Event()
        self._is_away = True

    async def organizations(self) -> list[str]:
        if self._is_away:
            self._is_away = False
            raise Unavailable("away", code="ledger_unavailable")
        return ["acme", "other"]

    async def recount(self, organization: str, now: float) -> None:
        self.counted.append(organization)
        if organization == "other":
            self.done.set()


def test_budgets_are_read_again_when_a_policy_was_taken_over_however_late_that_can_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unused: Any = None

    async def nothing(*_: Any) -> None:
        """No command changed anything."""

    async def work() -> None:
        monkeypatch.setattr(accounts_shared, "_pass_on", nothing)
        ledger: Any = Recounting()
        rules = Changes()
        settings = Settings(generation_seconds=0.0)
        following = asyncio.create_task(
            _follow_generations(settings, unused, unused, ledger, lambda: NOW, rules)
        )
        await asyncio.sleep(0)
        rules.tell()
        async with asyncio.timeout(GUARD_SECONDS):
            await ledger.done.wait()
        following.cancel()
        await asyncio.wait([following])
        assert ledger.counted == ["acme", "other"]

    asyncio.run(work())
