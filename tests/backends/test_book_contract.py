"""What a Book holds outlives its process, on SQLite and on a real Postgres."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from book_world import (
    ACME,
    NOW,
    Script,
    booked,
    bound_of,
    crash,
    entry,
    held,
    journal_of,
    reservation,
    using,
)
from sqlalchemy import make_url, select, text

from gateway.backends import holds, sql_journal, writability
from gateway.backends.database import Database, DatabaseProblem
from gateway.backends.database_problem import DataRefused
from gateway.backends.entry_json import decode
from gateway.backends.sql_book import (
    Change,
    apply,
    bump,
    generations_of,
    hold_of,
    post_entries,
    spent_in,
)
from gateway.backends.tables import entries, reservations, state
from gateway.errors import Unavailable
from gateway.quota.ledger import Generations
from gateway.quota.limit import Amounts
from gateway.usage.entry import Entry


def test_a_hold_does_not_wait_for_the_moment_of_entries(migrated_url):
    async def work(journal, database):
        assert await journal.hold(reservation(1)) == Generations(0, 0)
        assert await held(database) == {"req_1"}
        query = select(reservations.c.entry, reservations.c.expires_at)
        row = (await database.read(lambda c: c.execute(query).all()))[0]
        assert decode(row.entry) == bound_of(1)
        assert row.expires_at == (NOW + 600) * 1_000_000

    using(migrated_url, work)


def test_an_entry_takes_the_place_of_what_was_held_in_one_step(migrated_url):
    looks = []

    async def work(journal, database):
        ids = range(20)
        await asyncio.gather(*(journal.hold(reservation(n)) for n in ids))
        done = asyncio.Event()

        async def look():
            either = select(reservations.c.id).union_all(select(entries.c.id))
            while not done.is_set():
                looks.append(sorted(await database.read(lambda c: list(c.scalars(either)))))

        looking = asyncio.create_task(look())
        for n in ids:
            journal.append(entry(n))
            await journal.flush()
        done.set()
        await looking
        assert await held(database) == set()
        assert await booked(database) == {f"req_{n}": "ok" for n in ids}
        assert await journal.spent(ACME, NOW) == Amounts(20, 200, 60, 140)

    using(migrated_url, work)
    assert looks
    assert all(look == sorted(f"req_{n}" for n in range(20)) for look in looks)


def test_a_hold_does_not_wait_for_the_posting_of_entries(migrated_url):
    async def work(journal, database):
        await journal.hold(reservation(1))
        journal.append(entry(1))
        await journal.hold(reservation(2))
        assert await held(database) == {"req_1", "req_2"}
        assert await booked(database) == {}
        assert (await journal.spent(ACME, NOW)).requests == 1
        await journal.flush()
        assert await held(database) == {"req_2"}
        assert await booked(database) == {"req_1": "ok"}

    using(migrated_url, work)


def test_a_hold_does_not_wait_for_entries_that_are_due_after_it(migrated_url, monkeypatch):
    async def work(journal, database):
        script = Script(database, monkeypatch, "ok", "wait")
        journal.append(entry(1))
        holding = asyncio.create_task(journal.hold(reservation(2)))
        flushing = asyncio.create_task(journal.flush())
        await holding
        assert await held(database) == {"req_2"}
        assert await booked(database) == {}
        script.gate.set()
        await flushing
        assert await booked(database) == {"req_1": "ok"}

    using(migrated_url, work)


def test_entries_are_posted_in_time_however_many_holds_come(migrated_url):
    async def work(journal, database):
        journal.append(entry(1))
        n = 100
        while journal.state(NOW).pending:
            await journal.hold(reservation(n := n + 1))
        assert await booked(database) == {"req_1": "ok"}

    using(migrated_url, work, flush_seconds=0.05)


def test_many_entries_are_posted_in_time_without_a_hold(migrated_url):
    async def work(journal, database):
        for n in range(80):
            journal.append(entry(n))
        while journal.state(NOW).pending:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert len(await booked(database)) == 80

    using(migrated_url, work, flush_seconds=0.05)


def test_five_hundred_holds_at_once_take_few_transactions(migrated_url, monkeypatch):
    async def work(journal, database):
        script = Script(database, monkeypatch, "wait")
        first = asyncio.create_task(journal.hold(reservation(0)))
        await script.inside.wait()
        others = [asyncio.create_task(journal.hold(reservation(n))) for n in range(1, 500)]
        await asyncio.sleep(0)
        script.gate.set()
        await asyncio.gather(first, *others)
        assert script.calls == 2
        assert len(await held(database)) == 500

    using(migrated_url, work)


def test_what_is_forgotten_leaves_no_trace(migrated_url):
    async def work(journal, database):
        await journal.hold(reservation(1))
        journal.forget("req_1")
        await journal.flush()
        assert await held(database) == set()
        assert await booked(database) == {}

    using(migrated_url, work)


@pytest.mark.parametrize("others", [[], [2, 3], [2, 3, 9]])
def test_an_id_that_was_forgotten_can_be_held_anew(migrated_url, others):
    """A request whose key or grants changed while it was admitted is admitted again; a hold that
    the database refuses (9) does not harm it."""

    async def work(journal, database):
        await asyncio.gather(journal.hold(reservation(1)), journal.hold(reservation(9)))
        journal.forget("req_1")
        told = await asyncio.gather(
            *(journal.hold(reservation(n)) for n in [1, *others]), return_exceptions=True
        )
        assert [type(one) for one in told] == [
            Unavailable if n == 9 else Generations for n in [1, *others]
        ]
        await journal.flush()
        assert await held(database) == {f"req_{n}" for n in {1, 9, *others}}

    using(migrated_url, work)


@pytest.mark.parametrize("count", [1, 3, 40])
def test_a_hold_tells_the_generations_that_somebody_else_has_just_moved(migrated_url, count):
    async def work(journal, database):
        n = 0
        for access in range(1, 4):
            for _ in range(2):  # as they were known before, and then as they are
                told = await asyncio.gather(
                    *(journal.hold(reservation(n := n + 1)) for _ in range(count))
                )
                assert set(told) == {Generations(access - 1, 0)}
            await database.write(lambda c: bump(c, "access"))
        assert await journal.hold(reservation(0)) == Generations(3, 0)
        assert len(await held(database)) == n + 1

    using(migrated_url, work)


@pytest.mark.parametrize("when", ["gathering", "committing", "committed"])
def test_a_cancelled_hold_leaves_no_trace(migrated_url, monkeypatch, when):
    async def work(journal, database):
        script = Script(database, monkeypatch, "wait")
        blocking = asyncio.create_task(journal.hold(reservation(0)))
        await script.inside.wait()
        mine = blocking
        if when == "gathering":
            mine = asyncio.create_task(journal.hold(reservation(1)))
            await asyncio.sleep(0)
        if when == "committed":
            tell = journal._holds.tell

            def tell_and_cancel(holds, told):
                tell(holds, told)
                mine.cancel()

            monkeypatch.setattr(journal._holds, "tell", tell_and_cancel)
        else:
            mine.cancel()
        script.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await mine
        if mine is not blocking:
            await blocking
        await journal.flush()
        assert await held(database) == (set() if mine is blocking else {"req_0"})

    using(migrated_url, work)


@pytest.mark.parametrize("step", ["before", "after"])
def test_a_hold_fails_at_once_where_the_database_is_away_and_holds_nothing(
    migrated_url, monkeypatch, step
):
    async def work(journal, database):
        Script(database, monkeypatch, *[step] * 3)
        journal.append(entry(7))
        for n in range(3):
            with pytest.raises(Unavailable) as caught:
                await journal.hold(reservation(n))
            assert caught.value.code == "ledger_unavailable"
            assert journal.trouble == writability.UNWRITABLE
        assert (await journal.spent(ACME, NOW)).requests == 1
        await journal.hold(reservation(3))
        await journal.flush()
        assert journal.trouble is None
        assert await held(database) == {"req_3"}
        assert await booked(database) == {"req_7": "ok"}

    monkeypatch.setattr(sql_journal, "RETRY_SECONDS_MIN", 60.0)
    monkeypatch.setattr(sql_journal, "RETRY_SECONDS_MAX", 60.0)
    using(migrated_url, work)


def test_a_reservation_that_the_database_refuses_does_not_hold_up_the_others(migrated_url):
    async def work(journal, database):
        await journal.hold(reservation(3))
        journal.append(entry(50))
        told = await asyncio.gather(
            journal.flush(),
            *(journal.hold(reservation(n)) for n in range(8)),
            return_exceptions=True,
        )
        refused = [n for n, one in enumerate(told[1:]) if isinstance(one, Unavailable)]
        assert refused == [3]  # it is held already
        assert await held(database) == {f"req_{n}" for n in range(8)}
        assert await booked(database) == {"req_50": "ok"}

    using(migrated_url, work)


def test_what_a_dead_process_held_is_booked_once_at_its_bound(migrated_url):
    async def work(dead, database):
        for n in range(4):
            await dead.hold(reservation(n))
        dead.append(entry(0))
        await dead.flush()
        dead.append(entry(1))  # in memory only when it dies
        await crash(dead)
        born = journal_of(database)
        assert await born.start() == 3
        assert await held(database) == set()
        assert await booked(database) == {"req_0": "ok"} | dict.fromkeys(
            ["req_1", "req_2", "req_3"], "abandoned"
        )
        assert await born.spent(ACME, NOW) == Amounts(4, 40, 3 + 3 * 90, 7 + 300)
        await born.aclose()
        again = journal_of(database)
        assert await again.start() == 0
        assert await again.spent(ACME, NOW) == Amounts(4, 40, 3 + 3 * 90, 7 + 300)
        await again.aclose()

    using(migrated_url, work)


CHILD = """
import asyncio, os, sys
from gateway.backends.database import Database
from gateway.backends.sql_journal import SqlJournal
from gateway.quota.ledger import Reservation
from gateway.quota.limit import Amounts
from gateway.usage.entry import Entry

async def holder(journal, name):
    n = 0
    while True:
        id = f"req_{name}_{n}"
        record = Entry(id=id, time=1_800_000_000.0, organization="acme", requests=1)
        await journal.hold(Reservation(id, (), (), Amounts(), record, 1_800_000_600.0))
        print(id, flush=True)
        n += 1

async def main():
    journal = SqlJournal(Database(sys.argv[1], 2), 0.01, 100, 1000, lambda: 0.0, os.urandom)
    await journal.start()
    await asyncio.gather(*(holder(journal, name) for name in range(8)))

asyncio.run(main())
"""


def test_every_hold_that_returned_outlives_kill_9(migrated_url):
    child = subprocess.Popen([sys.executable, "-c", CHILD, migrated_url], stdout=subprocess.PIPE)
    lines = [child.stdout.readline() for _ in range(200)]
    os.kill(child.pid, signal.SIGKILL)
    rest, _ = child.communicate()
    whole = b"".join([*lines, rest]).rpartition(b"\n")[0]
    told = set(whole.decode().split("\n"))
    assert len(told) >= 200

    async def start():
        database = Database(migrated_url, 2)
        before = await held(database)
        journal = journal_of(database)
        deadline = time.monotonic() + 20
        while True:  # a Postgres takes a moment to see that the child is gone
            try:
                left_open = await journal.start()
                break
            except DatabaseProblem:
                assert time.monotonic() < deadline
        after = await booked(database)
        await journal.aclose()
        await database.aclose()
        return before, left_open, set(after)

    before, left_open, after = asyncio.run(start())
    assert told <= before
    assert left_open == len(before)
    assert after == before


def test_a_locked_sqlite_file_fails_holds_and_keeps_entries(sqlite_url, monkeypatch):
    monkeypatch.setattr("gateway.backends.database.SQLITE_BUSY_SECONDS", 0.01)

    async def work(journal, database):
        other = sqlite3.connect(make_url(sqlite_url).database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        journal.append(entry(1))
        with pytest.raises(Unavailable):
            await journal.hold(reservation(2))
        other.execute("COMMIT")
        other.close()
        await journal.hold(reservation(3))
        await journal.flush()
        assert await held(database) == {"req_3"}
        assert await booked(database) == {"req_1": "ok"}

    using(sqlite_url, work)


def test_a_journal_that_has_ended_holds_nothing(sqlite_url, monkeypatch):
    async def broken(change):
        raise RuntimeError("a fault of our own")

    async def work(journal, database):
        monkeypatch.setattr(database, "post", broken)
        for n in range(2):
            with pytest.raises(Unavailable) as caught:
                await journal.hold(reservation(n))
            assert caught.value.code == "ledger_unavailable"

    using(sqlite_url, work)


def test_a_generation_grows_by_one_however_many_change_it_at_once(migrated_url):
    async def work(journal, database):
        grown = await asyncio.gather(
            *(database.write(lambda c: bump(c, "access")) for _ in range(20))
        )
        assert sorted(grown) == list(range(1, 21))
        await database.write(lambda c: bump(c, "book"))
        assert await generations_of(database) == Generations(20, 1)
        assert await journal.generations() == Generations(20, 1)
        assert await journal.hold(reservation(1)) == Generations(20, 1)
        with pytest.raises(ValueError, match="owner"):
            await database.write(lambda c: bump(c, "owner"))

    using(migrated_url, work)


def test_a_generation_that_is_undone_was_never_reached(migrated_url):
    async def work(journal, database):
        def half(connection):
            bump(connection, "access")
            raise LookupError("changed my mind")

        with pytest.raises(LookupError):
            await database.write(half)
        assert await journal.generations() == Generations(0, 0)

    using(migrated_url, work)


def test_the_end_of_a_time_is_not_in_it_pending_or_written(migrated_url):
    async def work(journal, database):
        for n in range(10):
            journal.append(entry(n))
        for _ in ("pending", "written"):
            assert (await journal.spent(ACME, NOW + 2, NOW + 5)).requests == 3
            assert (await journal.spent(ACME, NOW + 2, NOW + 5.000001)).requests == 4
            await journal.flush()
        assert (await spent_in(database, ACME, NOW + 2, NOW + 5)).requests == 3

    using(migrated_url, work)


def test_a_sum_leaves_out_the_rows_that_it_is_told_to(migrated_url):
    async def work(journal, database):
        assert await post_entries(database, [entry(n) for n in range(1200)]) == []
        but = {f"req_{n}" for n in range(1100)} | {"req_unknown"}
        assert await spent_in(database, ACME, NOW, but=but) == Amounts(100, 1000, 300, 700)
        assert await spent_in(database, ACME, NOW + 1050, but=frozenset(["req_3"])) == Amounts(
            150, 1500, 450, 1050
        )

    using(migrated_url, work)


def test_posting_gives_back_only_what_the_database_refuses(migrated_url):
    async def work(journal, database):
        batch = [entry(n, cost_nano=2**70 if n in (3, 8) else 7) for n in range(10)]
        assert await post_entries(database, batch) == [batch[3], batch[8]]
        assert await post_entries(database, batch[:3]) == []
        assert len(await booked(database)) == 8
        assert await post_entries(database, []) == []

    using(migrated_url, work)


def test_who_does_not_own_the_database_holds_nothing_and_still_posts(migrated_url):
    async def work(journal, database):
        change = Change([entry(1)], [hold_of(reservation(2))], ["req_9"])
        told = await database.write(lambda c: apply(c, change, "somebody else"))
        assert told == (None, [])
        assert await held(database) == set()
        assert await booked(database) == {"req_1": "ok"}

    using(migrated_url, work)


@pytest.mark.parametrize("change", [
    Change(), Change([entry(1)]), Change(holds=[hold_of(reservation(1))]), Change(gone=["a", "b"]),
])  # fmt: skip
def test_what_is_one_row_has_no_halves(change):
    assert change.halves() == ()


def test_an_entry_in_json_comes_back_and_nothing_else_does():
    for text_ in ("", "[]", "{}", '{"id": 1, "time": 2}', '{"id": "a", "time": "b"}',
                  '{"id": "a", "time": 1, "outcome": "eaten"}', b"\xff",
                  '{"id": "a", "time": 1, "redactions": {"a": "b"}}',
                  '{"id": "a", "time": 1, "status": null}'):  # fmt: skip
        with pytest.raises(ValueError):
            decode(text_)
    assert decode('{"id": "a", "time": 1000000, "new": 1}') == Entry(id="a", time=1.0)


def test_the_tables_of_what_is_held_are_named_as_the_tests_think(migrated_url):
    async def work(journal, database):
        owner = select(state.c.value).where(state.c.name == "owner")
        assert await database.read(lambda c: c.scalar(owner)) == journal._owner
        return await database.read(lambda c: c.scalar(text("SELECT count(*) FROM reservations")))

    assert using(migrated_url, work) == 0


def test_a_refusal_of_a_hold_is_no_refusal_of_what_came_with_it(migrated_url, monkeypatch):
    def refusing(connection, change, owner, known):
        raise DataRefused("DataError")

    monkeypatch.setattr(holds, "apply", refusing)

    async def work(journal, database):
        journal.append(entry(1))
        with pytest.raises(Unavailable):
            await journal.hold(reservation(2))
        await journal.flush()
        assert await booked(database) == {"req_1": "ok"}
        assert journal.set_aside == ()

    using(migrated_url, work)
