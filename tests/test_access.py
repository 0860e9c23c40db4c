"""Keys and grants are kept while they are of one generation, and never beyond it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import pytest

from gateway.access import Access
from gateway.errors import Unauthenticated, Unavailable
from gateway.keys.authenticate import authenticate
from gateway.keys.key import Key, Secret, digest, mint
from gateway.quota.grant import Grant

T = TypeVar("T")
PEPPER = b"a pepper of at least 32 characters"
MINE = (("organization", "acme"),)
TOP_UP = Grant("g1", "prepaid", MINE, 100, 0.0, None, "ada")


class Store:
    """A Keyring and a GrantStore that count what they are asked. `gate` holds answers back that
    were read already."""

    def __init__(self) -> None:
        self.secrets: dict[str, Secret] = {}
        self.granted: tuple[Grant, ...] = (TOP_UP,)
        self.away = False
        self.finds: list[str] = []
        self.reads = 0
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    def add(self, prefix: str) -> None:
        self.secrets[prefix] = Secret(prefix, bytes(32), Key("key_" + prefix, "acme", "demo", "k"))

    def revoke(self, prefix: str) -> None:
        secret = self.secrets[prefix]
        self.secrets[prefix] = replace(secret, key=replace(secret.key, revoked_at=1.0))

    async def find(self, prefix: str) -> Secret | None:
        self.finds.append(prefix)
        return await self._answer(self.secrets.get(prefix))

    async def grants(self) -> tuple[Grant, ...]:
        self.reads += 1
        return await self._answer(self.granted)

    async def _answer(self, found: T) -> T:
        away = self.away
        self.asked.set()
        await asyncio.sleep(0)
        await self.gate.wait()
        if away:
            raise Unavailable("gone", code="database_unavailable")
        return found


def using(work: Callable[[Access, Store], Awaitable[None]], secrets_max: int = 100) -> None:
    async def main() -> None:
        store = Store()
        for prefix in "abc":
            store.add(prefix)
        await work(Access(store, store, secrets_max), store)

    asyncio.run(main())


def test_a_key_is_looked_up_once_a_generation() -> None:
    async def work(access: Access, store: Store) -> None:
        for _ in range(3):
            assert await access.find("a") == store.secrets["a"]
        assert store.finds == ["a"]
        access.follow(1)
        await access.find("a")
        assert store.finds == ["a", "a"]

    using(work)


def test_a_revoked_key_is_known_as_soon_as_its_generation_is() -> None:
    async def work(access: Access, store: Store) -> None:
        minted = mint(lambda size: bytes(size))
        key = Key("key_1", "acme", "demo", "k")
        store.secrets[minted.prefix] = Secret(minted.prefix, digest(minted.text, PEPPER), key)
        header = f"Bearer {minted.text}"
        assert await authenticate(header, access, PEPPER, 0.0) == key
        store.revoke(minted.prefix)
        access.follow(7)
        with pytest.raises(Unauthenticated, match="revoked"):
            await authenticate(header, access, PEPPER, 0.0)

    using(work)


def test_only_another_generation_is_news_be_it_a_smaller_one() -> None:
    async def work(access: Access, store: Store) -> None:
        reads = []
        for number in (0, 5, 5, 6, 3, 3):
            access.follow(number)
            await access.grants_of("acme")
            await access.find("a")
            reads.append((access.generation, store.reads, len(store.finds)))
        assert reads == [(0, 1, 1), (5, 2, 2), (5, 2, 2), (6, 3, 3), (3, 4, 4), (3, 4, 4)]

    using(work)


def test_what_is_not_found_is_not_kept() -> None:
    async def work(access: Access, store: Store) -> None:
        assert await access.find("new") is None
        store.add("new")
        assert await access.find("new") == store.secrets["new"]

    using(work)


def test_the_least_lately_used_key_is_forgotten_first() -> None:
    async def work(access: Access, store: Store) -> None:
        for prefix in ("a", "b", "a", "c"):  # b goes
            await access.find(prefix)
        for prefix in ("a", "c"):
            await access.find(prefix)
        assert store.finds == ["a", "b", "c"]
        await access.find("b")
        assert store.finds == ["a", "b", "c", "b"]

    using(work, secrets_max=2)


def test_a_key_that_was_being_read_while_the_generation_moved_on_is_not_kept() -> None:
    async def work(access: Access, store: Store) -> None:
        store.gate.clear()
        late = asyncio.create_task(access.find("a"))
        await store.asked.wait()
        store.revoke("a")
        access.follow(1)
        store.gate.set()
        found = await late
        assert found is not None
        assert found.key.revoked_at is None  # its caller remembers that it began before
        again = await access.find("a")
        assert again is not None
        assert again.key.revoked_at == 1.0

    using(work)


def test_grants_that_were_being_read_while_the_generation_moved_on_are_not_kept() -> None:
    async def work(access: Access, store: Store) -> None:
        store.gate.clear()
        late = asyncio.create_task(access.grants_of("acme"))
        await store.asked.wait()
        store.granted = ()
        access.follow(1)
        store.gate.set()
        assert await late == {("prepaid", MINE): [TOP_UP]}
        assert await access.grants_of("acme") == {}

    using(work)


def test_grants_are_read_once_for_all_who_ask_and_of_one_organization() -> None:
    async def work(access: Access, store: Store) -> None:
        found = await asyncio.gather(*(access.grants_of(name) for name in ["acme", "other"] * 5))
        assert found == [{("prepaid", MINE): [TOP_UP]}, {}] * 5
        assert store.reads == 1
        store.granted = ()
        assert await access.grants_of("acme") != {}
        access.follow(1)
        assert await access.grants_of("acme") == {}

    using(work)


def test_a_caller_that_goes_takes_nothing_from_those_who_wait_with_it() -> None:
    async def work(access: Access, store: Store) -> None:
        store.gate.clear()
        first, second = (asyncio.create_task(access.grants_of("acme")) for _ in range(2))
        await store.asked.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        store.gate.set()
        assert await second == {("prepaid", MINE): [TOP_UP]}
        assert store.reads == 1

    using(work)


def test_while_the_database_is_away_what_is_kept_goes_on_and_the_rest_is_unavailable() -> None:
    async def work(access: Access, store: Store) -> None:
        await access.find("a")
        await access.grants_of("acme")
        store.away = True
        assert await access.find("a") == store.secrets["a"]
        assert await access.grants_of("other") == {}
        with pytest.raises(Unavailable) as caught:
            await access.find("b")
        assert caught.value.code == "database_unavailable"

    using(work)


def test_what_changed_while_the_database_is_away_is_unavailable_until_it_is_back() -> None:
    async def work(access: Access, store: Store) -> None:
        await access.find("a")
        await access.grants_of("acme")
        store.away = True
        access.follow(1)
        for attempt in (access.find("a"), access.grants_of("acme"), access.grants_of("acme")):
            with pytest.raises(Unavailable):
                await attempt
        store.away = False
        assert await access.find("a") == store.secrets["a"]
        assert await access.grants_of("acme") == {("prepaid", MINE): [TOP_UP]}

    using(work)
