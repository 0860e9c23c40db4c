"""Grants in SQL, on SQLite and on a real Postgres."""

import asyncio

import pytest
from sqlalchemy import text

from gateway.backends.database import Database, DatabaseProblem
from gateway.backends.sql_book import generations_of
from gateway.backends.sql_grants import SqlGrants, UnknownGrant
from gateway.errors import Unavailable
from gateway.quota.grant import Grant

NOW = 1_800_000_000.25
ACME = (("organization", "acme"),)
SUBJECTS = {
    "g1": ACME,
    "g2": (*ACME, ("project", "demo")),
    "g3": (*ACME, ("project", "demo"), ("key_id", "key_1")),
    "g4": (*ACME, ("project", "demo"), ("end_user", "zoë")),
}


def run_on(url, work):
    """What `work(grants, database, clock)`, a coroutine function, returns; `clock` is a list of
    the time now."""

    async def main():
        database, clock = Database(url, 2), [NOW]
        try:
            return await work(SqlGrants(database, lambda: clock[0]), database, clock)
        finally:
            await database.aclose()

    return asyncio.run(main())


@pytest.fixture
def using(migrated_url):
    return lambda work: run_on(migrated_url, work)


def grant(id="g1", *, subject=ACME, amount=5, starts_at=NOW, ends_at=None, note=""):
    return Grant(id, "prepaid", subject, amount, starts_at, ends_at, "Ada “L”", note)


def test_a_grant_comes_back_as_it_was_made_whomever_it_names(using):
    async def work(grants, *_):
        made = [
            grant(id, subject=subject, amount=10**18, ends_at=NOW + 1.5, note="für “März”")
            for id, subject in SUBJECTS.items()
        ]
        for one in made:
            await grants.add(one)
        assert sorted(await grants.grants(), key=lambda one: one.id) == made

    using(work)


@pytest.mark.parametrize("subject", [(), (("project", "demo"),), (*ACME, ("model", "echo"))])
def test_a_subject_that_no_limit_counts_is_refused(using, subject):
    async def work(grants, *_):
        with pytest.raises(ValueError, match="no limit counts"):
            await grants.add(grant(subject=subject))

    using(work)


def test_what_is_over_or_ended_is_no_more_granted_but_stays_on_the_list(using):
    async def work(grants, _, clock):
        await grants.add(grant("short", ends_at=NOW + 10))
        await grants.add(grant("later", starts_at=NOW + 100, ends_at=NOW + 200))
        await grants.add(grant("ended"))
        await grants.end("ended", "grace")
        assert {one.id for one in await grants.grants()} == {"short", "later"}
        clock[0] = NOW + 10
        assert {one.id for one in await grants.grants()} == {"later"}
        assert {record.grant.id for record in await grants.all()} == {"short", "later", "ended"}

    using(work)


def test_an_end_says_when_and_by_whom_and_the_first_one_stays(using):
    async def work(grants, _, clock):
        await grants.add(grant())
        clock[0] = NOW + 5
        record = await grants.end("g1", "grace")
        assert (record.grant, record.created_at) == (grant(), NOW)
        assert (record.ended_at, record.ended_by) == (NOW + 5, "grace")
        clock[0] = NOW + 9
        assert await grants.end("g1", "eve") == record
        assert await grants.all() == [record]

    using(work)


def test_grants_are_listed_in_the_order_they_were_made_and_by_organization(using):
    async def work(grants, _, clock):
        for n, (id, name) in enumerate([("z", "acme"), ("y", "umbrella"), ("x", "acme")]):
            clock[0] = NOW + n
            await grants.add(grant(id, subject=(("organization", name),)))
        assert [record.grant.id for record in await grants.all()] == ["z", "y", "x"]
        assert [record.grant.id for record in await grants.all("acme")] == ["z", "x"]

    using(work)


def test_an_unknown_id_is_said_to_be_unknown(using):
    async def work(grants, *_):
        with pytest.raises(UnknownGrant):
            await grants.end("g9", "grace")

    using(work)


def test_each_change_moves_the_generation_of_access_and_nothing_else_does(using):
    async def work(grants, database, _):
        async def generations():
            known = await generations_of(database)
            return known.access, known.book

        seen = [await generations()]
        for change in (grants.add(grant()), grants.end("g1", "a"), grants.end("g1", "a"),
                       grants.grants(), grants.all()):  # fmt: skip
            await change
            seen.append(await generations())
        assert seen == [(0, 0), (1, 0), (2, 0), (2, 0), (2, 0), (2, 0)]

    using(work)


def test_a_change_and_its_generation_are_one_step(spoilable_url):
    async def work(grants, database, _):
        await database.write(lambda c: c.execute(text("DROP TABLE state")))
        with pytest.raises(DatabaseProblem):
            await grants.add(grant())
        assert await grants.all() == []

    run_on(spoilable_url, work)


def test_trouble_is_unavailable_to_requests_and_a_problem_to_admins(spoilable_url):
    async def work(grants, database, _):
        await database.write(lambda c: c.execute(text("DROP TABLE grants")))
        with pytest.raises(Unavailable) as caught:
            await grants.grants()
        assert caught.value.code == "database_unavailable"
        for attempt in (grants.all(), grants.add(grant()), grants.end("g1", "a")):
            with pytest.raises(DatabaseProblem):
                await attempt

    run_on(spoilable_url, work)
