"""One embedded ledger at a time, on SQLite and on a real Postgres."""

import asyncio

import psycopg
import pytest
from book_world import (
    ACME,
    NOW,
    booked,
    crash,
    entry,
    held,
    journal_of,
    reservation,
    using,
)
from sqlalchemy import make_url, select

from gateway.backends.database import DatabaseProblem
from gateway.backends.ownership import Ownership, share
from gateway.backends.sql_journal import TAKEN_OVER
from gateway.backends.tables import reservations, state
from gateway.errors import Unavailable


def test_a_second_gateway_is_told_what_to_do(migrated_url):
    async def work(journal, database):
        with pytest.raises(DatabaseProblem, match="stop that one, or set GATEWAY_REDIS_URL"):
            await journal_of(database).start()
        await journal.hold(reservation(1))  # it lost nothing
        await journal.aclose()
        other = journal_of(database)
        assert await other.start() == 1
        await other.aclose()

    using(migrated_url, work)


def test_another_name_of_the_same_file_is_the_same_database(sqlite_url, tmp_path):
    (tmp_path / "alias.db").symlink_to(make_url(sqlite_url).database)

    async def other(journal, database):
        return True

    async def work(journal, database):
        with pytest.raises(DatabaseProblem, match="another gateway"):
            await asyncio.to_thread(using, f"sqlite:///{tmp_path}/alias.db", other)

    using(sqlite_url, work)


def test_a_folder_that_takes_no_lock_is_named(sqlite_url):
    async def work(journal, database):
        await journal.aclose()
        lock = database.file.with_name(f"{database.file.name}.lock")
        lock.unlink()
        lock.mkdir()
        with pytest.raises(DatabaseProblem, match=r"gateway\.db\.lock cannot be made"):
            await journal_of(database).start()

    using(sqlite_url, work)


def test_who_was_taken_over_holds_nothing_more_and_settles_nothing_twice(migrated_url):
    async def work(old, database):
        await old.hold(reservation(1))
        await old.hold(reservation(2))
        old.append(entry(1))
        await old.flush()
        await old._ownership.release()  # as when its server restarts
        new = journal_of(database)
        assert await new.start() == 1
        assert old.trouble is None
        for n in (3, 4):
            with pytest.raises(Unavailable, match="taken over") as caught:
                await old.hold(reservation(n))
            assert caught.value.code == "ledger_unavailable"
        assert old.trouble == TAKEN_OVER
        old.append(entry(2))  # it is booked as abandoned already
        old.append(entry(5))
        await old.flush()
        await new.hold(reservation(6))
        assert await held(database) == {"req_6"}
        assert await booked(database) == {"req_1": "ok", "req_2": "abandoned", "req_5": "ok"}
        await new.aclose()

    using(migrated_url, work)


def test_a_database_that_goes_to_redis_leaves_the_embedded_ledger_nothing(migrated_url):
    async def work(journal, database):
        await journal.hold(reservation(1))
        assert [entry.id for entry in await share(database)] == ["req_1"]
        assert await share(database) == []
        with pytest.raises(Unavailable):
            await journal.hold(reservation(2))
        assert await held(database) == set()
        assert await booked(database) == {"req_1": "abandoned"}
        owner = select(state.c.value).where(state.c.name == "owner")
        assert await database.read(lambda c: c.scalar(owner)) == "redis"

    using(migrated_url, work)


def test_a_row_that_cannot_be_read_stays_and_keeps_nobody_from_starting(migrated_url, caplog):
    async def work(dead, database):
        await dead.hold(reservation(1))
        await crash(dead)
        torn = {"id": "torn", "expires_at": 1, "entry": '{"id": "torn", "ti'}
        await database.write(lambda c: c.execute(reservations.insert(), [torn]))
        born = journal_of(database)
        assert await born.start() == 1
        assert await held(database) == {"torn"}
        assert await booked(database) == {"req_1": "abandoned"}
        assert (await born.spent(ACME, NOW)).requests == 1
        await born.aclose()

    using(migrated_url, work)
    assert "The open reservation torn cannot be read" in caplog.text


def test_a_start_that_fails_lets_another_one_start(migrated_url, monkeypatch):
    async def work(journal, database):
        await journal.aclose()
        write = database.write

        async def broken(change):
            raise DatabaseProblem("It broke.")

        monkeypatch.setattr(database, "write", broken)
        with pytest.raises(DatabaseProblem, match="It broke"):
            await journal_of(database).start()
        monkeypatch.setattr(database, "write", write)
        other = journal_of(database)
        assert await other.start() == 0
        await other.aclose()

    using(migrated_url, work)


def test_a_lock_that_postgres_forgot_is_taken_again(postgres, pg_url):
    async def work(journal, database):
        name = make_url(pg_url).database
        await asyncio.to_thread(
            postgres.run,
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
        )
        await journal._ownership.keep()
        with pytest.raises(DatabaseProblem, match="another gateway"):
            await Ownership(database, "other").take()
        await journal.hold(reservation(1))

    using(pg_url, work)


def test_a_lock_that_another_has_meanwhile_is_logged(pg_url, caplog):
    async def work(journal, database):
        await journal._ownership.release()
        other = Ownership(database, "other")
        await other.take()
        await journal._ownership.keep()
        await other.release()
        await journal._ownership.keep()
        with pytest.raises(DatabaseProblem, match="another gateway"):
            await other.take()

    using(pg_url, work)
    assert "in use by another gateway" in caplog.text


def test_a_takeover_waits_for_a_hold_in_work_and_books_it(pg_url):
    """The fence on a server: nobody may slip a row in behind the back of who takes over."""

    async def work(journal, database):
        plain = make_url(pg_url).set(drivername="postgresql")
        with psycopg.connect(plain.render_as_string(hide_password=False)) as link:
            link.execute("SELECT value FROM state WHERE name = 'owner' FOR SHARE")
            taking = asyncio.create_task(share(database))
            waits = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                "AND datname = current_database()"
            )
            while not link.execute(waits).fetchone()[0]:
                await asyncio.sleep(0.005)
                link.execute("SELECT pg_stat_clear_snapshot()")
            link.execute(
                'INSERT INTO reservations VALUES (\'late\', 1, \'{"id": "late", "time": 1}\')'
            )
            link.commit()
        assert [entry.id for entry in await taking] == ["late"]
        assert await held(database) == set()

    using(pg_url, work)
