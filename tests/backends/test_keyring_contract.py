"""What every Keyring does, on SQLite and on a real Postgres."""

import asyncio
import os
import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from gateway.backends.database import Database, DatabaseProblem
from gateway.backends.sql_book import generations_of
from gateway.backends.sql_journal import SqlJournal
from gateway.backends.sql_keyring import EndedKey, SqlKeyring, UnknownKey
from gateway.backends.tables import key_secrets, metadata
from gateway.errors import Unauthenticated, Unavailable
from gateway.keys.authenticate import authenticate
from gateway.keys.key import Role, matches, prefix_of
from gateway.usage.entry import Entry

PEPPER = b"a pepper of at least 32 characters"
NOW = 1_800_000_000.25


def run_on(url, work):
    """What `work(keyring, database)`, a coroutine function, returns."""

    async def main():
        database = Database(url, 2)
        try:
            return await work(SqlKeyring(database), database)
        finally:
            await database.aclose()

    return asyncio.run(main())


@pytest.fixture
def using(migrated_url):
    return lambda work: run_on(migrated_url, work)


async def create(keyring, name="laptop", project="demo", **more):
    return await keyring.create(
        PEPPER, "acme", project, name, now=NOW, random_bytes=secrets.token_bytes, **more
    )


async def rotate(keyring, id, grace_seconds=60.0, now=NOW):
    return await keyring.rotate(id, grace_seconds, PEPPER, secrets.token_bytes, now)


def enter(keyring, text, now=NOW):
    return authenticate(f"Bearer {text}", keyring, PEPPER, now)


def test_a_created_key_gets_in_as_itself(using):
    async def work(keyring, _):
        issued = await create(keyring)
        assert await enter(keyring, issued.text) == issued.key
        return issued.key

    key = using(work)
    assert (key.organization, key.project, key.name, key.role) == (
        "acme", "demo", "laptop", Role.MEMBER,
    )  # fmt: skip
    assert key.created_at == NOW


def test_all_that_is_known_of_a_key_comes_back(using):
    async def work(keyring, _):
        issued = await create(
            keyring,
            name="Zoë's “key”",
            role=Role.ADMIN,
            models=["gpt-4o", "echo"],
            endpoints=[],
            expires_at=NOW + 1.5,
            metadata={"team": "blå", "": "empty"},
        )
        secret = await keyring.find(prefix_of(issued.text))
        assert secret.key == issued.key
        assert secret.key.models == ("gpt-4o", "echo")
        assert secret.key.endpoints == ()
        assert secret.expires_at is None
        return (await keyring.show(issued.key.id)).key == issued.key

    assert using(work)


def test_an_unknown_prefix_is_nobody(using):
    assert using(lambda keyring, _: keyring.find("a" * 12)) is None


def test_the_text_of_a_key_is_nowhere_in_the_database(using):
    async def work(keyring, database):
        issued = await create(keyring)
        rotated = await rotate(keyring, issued.key.id)

        def everything(connection):
            return repr([connection.execute(select(t)).all() for t in metadata.tables.values()])

        return await database.read(everything), issued.text, rotated.text

    stored, *texts = using(work)
    for key in texts:
        assert prefix_of(key) in stored
        assert key[16:] not in stored


def test_what_is_stored_is_of_no_use_without_the_pepper(using):
    async def work(keyring, _):
        issued = await create(keyring)
        secret = await keyring.find(prefix_of(issued.text))
        return matches(secret.digest, issued.text, PEPPER), matches(
            secret.digest, issued.text, b"another pepper"
        )

    assert using(work) == (True, False)


def test_keys_are_counted_and_listed_in_the_order_they_were_made(using):
    async def work(keyring, _):
        assert await keyring.count() == 0
        assert await keyring.all() == []
        for project, now in (("demo", NOW + 2), ("batch", NOW + 1), ("demo", NOW)):
            await keyring.create(
                PEPPER, "acme", project, str(now - NOW), now=now, random_bytes=secrets.token_bytes
            )
        await keyring.revoke((await keyring.all())[0].key.id, NOW)
        assert await keyring.count() == 3
        assert [r.key.name for r in await keyring.all()] == ["0.0", "1.0", "2.0"]
        assert [r.key.name for r in await keyring.all(project="demo")] == ["0.0", "2.0"]
        assert await keyring.all(organization="other") == []

    using(work)


def test_a_revoked_key_is_refused_on_the_next_request(using):
    async def work(keyring, _):
        issued = await create(keyring)
        await enter(keyring, issued.text)
        assert (await keyring.revoke(issued.key.id, NOW + 1)).revoked_at == NOW + 1
        with pytest.raises(Unauthenticated, match="revoked"):
            await enter(keyring, issued.text)
        assert (await keyring.revoke(issued.key.id, NOW + 9)).revoked_at == NOW + 1

    using(work)


def test_after_a_rotation_both_texts_are_the_same_key_until_the_grace_ends(using):
    async def work(keyring, _):
        old = await create(keyring)
        new = await rotate(keyring, old.key.id, grace_seconds=60)
        assert new.key == old.key
        for moment in (NOW, NOW + 59.9):
            assert await enter(keyring, old.text, moment) == old.key
            assert await enter(keyring, new.text, moment) == old.key
        with pytest.raises(Unauthenticated, match="replaced"):
            await enter(keyring, old.text, NOW + 60)
        assert await enter(keyring, new.text, NOW + 10**6) == old.key

    using(work)


def test_without_a_grace_the_old_text_ends_at_once(using):
    async def work(keyring, _):
        old = await create(keyring)
        await rotate(keyring, old.key.id, grace_seconds=0)
        with pytest.raises(Unauthenticated):
            await enter(keyring, old.text)

    using(work)


def test_a_second_rotation_never_lengthens_an_older_grace(using):
    async def work(keyring, _):
        first = await create(keyring)
        await rotate(keyring, first.key.id, grace_seconds=10)
        third = await rotate(keyring, first.key.id, grace_seconds=1000)
        with pytest.raises(Unauthenticated):
            await enter(keyring, first.text, NOW + 11)
        return await enter(keyring, third.text, NOW + 11)

    using(work)


def test_texts_whose_grace_is_over_are_swept_by_the_next_rotation(using):
    async def work(keyring, database):
        key = (await create(keyring)).key
        for n in range(4):
            await rotate(keyring, key.id, grace_seconds=1, now=NOW + 10 * n)
        return len(await database.read(lambda c: c.execute(select(key_secrets)).all()))

    assert using(work) == 2


def test_a_key_that_ended_cannot_be_rotated(using):
    async def work(keyring, _):
        expired = await create(keyring, expires_at=NOW + 5)
        await rotate(keyring, expired.key.id, now=NOW + 4.9)
        revoked = await create(keyring)
        await keyring.revoke(revoked.key.id, NOW)
        for id, now in ((expired.key.id, NOW + 5), (revoked.key.id, NOW)):
            with pytest.raises(EndedKey):
                await rotate(keyring, id, now=now)
        assert len((await keyring.show(revoked.key.id)).prefixes) == 1

    using(work)


def test_what_changes_a_key_that_may_be_kept_moves_the_generation(using):
    async def work(keyring, database):
        seen = []
        key = (await create(keyring)).key  # a new key is kept nowhere
        for change in (rotate(keyring, key.id), keyring.revoke(key.id, NOW),
                       keyring.revoke(key.id, NOW), keyring.show(key.id)):  # fmt: skip
            seen.append((await generations_of(database)).access)
            await change
        seen.append((await generations_of(database)).access)
        assert seen == [0, 1, 2, 2, 2]

    using(work)


@pytest.mark.parametrize("id", ["key_nobody", "", "key_\ufffd'; DROP TABLE keys"])
def test_an_unknown_id_is_said_to_be_unknown(using, id):
    async def work(keyring, _):
        for attempt in (keyring.show(id), keyring.revoke(id, NOW), rotate(keyring, id)):
            with pytest.raises(UnknownKey):
                await attempt

    using(work)


def test_rotations_at_the_same_time_leave_every_new_text_working(migrated_url):
    async def make():
        database = Database(migrated_url, 1)
        issued = await create(SqlKeyring(database))
        await database.aclose()
        return issued

    async def turn(id):
        database = Database(migrated_url, 1)
        issued = await rotate(SqlKeyring(database), id)
        await database.aclose()
        return issued

    async def check(texts):
        database = Database(migrated_url, 1)
        found = [await enter(SqlKeyring(database), text) for text in texts]
        await database.aclose()
        return found

    first = asyncio.run(make())
    with ThreadPoolExecutor(4) as crowd:
        rotated = list(crowd.map(lambda _: asyncio.run(turn(first.key.id)), range(4)))
    texts = [first.text, *(issued.text for issued in rotated)]
    assert asyncio.run(check(texts)) == [first.key] * 5


def test_the_last_use_is_the_time_of_the_newest_entry(using):
    async def work(keyring, database):
        used, unused = await create(keyring), await create(keyring)
        journal = SqlJournal(database, 0.01, 10, 100, lambda: NOW, os.urandom)
        await journal.start()
        for n, later in enumerate((5, 9.5, 7)):
            journal.append(Entry(id=f"e{n}", time=NOW + later, key_id=used.key.id))
        await journal.aclose()
        assert (await keyring.show(used.key.id)).last_used == NOW + 9.5
        assert (await keyring.show(unused.key.id)).last_used is None
        assert {r.last_used for r in await keyring.all()} == {NOW + 9.5, None}

    using(work)


def test_trouble_with_the_store_is_unavailable_to_requests_and_a_problem_to_admins(spoilable_url):
    async def work(keyring, database):
        issued = await create(keyring)
        await database.write(lambda c: c.execute(text("DROP TABLE key_secrets")))
        with pytest.raises(Unavailable) as caught:
            await enter(keyring, issued.text)
        assert caught.value.code == "database_unavailable"
        with pytest.raises(DatabaseProblem) as problem:
            await keyring.all()
        assert "`gateway migrate`" in str(problem.value)
        assert "migrate" not in caught.value.message, "that is for admins"

    run_on(spoilable_url, work)
